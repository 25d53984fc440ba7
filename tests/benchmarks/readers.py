"""What readers pay for a layout: `python -m tests.benchmarks.readers READER TABLE` prints processor and wall seconds of each query.

Queries: all columns, one column, a point (one id), and counts by a string. The files of the table are named to the reader, so that no log
is read; a first query of one column warms libraries and caches.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.contents import live_files
from tests.benchmarks.engines import processor_s

QUERIES = ("scan", "column", "point", "group by")
COLUMNS = {"id": ("amount", "id", "city"), "l_orderkey": ("l_extendedprice", "l_orderkey", "l_shipmode")}
"""By a table's first column: which one is summed, searched and grouped by."""

MOST_REPETITIONS = 3
_ENOUGH_S = 0.25

Queries = dict[str, Callable[[], object]]


def by_pyarrow(files: list[str], measure: str, key: str, group: str) -> Queries:
    """pyarrow.dataset."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    table = ds.dataset(files)
    return {
        "scan": lambda: sum(batch.num_rows for batch in table.to_batches()),
        "column": lambda: pc.sum(table.to_table(columns=[measure])[measure]),
        "point": lambda: table.to_table(filter=pc.field(key) == 1234).num_rows,
        "group by": lambda: table.to_table(columns=[group]).group_by(group).aggregate([([], "count_all")]),
    }


def by_duckdb(files: list[str], measure: str, key: str, group: str) -> Queries:
    """DuckDB."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.read_parquet(files).create_view("t")  # type: ignore[arg-type]

    def ask(query: str) -> Callable[[], object]:
        return lambda: connection.execute(query).to_arrow_table()

    return {
        "scan": ask("SELECT bit_xor(hash(COLUMNS(*))) FROM t"),
        "column": ask(f"SELECT sum({measure}) FROM t"),
        "point": ask(f"SELECT * FROM t WHERE {key} = 1234"),
        "group by": ask(f"SELECT {group}, count(*) FROM t GROUP BY ALL"),
    }


def by_polars(files: list[str], measure: str, key: str, group: str) -> Queries:
    """Polars."""
    import polars as pl

    table = pl.scan_parquet(files)
    return {
        "scan": lambda: table.collect().height,
        "column": lambda: table.select(pl.col(measure).sum()).collect(),
        "point": lambda: table.filter(pl.col(key) == 1234).collect().height,
        "group by": lambda: table.group_by(group).len().collect(),
    }


READERS: dict[str, Callable[[list[str], str, str, str], Queries]] = {"pyarrow": by_pyarrow, "duckdb": by_duckdb, "polars": by_polars}


def main(reader: str, table: str) -> None:
    """See the module."""
    import pyarrow.parquet as pq

    files = live_files(Path(table))
    queries = READERS[reader](files, *COLUMNS[pq.read_schema(files[0]).names[0]])
    queries["column"]()
    print(json.dumps({name: _cost(queries[name]) for name in QUERIES}))


def _cost(query: Callable[[], object]) -> dict[str, float]:
    """Seconds of one call, from as many as fill a quarter of a second."""
    calls, before_s, started = 0, processor_s(), time.perf_counter()
    while not calls or time.perf_counter() - started < _ENOUGH_S:
        query()
        calls += 1
    return {"processor_s": (processor_s() - before_s) / calls, "seconds": (time.perf_counter() - started) / calls}


if __name__ == "__main__":
    main(*sys.argv[1:])
