"""`make bench`: compactions against deltalake, DuckDB, Polars and a byte copy; each engine in processes of its own, in turns.

    make bench                        everything at the default scale
    make bench ONLY=D1,D5 REPEAT=3    some parts
    make bench BENCH_SCALE=1          larger; BENCH_DATA is where generated tables are kept (the system's temporary folder)
    make bench ARGS=--generate        only make the tables, so that a quiet machine is not kept waiting for them
    make bench ARGS=--profile         where the time of our runs went, too
    make bench ARGS=--write           and docs/benchmarks.md is written, anew after each part
    make bench ARGS='--write --resume'  parts that are done by the same code with the same arguments are not done again

Parts: the data sets D1 to D8; D1 and D6 as other writers leave them (D1-zstd, …); S3; RAY; SHORT; ROWS, what a row's fingerprint costs.
A part that fails is reported, and the others are done nevertheless. Exit code 1 when one failed: when an engine changed the rows, when a
second run of ours rewrites anything, or when it could not be run; never for being slow.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.benchmarks import document
from tests.benchmarks.compare import Bench
from tests.benchmarks.datasets import SETS, DataSet
from tests.benchmarks.foreign import Lacking
from tests.benchmarks.section import Done, Kept, Section

DEFAULT_SCALE = 0.5
Part = Callable[[], Iterable[Section]]


def parts(bench: Bench) -> dict[str, Part]:
    """Everything that there is to measure, by name."""
    return {wanted.name: partial(_compared, bench, wanted) for wanted in SETS} | {
        "S3": partial(_s3, bench),
        "RAY": partial(_ray, bench),
        "SHORT": partial(_short, bench),
        "ROWS": partial(_rows, bench),
    }


def _compared(bench: Bench, wanted: DataSet) -> Iterator[Section]:
    yield Section.comparing(bench.compare(wanted))


def _s3(bench: Bench) -> Iterable[Section]:
    from tests.benchmarks.on_s3 import s3_sections

    return s3_sections(bench)


def _ray(bench: Bench) -> Iterator[Section]:
    from tests.benchmarks.ray_overhead import ray_section

    yield ray_section(bench)


def _short(bench: Bench) -> Iterator[Section]:
    from tests.benchmarks.short import short_runs

    yield Section.of("Short runs", short_runs(bench.cache, bench.scale, bench.repetitions))


def _rows(bench: Bench) -> Iterator[Section]:
    from tests.benchmarks.fingerprints import fingerprint_costs

    yield Section.of("Fingerprints of rows", fingerprint_costs(bench.repetitions))


def measured(asked: Mapping[str, Part], kept: Kept, *, resume: bool, say: Callable[[str], object]) -> Iterator[tuple[str, Done]]:
    """The parts as they are done, each kept; a part that fails has a section that says so."""
    for name, part in asked.items():
        before = kept.get(name) if resume else None
        if before is not None:
            yield name, before
            continue
        started = time.perf_counter()
        found: list[Section] = []
        try:
            found.extend(part())
        except Lacking as lacking:
            yield name, Done(sections=(Section.of(name, [f"left out: {lacking}"]),), seconds=0.0)
        except Exception as error:  # noqa: BLE001 - hours of figures are not lost because one part cannot be had
            why = f"{name} failed: {str(error).strip() or type(error).__name__}"
            say(why)
            yield name, Done(sections=(*found, Section.of(name, [why])), seconds=time.perf_counter() - started, failed=True)
        else:
            done = Done(sections=tuple(found), seconds=time.perf_counter() - started)
            kept.put(name, done)
            yield name, done


def _generate(sets: Iterable[DataSet], cache: Path, scale: float) -> int:
    for wanted in sets:
        try:
            print(wanted.make(cache, scale).folder, flush=True)
        except Lacking as lacking:
            print(f"{wanted.name} is left out: {lacking}")
    return 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help="parts, separated by commas")
    parser.add_argument("--repeat", type=int, default=int(os.environ.get("REPEAT") or 5), help="runs of each engine (5)")
    parser.add_argument("--scale", type=float, default=float(os.environ.get("BENCH_SCALE") or DEFAULT_SCALE), help="size of the data")
    parser.add_argument("--no-readers", action="store_true", help="leave out what readers pay for the results")
    parser.add_argument("--profile", action="store_true", help="where the time of our runs went (they take a little longer)")
    parser.add_argument("--write", nargs="?", type=Path, const=document.PATH, help="write docs/benchmarks.md, or a file of this name")
    parser.add_argument("--resume", action="store_true", help="take parts that are done already as they are")
    parser.add_argument("--generate", action="store_true", help="make the tables and measure nothing")
    told = parser.parse_args()
    cache = Path(os.environ.get("BENCH_DATA") or Path(tempfile.gettempdir()) / "compactor-bench")
    bench = Bench(
        cache=cache,
        scale=told.scale,
        repetitions=told.repeat,
        with_readers=not told.no_readers,
        options='{"timings": true}' if told.profile else "{}",
        say=lambda step: print(f"\r\033[K{step}", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None,
    )
    every = parts(bench)
    only = [part.strip() for part in told.only.split(",") if part.strip()]
    if unknown := sorted(set(only) - set(every)):
        parser.error(f"there is no part {unknown[0]}")
    asked = {name: part for name, part in every.items() if not only or name in only}
    if told.generate:
        return _generate((wanted for wanted in SETS if wanted.name in asked), cache, told.scale)
    about = document.preface(told.scale, told.repeat)
    arguments = " ".join(argument for argument in sys.argv[1:] if argument != "--resume")
    print(about)
    done: dict[str, Done] = {}
    for name, one in measured(asked, Kept(cache / "parts", f"{about}{bench.options}{bench.with_readers}"), resume=told.resume, say=print):
        done[name] = one
        print(("\r\033[K" if sys.stderr.isatty() else "") + "\n".join(section.text for section in one.sections), flush=True)
        print(f"{name}: {one.seconds / 60:.1f} minutes\n", flush=True)
        if told.write is not None:
            typed = document.command(told.scale, told.repeat, told.only, arguments)
            document.write(told.write, typed, about, done, [part for part in asked if part not in done])
    return 1 if any(one.failed for one in done.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
