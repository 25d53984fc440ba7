"""Tables whose files other writers have written: the rows of a generated table, file by file, through DuckDB, Polars, or with zstd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.benchmarks.data import File, files_of, made

Rewrite = Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who writes, and with which codec."""

    name: str
    label: str
    codec: str
    open: Callable[[], Rewrite]


def _by_pyarrow() -> Rewrite:
    return lambda source, target: pq.write_table(pq.read_table(source), target, compression="zstd")


def _by_duckdb() -> Rewrite:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")

    def rewrite(source: Path, target: Path) -> None:
        connection.execute(f"COPY (SELECT * FROM read_parquet('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")

    return rewrite


def _by_polars() -> Rewrite:
    import polars

    return lambda source, target: polars.read_parquet(source).write_parquet(target, compression="snappy")


WRITERS = (
    Writer(name="zstd", label="pyarrow with zstd wrote it", codec="zstd", open=_by_pyarrow),
    Writer(name="duckdb", label="DuckDB wrote it", codec="snappy", open=_by_duckdb),
    Writer(name="polars", label="Polars wrote it", codec="snappy", open=_by_polars),
)


def rewritten(folder: Path, source: Path, writer: Writer) -> Path:
    """The table `source` as `writer` would have left it; made once."""

    def make() -> Iterable[File]:
        rewrite = writer.open()
        for file in files_of(source):
            rewrite(source / file.path, folder / file.path)
            yield File(path=file.path, size_bytes=(folder / file.path).stat().st_size, rows=file.rows, partition={})

    return made(folder, make, pq.read_schema(source / files_of(source)[0].path))
