"""`make bench`: compactions against deltalake, DuckDB, Polars and a byte copy; each engine in processes of its own, in turns.

    make bench                        everything at the default scale
    make bench ONLY=D1,D5 REPEAT=3    some parts
    make bench BENCH_SCALE=1          larger; BENCH_DATA is where generated tables are kept (the system's temporary folder)
    make bench ARGS=--profile         where the time of our runs went, too
    make bench ARGS=--write           and docs/benchmarks.md is written

Parts: the data sets D1 to D8; D1 and D6 as other writers leave them (D1-zstd, …); S3; RAY; SHORT;
ROWS, what a row's fingerprint costs.
Exit code 1 when an engine changed the rows, or when a second run of ours rewrites anything; never for being slow.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.benchmarks import document, report
from tests.benchmarks.bars import bars
from tests.benchmarks.compare import Bench, Wrong
from tests.benchmarks.datasets import SETS
from tests.benchmarks.document import Section
from tests.benchmarks.fingerprints import fingerprint_costs
from tests.benchmarks.short import short_runs

DEFAULT_SCALE = 0.5
OTHER_PARTS = ("S3", "RAY", "SHORT", "ROWS")


def sections(bench: Bench, only: list[str]) -> Iterator[Section]:
    """The parts asked for, as they are done."""
    for wanted in SETS:
        if not only or wanted.name in only:
            comparison = bench.compare(wanted)
            verdicts = list(bars(comparison))
            yield Section(text=report.text(comparison, verdicts), markdown=report.markdown(comparison, verdicts))
    if not only or "S3" in only:
        from tests.benchmarks.on_s3 import s3_sections

        yield from s3_sections(bench)
    if not only or "RAY" in only:
        from tests.benchmarks.ray_overhead import ray_section

        yield ray_section(bench)
    if not only or "SHORT" in only:
        yield Section.of("Short runs", short_runs(bench.cache, bench.scale, bench.repetitions))
    if not only or "ROWS" in only:
        yield Section.of("Fingerprints of rows", fingerprint_costs(bench.repetitions))


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help="parts, separated by commas")
    parser.add_argument("--repeat", type=int, default=int(os.environ.get("REPEAT") or 5), help="runs of each engine (5)")
    parser.add_argument("--scale", type=float, default=float(os.environ.get("BENCH_SCALE") or DEFAULT_SCALE), help="size of the data")
    parser.add_argument("--no-readers", action="store_true", help="leave out what readers pay for the results")
    parser.add_argument("--profile", action="store_true", help="where the time of our runs went (they take a little longer)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    told = parser.parse_args()
    only = [part.strip() for part in told.only.split(",") if part.strip()]
    if unknown := sorted(set(only) - {wanted.name for wanted in SETS} - set(OTHER_PARTS)):
        parser.error(f"there is no part {unknown[0]}")
    cache = Path(os.environ.get("BENCH_DATA") or Path(tempfile.gettempdir()) / "compactor-bench")
    bench = Bench(
        cache=cache,
        scale=told.scale,
        repetitions=told.repeat,
        with_readers=not told.no_readers,
        options='{"timings": true}' if told.profile else "{}",
        say=lambda step: print(f"\r\033[K{step}", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None,
    )
    started = time.perf_counter()
    print(document.preface(bench))
    try:
        done = _printed(sections(bench, only))
    except Wrong as wrong:
        print(f"\n{wrong}", file=sys.stderr)
        return 1
    minutes = (time.perf_counter() - started) / 60
    print(f"{minutes:.1f} minutes")
    if told.write:
        print(f"written: {document.write(bench, done, sys.argv[1:], minutes)}")
    return 0


def _printed(found: Iterable[Section]) -> list[Section]:
    kept = []
    for section in found:
        print(("\r\033[K" if sys.stderr.isatty() else "") + section.text, flush=True)
        kept.append(section)
    return kept


if __name__ == "__main__":
    sys.exit(main())
