"""`make bench-memory`: predicted against actual peaks of rewriting varied groups, each in a worker process of its own.

Prints both per data set and memory bound, and the median deviation. Exit code 1 when that is above 20 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.worker_peak import as_table, peaks

from compactor.model.rewrite import RewriteResult
from compactor.settings import Settings
from compactor.units import format_bytes

BAR = 0.20
MIB = 1024 * 1024


def events(rows: int, seed: int) -> pa.Table:
    """Twelve mixed columns: numbers, timestamps, few and many distinct strings."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": rng.integers(0, 2**60, rows),
            "user": rng.integers(0, 100_000, rows),
            "at": pa.array(1_700_000_000_000_000 + np.arange(rows) * 1000, pa.timestamp("us")),
            "kind": pa.array(np.array(["view", "click", "buy", "leave"])[rng.integers(0, 4, rows)]),
            "country": pa.array(np.array([f"country-{i}" for i in range(200)])[rng.integers(0, 200, rows)]),
            "url": pa.array([f"https://example.org/{a:x}/{b:x}" for a, b in rng.integers(0, 2**48, (rows, 2)).tolist()]),
            **{f"v{i}": rng.random(rows) for i in range(4)},
            "n": rng.integers(0, 50, rows).astype(np.int32),
            "ok": rng.random(rows) < 0.5,
        }
    )


def strings(rows: int, seed: int) -> pa.Table:
    """Long texts that hardly compress."""
    rng = np.random.default_rng(seed)
    return pa.table({"id": np.arange(rows), "text": pa.array([rng.bytes(400).hex() for _ in range(rows)])})


def nested(rows: int, seed: int) -> pa.Table:
    """Lists of structs and maps."""
    rng = np.random.default_rng(seed)
    offsets = pa.array(np.arange(0, 5 * rows + 1, 5), pa.int32())
    items = pa.StructArray.from_arrays([pa.array(rng.integers(0, 10**9, 5 * rows)), pa.array(rng.random(5 * rows))], ["sku", "price"])
    keys = pa.array(np.array(["a", "b", "c", "d", "e"])[np.tile(np.arange(5), rows)])
    tags = pa.MapArray.from_arrays(offsets, keys, pa.array(rng.integers(0, 10**6, 5 * rows)))
    return pa.table({"id": np.arange(rows), "items": pa.ListArray.from_arrays(offsets, items), "tags": tags})


def wide(rows: int, seed: int, columns: int = 500) -> pa.Table:
    """Many columns of doubles."""
    rng = np.random.default_rng(seed)
    return pa.table({f"c{i}": rng.random(rows) for i in range(columns)})


def repeated(rows: int, seed: int) -> pa.Table:
    """Long strings of few values: large when decoded, small when encoded."""
    rng = np.random.default_rng(seed)
    texts = np.array([f"{i:04d}" * 60 for i in range(100)])
    return pa.table({"id": rng.integers(0, 2**60, rows), "text": pa.array(texts[rng.integers(0, 100, rows)])})


SETS: dict[str, tuple[Callable[[int, int], pa.Table], int, int]] = {
    "small events": (events, 40, 3_000),
    "mid events": (events, 12, 100_000),
    "tiny events": (events, 400, 100),
    "oversized events": (events, 1, 3_000_000),
    "small strings": (strings, 40, 2_000),
    "mid strings": (strings, 8, 25_000),
    "mid nested": (nested, 10, 80_000),
    "small nested": (nested, 40, 4_000),
    "mid wide": (wide, 8, 4_000),
    "small wide": (wide, 20, 300),
    "mid repeated": (repeated, 10, 300_000),
    "large row groups": (events, 4, 400_000),
}


def make(folder: Path, name: str) -> str:
    """The table of a data set."""
    rows_of, files, rows = SETS[name]
    folder.mkdir()
    for number in range(files):
        pq.write_table(rows_of(rows, number), folder / f"part-{number:05d}.parquet", compression="snappy")
    return as_table(folder)


def lines(names: list[str], bounds: list[str], deviations: list[float]) -> Iterator[str]:
    """One line a group; appends how far each prediction was off."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as root:
        for name in names:
            uri = make(Path(root, name.replace(" ", "-")), name)
            for bound in bounds:
                settings = Settings(memory=bound, parallelism=1, target_size="64MiB")
                for found in peaks(uri, settings, most=1):
                    ratio = found.actual_bytes / found.predicted_bytes
                    deviations.append(abs(ratio - 1))
                    ended = found.outcome.engine if isinstance(found.outcome, RewriteResult) else found.outcome.reason
                    arrow = found.outcome.peak_memory_bytes if isinstance(found.outcome, RewriteResult) else 0
                    seconds = found.outcome.seconds if isinstance(found.outcome, RewriteResult) else 0.0
                    yield (
                        f"{name:<18} --memory {bound:<8} predicted {format_bytes(found.predicted_bytes):>9}  "
                        f"actual {format_bytes(found.actual_bytes):>9}  x{ratio:.2f}  "
                        f"arrow {format_bytes(arrow):>9}  {seconds:5.1f} s  {ended}"
                    )


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="predicted against actual peaks")
    parser.add_argument("--memory", nargs="+", default=["256MiB", "1GiB"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    told = parser.parse_args()
    deviations: list[float] = []
    for line in lines(told.sets, told.memory, deviations):
        print(line, flush=True)
    median = statistics.median(deviations)
    print(f"median deviation {median:.0%} over {len(deviations)} groups (bar {BAR:.0%})")
    return int(median > BAR)


if __name__ == "__main__":
    sys.exit(main())
