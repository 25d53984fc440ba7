"""Delta on Spark makes tables with every feature, and finds after a compaction what was there before; both go on writing in turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from support.conformance import FORCED
from support.protocol_check import check_entry
from support.protocol_terms import check_terms
from support.reader_log import key_of, read_log
from support.spark import Row, SparkTable
from support.spark_tables import FEATURES, Feature

import compactor
from compactor.model.run import RunStatus
from compactor.storage import open_store

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
Make = Callable[[str, str], SparkTable]


def compacted(table: SparkTable, feature: Feature) -> Counter[Row]:
    """The rows, which a run that commits leaves as they are, with their ids and the change feed."""
    before = read_log(table.root)
    seen = table.seen(ids=feature.tracked)
    changes = table.changes() if feature.fed else None
    run = compactor.run(table.uri, settings=FORCED)
    assert run.status is RunStatus.COMMITTED, f"{run.status}: {run.reason}"
    assert run.files_removed > 0
    assert table.seen(ids=feature.tracked) == seen
    if feature.fed:
        assert table.changes() == changes
    check_entry(open_store(table.uri), run.version or 0, {key_of(add): add for add in before.adds.values()}, parquet=True)
    check_terms(table.root, run.version or 0)
    return without_ids(seen) if feature.tracked else seen


def without_ids(seen: Counter[Row]) -> Counter[Row]:
    """Rows without the last two columns."""
    rows: Counter[Row] = Counter()
    for row, count in seen.items():
        rows[row[:-2]] += count
    return rows


@pytest.mark.parametrize("name", FEATURES)
def test_spark_and_we_write_in_turns(name: str, make: Make) -> None:
    """Spark writes, we compact, Spark reads the same, writes more, optimizes, we compact again, and Spark vacuums: no row is lost."""
    feature = FEATURES[name]
    table = make(feature.columns, feature.more)
    for statement in feature.first:
        table.sql(statement)
    oldest = compacted(table, feature)
    for statement in feature.later:
        table.sql(statement)
    written = table.rows()
    assert written != oldest, "Spark went on writing"
    table.sql("optimize {t}")
    for statement in feature.again:
        table.sql(statement)
    found = compacted(table, feature)
    assert found == written if not feature.again else found > written, "Spark's OPTIMIZE and ours change nothing"
    if feature.vacuumed:
        table.sql("vacuum {t} retain 0 hours")
        assert table.rows() == found
    assert feature.never is None or not table.sql(feature.never)


@pytest.mark.parametrize("stamps", ["true", "false"])
def test_time_travel_finds_every_version(stamps: str, make: Make) -> None:
    """Versions before and after ours are found by number and by time, and Spark's history names ours as an OPTIMIZE."""
    table = make("id bigint, v string, x double, p int", f"tblproperties ('delta.enableInCommitTimestamps' = '{stamps}')")
    seen = [table.rows()]
    for statement in FEATURES["plain"].first:
        table.sql(statement)
        seen.append(table.rows())
    compacted(table, FEATURES["plain"])
    table.sql("insert into {t} values (600, 'last', 0, 0)")
    seen += [seen[-1], table.rows()]
    history = sorted(table.history())
    assert [operation for _, _, operation in history][3] == "OPTIMIZE"
    for version, time, _ in history:
        assert table.rows(version) == seen[version]
        assert Counter(table.sql(f"select * from {{t}} timestamp as of '{time}'")) == seen[version]


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
