"""`python -m tests.benchmarks`: compactions against deltalake's, interleaved in processes of their own, and the figures of short runs.

Environment: BENCH_SCALE (1; 0.05 is a check of correctness in seconds), BENCH_REPETITIONS (3), BENCH_DATA (where generated tables are
kept between runs, by default in the system's temporary folder). Exit code 1 when an engine changed the rows, or when a second run of ours
rewrites anything; never for being slow.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import data
from tests.benchmarks.contents import Layout, contents, layout
from tests.benchmarks.engines import rewritten_again
from tests.benchmarks.measure import Measured, measure

MIB = 1024 * 1024
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
REPETITIONS = int(os.environ.get("BENCH_REPETITIONS", "3"))
DATA = Path(os.environ.get("BENCH_DATA") or Path(tempfile.gettempdir()) / "compactor-bench")
TARGET_BYTES = 128 * MIB
ENGINES = ("deltalake", "counts", "full")
PROOF_LIMIT = 1.6
"""How much longer a run may take that proves every row than one that counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One engine's runs on one data set."""

    runs: tuple[Measured, ...]
    layout: Layout

    def median(self, key: str) -> float:
        return statistics.median(run.printed[key] for run in self.runs)

    @property
    def peak_bytes(self) -> float:
        return statistics.median(run.peak_bytes for run in self.runs)


def compare(source: Path, codec: str) -> dict[str, Result]:
    """Every engine on copies of the same table, in turns. Raises SystemExit when one changed the rows, or ours is not done after a run."""
    work = DATA / "work"
    before = contents(str(source))
    runs: dict[str, list[Measured]] = {engine: [] for engine in ENGINES}
    layouts: dict[str, Layout] = {}
    for repetition in range(REPETITIONS):
        for engine in ENGINES:
            table = data.copy(source, work, codec)
            runs[engine].append(measure("-m", "tests.benchmarks.engines", engine, str(table), codec, str(TARGET_BYTES)))
            layouts[engine] = layout(str(table))
            if repetition == 0 and contents(str(table)) != before:
                raise SystemExit(f"{engine} changed the rows of {source.name} ({codec})")
            if repetition == 0 and engine != "deltalake" and (again := rewritten_again(str(table), TARGET_BYTES)):
                raise SystemExit(f"a second run rewrote {again:,} bytes of {source.name} ({codec})")
    shutil.rmtree(work)
    return {engine: Result(runs=tuple(runs[engine]), layout=layouts[engine]) for engine in ENGINES}


def report(name: str, codec: str, results: dict[str, Result]) -> Iterator[str]:
    """Lines of the table: medians, and ratios to deltalake (above 1: ours is faster, needs less)."""
    base = results["deltalake"]
    for engine, result in results.items():
        yield (
            f"{name:<34} {codec:<7} {_LABELS[engine]:<18} {result.median('seconds'):7.2f} s  {result.median('processor_s'):7.2f} cpu s  "
            f"{result.peak_bytes / MIB:7.0f} MiB  {result.layout.files:>3} files {result.layout.bytes / MIB:7.0f} MiB  "
            f"time ×{base.median('seconds') / result.median('seconds'):.2f}  memory ×{base.peak_bytes / result.peak_bytes:.2f}"
        )


_LABELS = {"deltalake": "deltalake", "counts": "compactor, counts", "full": "compactor, full"}


def proof_ratio(name: str, codec: str, results: dict[str, Result]) -> str:
    """What proving every row costs beside counting rows."""
    counts, full = results["counts"], results["full"]
    seconds, processor_s = (full.median(key) / counts.median(key) for key in ("seconds", "processor_s"))
    return f"{name:<34} {codec:<7} proof full by counts: time ×{seconds:.2f} (at most {PROOF_LIMIT}), processor time ×{processor_s:.2f}"


def short_runs() -> Iterator[str]:
    """The figures of short runs, with what is asked of them."""
    twenty = data.small_files(DATA / "twenty", 20, 100)
    many = max(20, int(20_000 * SCALE))
    idle = data.right_sized(DATA / f"idle-{many}", many, 256 * MIB)
    for label, figure, table, limit in (
        ("imports of a run", "imports", None, 0.8),
        ("compactor run --help", "help", None, None),
        ("20 small files", "run", twenty, 1.0),
        (f"nothing to do on {many:,} files", "run", idle, 0.3),
    ):
        runs = []
        for _ in range(REPETITIONS):
            copies = [str(data.copy(table, DATA / "work", "snappy"))] if table else []
            runs.append(measure("-m", "tests.benchmarks.startup", figure, *copies).printed)
        shutil.rmtree(DATA / "work", ignore_errors=True)
        seconds = statistics.median(run["seconds"] for run in runs)
        rest = ", ".join(f"{key} {value}" for key, value in runs[-1].items() if key != "seconds" and value)
        yield f"{label:<34} {seconds:7.3f} s" + (f"  (at most {limit} s)" if limit else "") + (f"  {rest}" if rest else "")


def main() -> None:
    print(f"scale {SCALE:g}, {REPETITIONS} repetitions, medians; target {TARGET_BYTES // MIB} MiB; {os.cpu_count()} processors")
    print("time and memory: deltalake's by ours, above 1 is better; peak memory of the whole process tree (PSS)\n")
    files = max(20, int(2000 * SCALE))
    source = data.small_files(DATA / f"mixed-{files}", files, 4200)
    for codec in ("snappy", "zstd"):
        name, results = f"{files} files of 0.35 MB, 12 columns", compare(source, codec)
        done = f"{name:<34} {codec:<7} a second run rewrites 0 bytes"
        for line in (*report(name, codec, results), proof_ratio(name, codec, results), done):
            print(line, flush=True)
    print()
    for line in short_runs():
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
