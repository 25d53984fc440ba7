"""Spark and we write at the same time: the rows are those of a serial order of what each side reported as committed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.conformance import FORCED
from support.spark import Row, SparkError, SparkTable

import compactor
from compactor.model.events import Event, GroupFinished
from compactor.model.run import Run, RunStatus

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
Make = Callable[[str, str], SparkTable]
VECTORS = "tblproperties ('delta.enableDeletionVectors' = '{}')"
STATEMENTS = {
    "insert": "insert into {t} values (900, 'while', 0)",
    "delete-rows": "delete from {t} where id % 4 = 0 and p = 0",
    "update-rows": "update {t} set v = 'changed' where id in (2, 6, 30)",
    "merge": "merge into {t} t using (select 4 as id, 'merged' as v union all select 901, 'new') s on t.id = s.id "
    "when matched then update set v = s.v when not matched then insert (id, v, p) values (s.id, s.v, 0)",
    "delete-partition": "delete from {t} where p = 0",
    "add-column": "alter table {t} add column (extra int)",
    "optimize": "optimize {t}",
    "overwrite": "insert overwrite {t} values (1, 'only', 0)",
}


def small_files(make: Make, vectors: str = "false") -> SparkTable:
    """Two partitions of several small files."""
    table = make("id bigint, v string, p int", "partitioned by (p) " + VECTORS.format(vectors))
    for start in (0, 20):
        table.sql(f"insert into {{t}} select id, concat('row ', id), cast(id % 2 as int) from range({start}, {start + 20}, 1, 2)")
    return table


@pytest.mark.parametrize("vectors", ["true", "false"], ids=["with-vectors", "without-vectors"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_spark_commits_before_we_do(statement: str, vectors: str, make: Make) -> None:
    """A statement of Spark lands between our rewrite and our commit: its outcome stands, whatever becomes of our groups."""
    if vectors == "true" and statement in ("insert", "add-column", "overwrite"):
        pytest.skip("the same without vectors")
    table = small_files(make, vectors)
    after: list[dict[Row, int]] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished) and not after:
            table.sql(STATEMENTS[statement])
            after.append(table.rows())

    run = compactor.run(table.uri, settings=FORCED, sink=interfere)
    assert after, "Spark was not asked"
    assert table.rows() == after[0], f"{run.status}: {run.reason}"
    assert run.status in (RunStatus.COMMITTED, RunStatus.CONFLICT), run.reason
    assert run.groups_committed + len(run.groups_dropped) == run.groups_planned
    if statement in ("insert", "update-rows", "delete-rows", "delete-partition", "merge"):
        assert run.groups_committed >= 1, "groups that Spark did not touch stand"
    assert compactor.run(table.uri, settings=FORCED).exit_code == 0
    assert table.rows() == after[0]


@pytest.mark.parametrize("vectors", ["true", "false"], ids=["with-vectors", "without-vectors"])
@pytest.mark.parametrize(
    "statement",
    [
        "update {t} set v = 'slow' where p = 0 and pause(0.2)",
        "delete from {t} where id % 3 = 0 and pause(0.2)",
        "insert into {t} select id + 1000, v, p from {t} where pause(0.2)",
    ],
    ids=["update", "delete", "insert"],
)
def test_we_commit_while_spark_is_under_way(statement: str, vectors: str, make: Make) -> None:
    """A slow statement of Spark began before our commit: either Spark reports failure and nothing of it is there, or all of it is."""
    table = small_files(make, vectors)
    unchanged = table.rows()
    version = max(table.versions())
    under_way = table.start(statement)
    run = wait_and_compact(table, under_way.done)
    try:
        under_way.result(120)
        done = True
    except SparkError:
        done = False
    assert run.status in (RunStatus.COMMITTED, RunStatus.CONFLICT)
    if not done:
        assert table.rows() == unchanged
        return
    alone = SparkTable(table.spark, table.root.with_name("alone"))
    alone.sql(f"create table {{t}} using delta partitioned by (p) as select * from delta.`{table.root}` version as of {version}")
    alone.sql(statement)
    assert table.rows() == alone.rows()


def wait_and_compact(table: SparkTable, done: Callable[[], bool]) -> Run:
    """Compact once Spark has surely begun, and not yet ended."""
    import time

    time.sleep(1.0)
    assert not done(), "Spark was too fast for the test"
    return compactor.run(table.uri, settings=FORCED)


def test_many_rounds_of_both(make: Make) -> None:
    """Over several rounds of statements beside compactions the rows are those of the statements that Spark reported, in their order."""
    table = small_files(make, "true")
    alone = SparkTable(table.spark, table.root.with_name("alone"))
    alone.sql("create table {t} using delta partitioned by (p) as select * from delta.`" + str(table.root) + "`")
    for turn in range(4):
        statements = [
            f"insert into {{t}} select id + {100 * (turn + 1)}, 'round {turn}', cast(id % 2 as int) from range(0, 6, 1, 2)",
            f"update {{t}} set v = concat(v, '+') where id % 7 = {turn}",
            f"delete from {{t}} where id % 11 = {turn}",
        ]
        for statement in statements:
            under_way = table.start(statement)
            run = compactor.run(table.uri, settings=FORCED)
            assert run.exit_code in (0, 4), f"{run.status}: {run.reason}"
            try:
                under_way.result(120)
            except SparkError as error:
                assert "Concurrent" in str(error) or "concurrent" in str(error), error
                continue
            alone.sql(statement)
        assert table.rows() == alone.rows()
