"""The written form of a bench: docs/benchmarks.md, with the machine, versions and command that gave its figures. Never a name of a host."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.measure import ROOT
from tests.benchmarks.section import Done

PATH = ROOT / "docs/benchmarks.md"
PACKAGES = ("pyarrow", "deltalake", "duckdb", "polars", "ray", "numpy", "lakehouse-compactor", "lakehouse-compactor-native")
_MEASURED = ("compactor", "cli", "native", "tests/benchmarks")
_HOW = """How to read this: every engine ran in processes of its own, in turns, on hard links to the same files with warm caches; figures
are medians. `seconds` count beyond interpreter start and imports, and everything that a run starts by itself (worker processes,
say) is in them; `whole process` has start and imports too. Memory is the peak of the whole process tree, pages that processes
share counted once. `× deltalake` and `× copy` are ratios of `seconds`: of deltalake's to the engine's (above 1 is faster), and of
the engine's to those of a byte copy; `processor ×` is the first of them by processor time. What an engine of ours did itself is
in brackets where it is not the one that was asked for. Rows of every result were compared with the source's by DuckDB (a sum over
hashes of whole rows in the first repetition, their number in the others). Before each run as much memory as runs need is used
and let go, and the table's files are read: the host of a virtual machine takes back what was free, or not read, for a while.
`copy` reads and writes 256 KiB at a time, with a thread a processor where files are large; `copy-flushed` ends when the disk
has it all, which this project waits for before it commits, while the other engines leave it to the operating system.
`deltalake` writes with the table's codec,
`deltalake-default` as it does when nobody says."""


def preface(scale: float, repetitions: int) -> str:
    """Machine, versions and scale."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return (
        f"{os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}; commit {_commit()}; scale {scale:g}, {repetitions} repetitions "
        "where a heading does not say fewer.\n"
    )


def write(path: Path, command: str, about: str, done: Mapping[str, Done], missing: Collection[str]) -> None:
    """Write the document with what is done so far. about: the preface; missing: parts that were asked for and are not there yet."""
    sections = [section for part in done.values() for section in part.sections]
    minutes = sum(part.seconds for part in done.values()) / 60
    lacks = f"Not measured yet: {', '.join(missing)}.\n" if missing else ""
    verdicts = [bar for section in sections for bar in section.bars]
    counted = {verdict: sum(bar.verdict == verdict for bar in verdicts) for verdict in ("met", "MISSED", "not measured")}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counted.items())
    head = f"# Benchmarks\n\nWritten by `{command}` in {minutes:.0f} minutes. {about}\n{_HOW}\n"
    summary = f"## All bars\n\n{len(verdicts)} bars: {told}.\n\n{report.judged(verdicts)}\n"
    path.write_text("\n".join([head, *([lacks] if lacks else []), summary, *(section.markdown for section in sections)]))


def command(scale: float, repetitions: int, only: str, arguments: str) -> str:
    """What has to be typed for the same figures."""
    given = {"BENCH_SCALE": f"{scale:g}", "REPEAT": str(repetitions), "ONLY": only, "ARGS": f"'{arguments}'" if arguments else ""}
    return " ".join(["make bench", *(f"{key}={value}" for key, value in given.items() if value)])


def _commit() -> str:
    """The last commit of what is measured, and whether anything of it has been changed since; other files do not matter."""
    last, changed = (_git(*asked, "--", *_MEASURED) for asked in (("log", "-1", "--format=%h"), ("status", "--porcelain", "-uno")))
    return (last or "unknown") + (" with changes" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or sys.platform)
