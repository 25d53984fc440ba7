"""Readers of Parquet files that share no code with us, each with the columns of support's test tables that it can tell exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import chdb
import deltalake
import duckdb
import fastparquet
import pandas
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """read(path, names): the rows in order of the column `id`, the first of the names. skips: types that it tells otherwise."""

    read: Callable[[Path, Sequence[str]], pa.Table]
    skips: Callable[[pa.DataType], bool] = lambda kind: False

    def check(self, path: Path, rows: pa.Table) -> None:
        """It reads exactly these rows. Raises AssertionError that names a column."""
        found = self.read(path, [field.name for field in rows.schema if not self.skips(field.type)])
        assert found.num_rows == rows.num_rows, (found.num_rows, rows.num_rows)
        assert found.num_columns
        for name in found.column_names:
            assert same(found[name], rows[name]), name


def same(found: pa.ChunkedArray, expected: pa.ChunkedArray) -> bool:
    """Whether a column has these values, whatever a reader calls its type."""
    if pa.types.is_timestamp(expected.type):
        return bool(found.cast(pa.timestamp("us", "UTC")).equals(expected))
    return bool(
        found.to_pylist() == expected.to_pylist() if pa.types.is_nested(expected.type) else found.cast(expected.type).equals(expected)
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _by_pyarrow(path: Path, names: Sequence[str]) -> pa.Table:
    return pq.read_table(path, columns=list(names))


def _by_page_indexes(path: Path, names: Sequence[str]) -> pa.Table:
    return ds.dataset(path).to_table(columns=list(names), filter=ds.field("id") >= 0)


def _by_duckdb(path: Path, names: Sequence[str]) -> pa.Table:
    with duckdb.connect() as connection:
        return connection.sql(f"SELECT {_listed(names)} FROM '{path}' ORDER BY id").to_arrow_table()


def _by_polars(path: Path, names: Sequence[str]) -> pa.Table:
    return pl.read_parquet(path, columns=list(names)).to_arrow()


def _by_datafusion(path: Path, names: Sequence[str]) -> pa.Table:
    place = path.with_suffix(".table")
    if not place.exists():
        place.mkdir()
        (place / path.name).hardlink_to(path)
        deltalake.convert_to_deltalake(place)
    query = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(place)).execute(f"SELECT {_listed(names)} FROM t ORDER BY id")
    return pa.table(query.read_all())


def _by_chdb(path: Path, names: Sequence[str]) -> pa.Table:
    return chdb.query(f"SELECT {_listed(names)} FROM file('{path}', Parquet) ORDER BY id SETTINGS max_threads=1", "ArrowTable")


def _by_fastparquet(path: Path, names: Sequence[str]) -> pa.Table:
    """Nulls of numbers are NaN there, and NaN nothing else."""
    frame = fastparquet.ParquetFile(str(path)).to_pandas(columns=list(names))
    columns = []
    for name in names:
        column: pandas.Series = frame[name]
        values = [None if value is None or value is pandas.NaT or value is pandas.NA else value for value in column.tolist()]
        columns.append(pa.array([None if isinstance(value, float) and math.isnan(value) else value for value in values]))
    return pa.table(dict(zip(names, columns, strict=True)))


def _not_chdb(kind: pa.DataType) -> bool:
    """What it calls otherwise: text and bytes are one to it, times have another zone, nulls of nested ones are none."""
    return pa.types.is_nested(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _not_fastparquet(kind: pa.DataType) -> bool:
    """What it turns into something else: decimals into floats, dates into times, nested columns into many."""
    return pa.types.is_nested(kind) or pa.types.is_decimal(kind) or pa.types.is_date(kind)


READERS = {
    "pyarrow": Reader(read=_by_pyarrow),
    "pyarrow with page indexes": Reader(read=_by_page_indexes),
    "duckdb": Reader(read=_by_duckdb),
    "polars": Reader(read=_by_polars, skips=pa.types.is_map),
    "datafusion": Reader(read=_by_datafusion),
    "chdb": Reader(read=_by_chdb, skips=_not_chdb),
    "fastparquet": Reader(read=_by_fastparquet, skips=_not_fastparquet),
}
