"""The data sets D1 to D8, each scaled, and the same data as other writers leave it.

Targets shrink with files that are scaled in size, so that the shape of the work stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import data, foreign
from tests.benchmarks.rows import lineitem_rows, mixed_rows, tiny_rows, wide_rows

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A generated table, and the file size to compact it to."""

    folder: Path
    target_bytes: int
    codec: str = "snappy"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set. others: the engines to compare with; without: those of ours that nobody would choose for it. readers: whether the cost
    of reading the results is measured.

    most_repetitions: for what takes too long to be repeated as often as asked.
    """

    name: str
    title: str
    make: Callable[[Path, float], Source]
    others: tuple[str, ...] = ("deltalake", "duckdb", "polars", "copy")
    without: tuple[str, ...] = ("stitch",)
    readers: bool = False
    most_repetitions: int = 99


def _count(most: int, scale: float, least: int) -> int:
    return max(least, round(most * scale))


def _d1(cache: Path, scale: float) -> Source:
    files = _count(2000, scale, 12)
    return Source(folder=data.small_files(cache / f"d1-{files}", files, 4200), target_bytes=128 * MIB)


def _d2(cache: Path, scale: float) -> Source:
    source, partitions = _d1(cache, scale).folder, max(3, min(50, round(500 * scale)))
    return Source(folder=data.spread(cache / f"d2-{source.name}-{partitions}", source, partitions), target_bytes=128 * MIB)


def _d3(cache: Path, scale: float) -> Source:
    files = _count(20_000, scale, 40)
    return Source(folder=data.written(cache / f"d3-{files}", mixed_rows, files, 90), target_bytes=128 * MIB)


def _sized(scale: float) -> float:
    """How much smaller single files are made where a tenth of their number would be none."""
    return min(1.0, 10 * scale)


def _d4(cache: Path, scale: float) -> Source:
    rows, groups = round(850_000 * _sized(scale)), _count(24, min(0.5, scale), 4)
    folder = data.written(cache / f"d4-{rows}-{groups}", mixed_rows, 2, rows, row_groups=groups)
    largest = max(file.size_bytes for file in data.files_of(folder))
    return Source(folder=folder, target_bytes=min(256 * MIB, largest // 3))


def _d5(cache: Path, scale: float) -> Source:
    files, rows = _count(32, scale, 4), round(350_000 * _sized(scale))
    folder = data.written(cache / f"d5-{files}-{rows}", mixed_rows, files, rows)
    return Source(folder=folder, target_bytes=round(128 * MIB * _sized(scale)))


def _d6(cache: Path, scale: float) -> Source:
    files = _count(500, scale, 12)
    return Source(folder=data.written(cache / f"d6-{files}", lineitem_rows, files, 12_000), target_bytes=128 * MIB)


def _d7(cache: Path, scale: float) -> Source:
    files, rows = _count(40, scale, 4), max(50, round(500 * _sized(scale)))
    return Source(folder=data.written(cache / f"d7-{files}-{rows}", wide_rows, files, rows), target_bytes=128 * MIB)


def _d8(cache: Path, scale: float) -> Source:
    partitions = _count(100_000, scale / 20, 30)
    return Source(folder=data.tiny_partitions(cache / f"d8-{partitions}", tiny_rows, partitions), target_bytes=128 * MIB)


def _by(writer: foreign.Writer, make: Callable[[Path, float], Source]) -> Callable[[Path, float], Source]:
    def rewritten(cache: Path, scale: float) -> Source:
        source = make(cache, scale / 2)
        codec = writer.codec
        folder = foreign.rewritten(cache / f"{source.folder.name}-{writer.name}", source.folder, writer)
        return Source(folder=folder, target_bytes=source.target_bytes, codec=codec)

    return rewritten


_COPIES = ("copy", "copy-flushed")
_D5 = ("deltalake", "duckdb", "polars", *_COPIES)
_MIXED, _LINES = "small files of 12 mixed columns, 4,200 rows each", "lineitem-like files of 12,000 rows"
SETS = (
    DataSet(name="D1", title=_MIXED, make=_d1, others=("deltalake", "deltalake-default", "duckdb", "polars", "copy"), readers=True),
    DataSet(name="D2", title="the same in 50 partitions", make=_d2, others=("deltalake", "duckdb", "copy")),
    DataSet(name="D3", title="very small files of 12 mixed columns", make=_d3),
    DataSet(name="D4", title="two oversized files, split", make=_d4, others=("duckdb", *_COPIES), without=("fuse",), most_repetitions=3),
    DataSet(name="D5", title="files of one row group of 350,000 rows", make=_d5, others=_D5, without=("fuse",), readers=True),
    DataSet(name="D6", title=_LINES, make=_d6, others=("deltalake", "deltalake-default", "duckdb", "polars", "copy"), readers=True),
    DataSet(name="D7", title="files of 2,000 columns", make=_d7, others=("deltalake", "duckdb", "copy"), most_repetitions=3),
    DataSet(name="D8", title="partitions of two tiny files (100,000 at scale 20)", make=_d8, others=("deltalake",), most_repetitions=2),
    *(
        DataSet(
            name=f"{name}-{writer.name}",
            title=f"{name} of half the files, as {writer.label}",
            make=_by(writer, make),
            others=("deltalake",),
            without=("stitch", "fuse"),
            most_repetitions=3,
        )
        for name, make in (("D1", _d1), ("D6", _d6))
        for writer in foreign.WRITERS
    ),
)
