"""Delta on Spark makes tables with every feature, and finds after a compaction what was there before; both go on writing in turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.conformance import FORCED
from support.protocol_check import check_entry
from support.protocol_terms import check_terms
from support.reader_log import key_of, read_log
from support.spark import SparkTable
from support.spark_tables import FEATURES, Feature

import compactor
from compactor.model.run import Run, RunStatus
from compactor.storage import open_store

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
Make = Callable[[str, str], SparkTable]


def compacted(table: SparkTable, feature: Feature) -> Run:
    """A run that commits and changes nothing that Spark can see: rows, row ids, the change feed, and every older version."""
    before = read_log(table.root)
    rows = table.rows()
    ids = table.row_ids() if feature.tracked else None
    changes = table.changes() if feature.fed else None
    run = compactor.run(table.uri, settings=FORCED)
    assert run.status is RunStatus.COMMITTED, f"{run.status}: {run.reason}"
    assert run.files_removed > 0
    assert table.rows() == rows
    if feature.tracked:
        assert table.row_ids() == ids
    if feature.fed:
        assert table.changes() == changes
    assert table.rows(before.version) == rows
    check_entry(open_store(table.uri), run.version or 0, {key_of(add): add for add in before.adds.values()}, parquet=True)
    check_terms(table.root, run.version or 0)
    return run


@pytest.mark.parametrize("name", FEATURES)
def test_spark_and_we_write_in_turns(name: str, make: Make) -> None:
    """Spark writes, we compact, Spark reads the same, writes more, optimizes and vacuums, and we compact again."""
    feature = FEATURES[name]
    table = make(feature.columns, feature.more)
    for statement in feature.first:
        table.sql(statement)
    oldest = table.rows(2)
    compacted(table, feature)
    assert table.rows(2) == oldest, "time travel"

    expected = table.rows()
    for statement in feature.later:
        table.sql(statement)
    assert table.rows() != expected, "Spark went on writing"
    written = table.rows()
    table.sql("optimize {t}")
    assert table.rows() == written
    compacted(table, feature)
    table.sql("vacuum {t} retain 0 hours")
    assert table.rows() == written
    assert table.operations().count("OPTIMIZE") >= 2
    table.sql(feature.later[-1].replace("= 3", "= 4").replace("(5, ", "(6, "))
    table.rows()


def test_filters_find_their_rows(make: Make) -> None:
    """With our statistics Spark skips no file that has a row it asks for: exact decimals, long strings, microseconds, NaN."""
    table = make("id bigint, s string, d decimal(20,2), t timestamp, x double", "")
    for i in range(4):
        number = "double('NaN')" if i == 3 else str(i)
        table.sql(
            f"insert into {{t}} values ({i}, concat(repeat('prefix ', 8), '{i}'), cast('900719925474099{i}.01' as decimal(20,2)), "
            f"timestamp '2024-01-01 00:00:00.12345{i}', {number})"
        )
    filters = [
        "s = concat(repeat('prefix ', 8), '3')",
        "d = cast('9007199254740993.01' as decimal(20,2))",
        "d >= cast('9007199254740993.01' as decimal(20,2))",
        "t = timestamp '2024-01-01 00:00:00.123453'",
        "t > timestamp '2024-01-01 00:00:00.1234525'",
        "x = double('NaN')",
        "x > 1e300",
        "id = 3",
    ]
    before = [table.rows(where=condition) for condition in filters]
    assert all(rows.total() == 1 for rows in before)
    compacted(table, Feature())
    assert [table.rows(where=condition) for condition in filters] == before
