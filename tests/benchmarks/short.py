"""Figures of short runs, each measured in fresh processes: imports, help, few files, nothing to do on many."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import data
from tests.benchmarks.bars import Bar
from tests.benchmarks.measure import measure

MIB = 1024 * 1024


def short_runs(cache: Path, scale: float, repetitions: int) -> Iterator[Bar]:
    """What takes less than a second, with what is asked of it."""
    twenty = data.small_files(cache / "twenty", 20, 100)
    many = max(20, int(20_000 * scale))
    idle = data.right_sized(cache / f"idle-{many}", many, 256 * MIB)
    for about, figure, table, limit in (
        ("imports of a run", "imports", None, 0.8),
        ("compactor run --help", "help", None, None),
        ("a run of 20 small files", "run", twenty, 1.0),
        (f"a run with nothing to do on {many:,} files", "run", idle, 0.3),
    ):
        runs = []
        for _ in range(repetitions):
            copies = [str(data.copy(table, cache / "work", "snappy"))] if table else []
            runs.append(measure("-m", "tests.benchmarks.startup", figure, *copies).printed)
        shutil.rmtree(cache / "work", ignore_errors=True)
        seconds = statistics.median(run["seconds"] for run in runs)
        rest = ", ".join(f"{key} {value}" for key, value in runs[-1].items() if key != "seconds" and value)
        found = f"{seconds:.3f} s" + (f" ({rest})" if rest else "")
        yield Bar(about=about, wanted=f"at most {limit} s" if limit else "no limit", found=found, met=seconds <= limit if limit else None)
