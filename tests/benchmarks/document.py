"""The written form of a bench: docs/benchmarks.md, with the machine, versions and command that gave its figures. Never a name of a host."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.bars import Bar
from tests.benchmarks.compare import Bench
from tests.benchmarks.measure import ROOT

PACKAGES = ("pyarrow", "deltalake", "duckdb", "polars", "ray", "numpy", "lakehouse-compactor", "lakehouse-compactor-native")
_HOW = """How to read this: every engine ran in processes of its own, in turns, on hard links to the same files with warm caches; figures
are medians. `seconds` count beyond interpreter start and imports, and everything that a run starts by itself (worker processes,
say) is in them; `whole process` has start and imports too. Memory is the peak of the whole process tree, pages that processes
share counted once. `× deltalake` and `× copy` are ratios of `seconds`: of deltalake's to the engine's (above 1 is faster), and of
the engine's to those of a byte copy; `processor ×` is the first of them by processor time. What an engine of ours did itself is
in brackets where it is not the one that was asked for. Rows of every result were compared with the source's by DuckDB (a sum over
hashes of whole rows in the first repetition, their number in the others). `deltalake` writes with the table's codec, `deltalake-
default` as it does when nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report in both forms."""

    text: str
    markdown: str

    @classmethod
    def of(cls, title: str, lines: Iterable[Bar | str]) -> Section:
        """A section of lines."""
        said = [str(line) for line in lines]
        text = "\n".join([title, *(f"  {line}" for line in said)]) + "\n"
        return cls(text=text, markdown=f"## {title}\n\n" + "\n".join(f"- {line}" for line in said) + "\n")


def preface(bench: Bench) -> str:
    """Machine, versions and scale."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return (
        f"{os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}; scale {bench.scale:g}, {bench.repetitions} repetitions.\n"
    )


def write(bench: Bench, sections: list[Section], arguments: list[str], minutes: float) -> Path:
    """Write docs/benchmarks.md and say where it is."""
    path = ROOT / "docs/benchmarks.md"
    given = {"BENCH_SCALE": f"{bench.scale:g}", "REPEAT": str(bench.repetitions), "ONLY": os.environ.get("ONLY", "")}
    command = " ".join(["make bench", *(f"{key}={value}" for key, value in given.items() if value), f"ARGS='{' '.join(arguments)}'"])
    head = f"# Benchmarks\n\nWritten by `{command}` in {minutes:.0f} minutes. {preface(bench)}\n{_HOW}\n"
    path.write_text("\n".join([head, *(section.markdown for section in sections)]))
    return path.relative_to(ROOT)


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
