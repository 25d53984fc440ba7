"""One data set: every engine on copies of the same table, in turns, each run in a process of its own; outputs checked, readers measured.

Raises Wrong when an engine changed the rows, or when a second run of ours is not idle.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from tests.benchmarks import choice, data, readers
from tests.benchmarks.contents import Contents, Layout, contents, layout
from tests.benchmarks.datasets import DataSet, Source
from tests.benchmarks.figures import BASE, Comparison, Figures
from tests.benchmarks.measure import Measured, measure, touch, warm

ENGINES = "tests.benchmarks.engines"
Say = Callable[[str], None]


class Wrong(Exception):
    """A result that is not what it must be."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """How data sets are compared: where, how large, how often; and who is told how far it is."""

    cache: Path
    scale: float
    repetitions: int
    with_readers: bool = True
    options: str = "{}"
    say: Say = print

    @property
    def work(self) -> Path:
        return self.cache / "work"

    def compare(self, wanted: DataSet) -> Comparison:
        """All engines on one data set."""
        source = wanted.make(self.cache, self.scale)
        ours = [engine for engine in choice.ours() if engine.split(":")[1] not in wanted.without]
        state = _State(source=source, engines=[*wanted.others, *ours])
        repetitions = min(self.repetitions, wanted.most_repetitions)
        shutil.rmtree(self.work, ignore_errors=True)
        try:
            for repetition in range(repetitions):
                for engine in list(state.engines):
                    self.say(f"{wanted.name} {repetition + 1}/{repetitions} {choice.label(engine)}")
                    self._run(state, engine, repetition)
            costs = self._readers(state) if wanted.readers and self.with_readers else {}
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
        before = layout(source.folder)
        return Comparison(
            name=wanted.name,
            title=wanted.title,
            codec=source.codec,
            files=before.files,
            bytes=before.bytes,
            rows=state.before.rows,
            repetitions=repetitions,
            figures={engine: state.figures(engine, before) for engine in state.runs if engine not in state.left_out},
            left_out=state.left_out,
            readers=costs,
        )

    def _run(self, state: _State, engine: str, repetition: int) -> None:
        table, out = self.work / "table", self.work / "out"
        data.copy(state.source.folder, table, state.source.codec)
        shutil.rmtree(out, ignore_errors=True)
        command = ("-m", ENGINES, engine, str(table), str(out), state.source.codec, str(state.source.target_bytes), self.options)
        try:
            touch()
            warm(table)
            measured = measure(*command)
        except RuntimeError as error:
            if ":auto:" in engine:
                raise Wrong(str(error)) from None
            state.leave_out(engine, str(error).strip().splitlines()[-1])
            return
        state.runs.setdefault(engine, []).append(measured)
        result = out if out.exists() else table
        if engine.startswith("copy"):
            state.layouts[engine] = Layout(files=0, bytes=measured.printed["bytes"])
            return
        state.check(engine, result, whole=repetition == 0)
        if repetition:
            return
        state.layouts[engine] = layout(result)
        ran = measured.printed.get("ran")
        if ran is not None:
            state.again[engine] = measure(*command).printed["bytes_removed"]
            if state.again[engine]:
                raise Wrong(f"{choice.label(engine)}: a second run rewrote {state.again[engine]:,} bytes")
            asked = engine.split(":")[1]
            if asked != "auto" and asked not in ran:
                state.leave_out(engine, f"not where it applies: {', '.join(ran) or 'nothing'} ran instead")
        if engine == BASE or engine.endswith(":counts"):
            shutil.move(result, self.work / "kept" / engine.replace(":", "-"))

    def _readers(self, state: _State) -> dict[str, dict[str, dict[str, float]]]:
        tables = {"before": state.source.folder}
        tables |= {engine: self.work / "kept" / engine.replace(":", "-") for engine in state.distinct()}
        tables = {name: path for name, path in tables.items() if path.exists()}
        found: dict[tuple[str, str, str], list[float]] = {}
        repetitions = min(readers.MOST_REPETITIONS, self.repetitions)
        for repetition in range(repetitions):
            for reader in readers.READERS:
                self.say(f"readers {repetition + 1}/{repetitions} {reader}")
                for name, path in tables.items():
                    for query, cost in measure("-m", "tests.benchmarks.readers", reader, str(path)).printed.items():
                        found.setdefault((name, reader, query), []).append(cost["processor_s"])
        costs: dict[str, dict[str, dict[str, float]]] = {}
        for (name, reader, query), seconds in found.items():
            costs.setdefault(name, {}).setdefault(reader, {})[query] = statistics.median(seconds)
        return costs


@dataclass(slots=True)
class _State:
    """What is known of one data set so far. engines: those that are still run."""

    source: Source
    engines: list[str]
    runs: dict[str, list[Measured]] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    columns: list[str] = field(init=False)
    before: Contents = field(init=False)

    def __post_init__(self) -> None:
        first = data.files_of(self.source.folder)[0].path
        self.columns = [*pq.read_schema(self.source.folder / first).names, *data.partition_columns(self.source.folder)]
        self.before = contents(self.source.folder, self.columns)

    def leave_out(self, engine: str, why: str) -> None:
        """No more runs of this engine."""
        self.left_out[engine] = why
        self.engines.remove(engine)

    def distinct(self) -> list[str]:
        """Engines whose results are worth being read: of ours not what was chosen where another was asked for that very engine."""
        kept = [engine for engine in self.runs if engine not in self.left_out]
        asked = {engine.split(":")[1] for engine in kept if engine.startswith(choice.PREFIX)}

        def chosen(engine: str) -> set[str]:
            return set(self.runs[engine][-1].printed.get("ran", ()))

        return [engine for engine in kept if not (":auto:" in engine and len(chosen(engine)) == 1 and chosen(engine) <= asked)]

    def check(self, engine: str, result: Path, *, whole: bool) -> None:
        """Raises Wrong when the result does not hold the same rows: all of them compared when `whole`, else counted."""
        found = contents(result, self.columns if whole else [])
        if (found != self.before) if whole else (found.rows != self.before.rows):
            raise Wrong(f"{choice.label(engine)} changed the rows of {self.source.folder.name}: {found} instead of {self.before}")

    def figures(self, engine: str, before: Layout) -> Figures:
        """Medians of the runs of an engine."""
        runs, printed = self.runs[engine], self.runs[engine][-1].printed

        def median(key: str) -> float:
            return statistics.median(run.printed[key] for run in runs)

        ours = "ran" in printed
        rewritten = self.runs[engine][0].printed.get("bytes_removed", 0) + self.again.get(engine, 0)
        timings = [run.printed["timings"] for run in runs if run.printed.get("timings")]
        stages = dict.fromkeys(stage for one in timings for stage in one)
        return Figures(
            engine=engine,
            seconds=median("seconds"),
            whole_s=statistics.median(run.whole_s for run in runs),
            processor_s=median("processor_s"),
            peak_bytes=statistics.median(run.peak_bytes for run in runs),
            base_bytes=median("base_bytes"),
            files=self.layouts[engine].files,
            bytes=self.layouts[engine].bytes,
            ran=printed.get("ran", {}),
            predicted_bytes=printed.get("predicted_bytes", 0),
            amplification=rewritten / before.bytes if ours else None,
            again_bytes=self.again.get(engine, 0),
            timings={stage: statistics.median(one.get(stage, 0.0) for one in timings) for stage in stages} if timings else None,
        )
