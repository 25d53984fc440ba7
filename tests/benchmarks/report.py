"""Comparisons as text and as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.benchmarks.bars import Bar
from tests.benchmarks.choice import label
from tests.benchmarks.figures import BASE, Comparison, Figures

MIB = 1024 * 1024
HEAD = ("engine", "seconds", "whole process", "processor s", "peak memory", "files", "MiB", f"× {BASE}", "processor ×", "× copy")


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """The engines of a data set, one row each, under HEAD."""
    return [_row(comparison, one) for one in comparison.figures.values()]


def _row(comparison: Comparison, one: Figures) -> tuple[str, ...]:
    copy, base = comparison.figures.get("copy"), comparison.figures.get(BASE)
    ratio = comparison.faster(one, BASE)
    ran = "" if not one.ran or set(one.ran) == {one.chosen} else f" [{', '.join(sorted(one.ran))}]"
    return (
        label(one.engine) + ran,
        f"{one.seconds:.2f}",
        f"{one.whole_s:.2f}",
        f"{one.processor_s:.2f}",
        f"{one.peak_bytes / MIB:.0f} MiB",
        f"{one.files:,}" if one.files else "",
        f"{one.bytes / MIB:.1f}",
        "" if ratio is None else f"{ratio:.2f}",
        "" if base is None else f"{base.processor_s / one.processor_s:.2f}",
        "" if copy is None else f"{one.seconds / copy.seconds:.1f}",
    )


def memory(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Runs of ours: what one group was predicted to need, and what the whole process tree grew by; for several groups at once."""
    for one in comparison.figures.values():
        if one.is_ours:
            grown = one.peak_bytes - one.base_bytes
            groups = sum(one.ran.values())
            yield (label(one.engine), f"{one.predicted_bytes / MIB:.0f} MiB", f"{groups:,}", f"{grown / MIB:.0f} MiB")


MEMORY_HEAD = ("engine", "predicted peak of a group", "groups", "growth of the process tree")


def readers(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Processor time of each query on each table, and how many times what it costs on deltalake's result."""
    base = comparison.readers.get(BASE)
    for name, costs in comparison.readers.items():
        for reader, queries in costs.items():
            cells = [
                f"{seconds * 1000:.1f} ms" + (f" ×{seconds / base[reader][query]:.2f}" if base else "")
                for query, seconds in queries.items()
            ]
            yield (label(name), reader, *cells)


def stages(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Where the time of runs of ours went: of each run, and of its tasks, the stages by length."""
    for one in comparison.figures.values():
        told = one.timings or {}
        for where in ("run", "tasks"):
            found = {stage.removeprefix(f"{where}: "): seconds for stage, seconds in told.items() if stage.startswith(f"{where}: ")}
            longest = sorted(found.items(), key=lambda entry: -entry[1])
            if longest:
                yield (label(one.engine), where, ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in longest if seconds >= 0.005))


STAGES_HEAD = ("engine", "of", "seconds by stage")


def heading(comparison: Comparison) -> str:
    """What the data set is."""
    size = f"{comparison.files:,} files, {comparison.bytes / MIB:.1f} MiB, {comparison.rows:,} rows, {comparison.codec}"
    return f"{comparison.name}: {comparison.title} ({size}; {comparison.repetitions} runs each)"


def text(comparison: Comparison, verdicts: list[Bar]) -> str:
    """For a terminal."""
    parts = [heading(comparison), aligned([HEAD, *table(comparison)]), aligned([MEMORY_HEAD, *memory(comparison)])]
    if comparison.readers:
        parts.append(aligned([_readers_head(comparison), *readers(comparison)]))
    if found := list(stages(comparison)):
        parts.append(aligned([STAGES_HEAD, *found]))
    said = [*(f"{label(engine)}: {why}" for engine, why in comparison.left_out.items()), *map(str, verdicts)]
    parts.append("\n".join(f"  {line}" for line in said))
    return "\n".join(parts) + "\n"


def markdown(comparison: Comparison, verdicts: list[Bar]) -> str:
    """For docs/benchmarks.md."""
    parts = [f"## {heading(comparison)}", grid(HEAD, table(comparison)), grid(MEMORY_HEAD, list(memory(comparison)))]
    if comparison.readers:
        parts.append(grid(_readers_head(comparison), list(readers(comparison))))
    if found := list(stages(comparison)):
        parts.append(grid(STAGES_HEAD, found))
    if comparison.left_out:
        parts.append("\n".join(f"- {label(engine)}: {why}" for engine, why in comparison.left_out.items()))
    return "\n\n".join([*parts, judged(verdicts)]) + "\n"


def judged(verdicts: Iterable[Bar]) -> str:
    """Bars as a table of Markdown; those that were missed stand out."""
    return grid(("what", "wanted", "found", "bar"), [(bar.about, bar.wanted, bar.found, _told(bar)) for bar in verdicts])


def _told(bar: Bar) -> str:
    return bar.verdict if bar.met is not False else f"**{bar.verdict}**"


def _readers_head(comparison: Comparison) -> tuple[str, ...]:
    queries = next(iter(next(iter(comparison.readers.values())).values()))
    return ("table of", "reader", *queries)


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Columns side by side; all but the first to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = ([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))] for row in rows)
    return "\n".join(f"  {'  '.join(cells)}" for cells in padded)


def grid(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
