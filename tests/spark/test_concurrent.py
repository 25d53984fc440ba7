"""Spark and we write at the same time: the rows are those of a serial order of what each side reported as committed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.conformance import FORCED
from support.reader_log import read_log
from support.spark import Row, SparkError, SparkTable

import compactor
from compactor.model.events import Event, GroupFinished
from compactor.model.run import RunStatus

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
Make = Callable[[str, str], SparkTable]
Outcome = Callable[[Counter[Row]], Counter[Row]]
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


def each(changed: Callable[[Row], Row | None], every: int, rest: int = 0) -> Outcome:
    """What becomes of rows when those whose id leaves a rest are changed, or deleted."""

    def outcome(rows: Counter[Row]) -> Counter[Row]:
        new: Counter[Row] = Counter()
        for row, count in rows.items():
            after = changed(row) if int(str(row[0])) % every == rest else row
            if after is not None:
                new[after] += count
        return new

    return outcome


BEGIN_S = 60
THIRDS = "merge into {t} t using (select id from range(0, 40, 3, 1) where meet('{path}.meet')) s on t.id = s.id when matched then "
SLOW: dict[str, tuple[str, Outcome]] = {
    "update": (
        THIRDS + "update set v = 'slow'",
        each(lambda row: (row[0], "slow", row[2]), 3),
    ),
    "delete": (
        THIRDS + "delete",
        each(lambda _: None, 3),
    ),
    "insert-values": (
        "insert into {t} select id, 'slow', 0 from range(1000, 1012, 1, 1) where meet('{path}.meet')",
        lambda rows: rows + Counter((str(i), "slow", "0") for i in range(1000, 1012)),
    ),
    "insert-from-itself": (
        "insert into {t} select id + 1000, v, p from {t} where meet('{path}.meet')",
        lambda rows: rows + Counter((str(int(str(row[0])) + 1000), *row[1:]) for row in rows.elements()),
    ),
}


def small_files(make: Make, vectors: str = "false") -> SparkTable:
    """Two partitions of several small files."""
    return make(
        "",
        "partitioned by (p) "
        + VECTORS.format(vectors)
        + " as select id, concat('row ', id) as v, cast(id % 2 as int) as p from range(0, 40, 1, 4)",
    )


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
    if vectors == "true":
        table.sql("vacuum {t} retain 0 hours")
        assert table.rows() == after[0], "Spark's VACUUM keeps what we committed"
        table.sql("delete from {t} where id in (13, 14)")
        after.append(table.rows())
    assert compactor.run(table.uri, settings=FORCED).exit_code == 0
    assert table.rows() == after[-1]


def test_spark_reads_the_vectors_that_we_write(make: Make) -> None:
    """Rows that Spark deletes while we rewrite are deleted by a vector of ours: it finds its rows, ids and changes, and goes on."""
    table = make(
        "",
        "tblproperties ('delta.enableDeletionVectors' = 'true', 'delta.enableRowTracking' = 'true', 'delta.enableChangeDataFeed' = 'true') "
        "as select id, concat('row ', id) as v from range(0, 200, 1, 4)",
    )
    after = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished) and not after:
            table.sql("delete from {t} where id in (0, 77, 199)")
            after.extend([table.seen(ids=True), table.changes()])

    run = compactor.run(table.uri, settings=FORCED, sink=interfere)
    assert run.status is RunStatus.COMMITTED, run.reason
    assert run.groups_dropped == ()
    assert any(key[1] for key in read_log(table.root).adds), "no vector was written"
    assert [table.seen(ids=True), table.changes()] == after
    table.sql("delete from {t} where id in (1, 78)")
    table.sql("vacuum {t} retain 0 hours")
    rows = table.seen(ids=True)
    assert rows < after[0]
    assert rows.total() == 195
    table.sql("optimize {t}")
    assert compactor.run(table.uri, settings=FORCED).status is RunStatus.COMMITTED
    assert table.seen(ids=True) == rows


@pytest.mark.parametrize("vectors", ["true", "false"], ids=["with-vectors", "without-vectors"])
@pytest.mark.parametrize("statement", SLOW)
def test_we_commit_while_spark_is_under_way(statement: str, vectors: str, make: Make) -> None:
    """A slow statement of Spark began before our commit: either Spark reports failure and nothing of it is there, or all of it is."""
    table = small_files(make, vectors)
    before = table.rows()
    sql, outcome = SLOW[statement]
    under_way = table.start(sql)
    begun = time.monotonic()
    while not Path(f"{table.root}.meet.begun").exists():
        assert not under_way.done(), under_way.exception()
        assert time.monotonic() < begun + BEGIN_S, "Spark did not come to its rows"
        time.sleep(0.05)
    run = compactor.run(table.uri, settings=FORCED)
    Path(f"{table.root}.meet.go").touch()
    assert run.status is RunStatus.COMMITTED, run.reason
    done = landed(under_way)
    assert table.rows() == (outcome(before) if done else before)
    if statement == "insert-values":
        assert done, "an append never fails because of us"
    table.sql(sql)
    assert table.rows() == outcome(outcome(before) if done else before), "the failed statement can be repeated"


def landed(under_way: Future[list[Row]]) -> bool:
    """Whether Spark reported its statement as committed; the only failure that may be is the conflict with us."""
    try:
        under_way.result(120)
    except SparkError as error:
        assert "DELTA_CONCURRENT" in str(error), error
        return False
    return True


def test_many_rounds_of_both(make: Make) -> None:
    """Over two rounds of statements beside compactions the rows are those of the statements that Spark reported, in their order."""
    table = small_files(make, "true")
    rows = table.rows()
    committed = 0
    for turn in range(2):
        for sql, outcome in round_of(turn):
            under_way = table.start(sql)
            run = compactor.run(table.uri, settings=FORCED)
            assert run.exit_code in (0, 4), f"{run.status}: {run.reason}"
            committed += run.status is RunStatus.COMMITTED
            rows = outcome(rows) if landed(under_way) else rows
        assert table.rows() == rows
    assert committed, "not one of ours was committed"


def round_of(turn: int) -> list[tuple[str, Outcome]]:
    """An insert, an update and a delete, each with what it makes of the rows."""
    new = Counter((str(100 * (turn + 1) + i), f"round {turn}", str(i % 2)) for i in range(6))
    return [
        (
            f"insert into {{t}} select id + {100 * (turn + 1)}, 'round {turn}', cast(id % 2 as int) from range(0, 6, 1, 2)",
            lambda rows: rows + new,
        ),
        (f"update {{t}} set v = concat(v, '+') where id % 7 = {turn}", each(lambda row: (row[0], f"{row[1]}+", row[2]), 7, turn)),
        (f"delete from {{t}} where id % 11 = {turn}", each(lambda _: None, 11, turn)),
    ]
