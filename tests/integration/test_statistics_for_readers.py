"""Statistics of our commits as real readers use them: a filter on an exact value finds its rows after a compaction."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from support import delta_log
from support.plain_compactor import by_partition, clickhouse_rows, compact, deltalake_rows

import compactor
from compactor.model.commit import Committed
from compactor.model.engine import EngineMode
from compactor.storage import open_store

PRECISE = Decimal("9007199254740993.01")
MOMENT = datetime.datetime(2024, 1, 1, 0, 0, 0, 123_456, tzinfo=datetime.UTC)
LONG = "prefix " * 8 + "end"
FILTERS = [
    "d = cast('9007199254740993.01' as decimal(20, 2))",
    "d >= cast('9007199254740993.01' as decimal(20, 2))",
    "t = timestamp '2024-01-01T00:00:00.123456Z'",
    "t > timestamp '2024-01-01T00:00:00.1234Z'",
    f"s = '{LONG}'",
    f"s >= '{LONG}'",
    "day = date '2024-01-01'",
    "n = 9007199254740993",
    "id = 2",
]


@pytest.fixture
def compacted(tmp_path: Path) -> str:
    from deltalake import write_deltalake

    uri = str(tmp_path / "table")
    for i in range(3):
        rows = pa.table(
            {
                "id": [i],
                "d": pa.array([PRECISE - 2 + i], pa.decimal128(20, 2)),
                "t": pa.array([MOMENT - datetime.timedelta(days=2 - i)], pa.timestamp("us", "UTC")),
                "s": [LONG if i == 2 else "p"],
                "day": [datetime.date(2024, 1, 1) - datetime.timedelta(days=2 - i)],
                "n": [2**53 + i - 1],
                "f": [float("nan") if i == 2 else 1.5],
            }
        )
        write_deltalake(uri, rows, mode="append")
    store = open_store(uri)
    snapshot = delta_log.load(store)
    assert isinstance(compact(store, list(by_partition(snapshot).values()), snapshot), Committed)
    return uri


def test_filters_find_exact_values(compacted: str) -> None:
    """Every filter on the largest value of a column finds that row by deltalake's SQL."""
    from deltalake import DeltaTable, QueryBuilder

    builder = QueryBuilder().register("t", DeltaTable(compacted))
    for condition in FILTERS:
        found = pa.table(builder.execute(f"select id from t where {condition}").read_all())
        assert found["id"].to_pylist() == [2], condition


def test_every_type_reads_alike(compacted: str) -> None:
    """All columns come back the same by two readers that share no code."""
    columns = "id, cast(d as varchar) as d, s, cast(day as varchar) as day, n"
    other = columns.replace("varchar", "String")
    assert deltalake_rows(compacted, columns=columns) == clickhouse_rows(Path(compacted), other)


@pytest.mark.parametrize("engine", ["transcode", "auto"])
def test_filters_find_minus_zero(engine: EngineMode, tmp_path: Path) -> None:
    """A filter on zero of either sign finds rows of minus zero by deltalake's SQL, as before the compaction."""
    from deltalake import DeltaTable, QueryBuilder, write_deltalake

    uri = str(tmp_path / "table")
    for _ in range(3):
        write_deltalake(uri, pa.table({"f": [-0.0, 2.0], "g": pa.array([-0.0, -0.0], pa.float32())}), mode="append")
    assert compactor.run(uri, settings=compactor.Settings(executor="serial", engine=engine, min_input_files=2)).status == "committed"
    builder = QueryBuilder().register("t", DeltaTable(uri))
    for condition, rows in [("f = -0.0", 3), ("f <= -0.0", 3), ("f = 0.0", 3), ("g = -0.0", 6), ("g >= 0.0", 6)]:
        found = pa.table(builder.execute(f"select count(*) as n from t where {condition}").read_all())
        assert found["n"].to_pylist() == [rows], condition
