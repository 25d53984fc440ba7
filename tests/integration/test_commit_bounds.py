"""A run commits as its groups finish: by files, by bytes and by time, so that a commit loses and costs others little."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.delta_tables import HandTable, make_table, table_of
from support.same_rows import FORCED, rows_of

import compactor
from compactor.errors import SettingsError
from compactor.model.commit import Committed
from compactor.model.events import CommitLanded, Event
from compactor.model.run import RunStatus

GROUPS = 6
SERIAL = FORCED.model_copy(update={"executor": "serial"})


@pytest.fixture
def table(tmp_path: Path) -> HandTable:
    """Six partitions of three files each: a group each."""
    rows = table_of(n=range(180), p=[i % GROUPS for i in range(180)])
    return make_table(tmp_path / "t", rows, files=3, partition_by=["p"])


def commits(table: HandTable, **settings: object) -> list[Committed]:
    """The commits of a run, whose rows are checked."""
    landed: list[Committed] = []

    def sink(event: Event) -> None:
        if isinstance(event, CommitLanded):
            landed.append(event.outcome)

    before = rows_of(table)
    run = compactor.run(table.uri, settings=SERIAL.model_copy(update=settings), sink=sink)
    assert (run.status, run.groups_committed) == (RunStatus.COMMITTED, GROUPS), run.reason
    after = rows_of(table)
    assert {reader: after[reader] for reader in before} == before
    return landed


def test_one_commit_where_nothing_bounds_it(table: HandTable) -> None:
    """By default a run of a few small groups is one commit."""
    assert [len(commit.groups) for commit in commits(table)] == [GROUPS]


@pytest.mark.parametrize(("bound", "groups"), [(6, 2), (7, 2), (8, 2), (9, 3), (2, 1)])
def test_a_commit_removes_at_most_so_many_files(table: HandTable, bound: int, groups: int) -> None:
    """Groups of three files are committed by as many as fit into the bound; one that exceeds it by itself goes alone."""
    landed = commits(table, commit_files=bound)
    assert [len(commit.groups) for commit in landed] == [groups] * (GROUPS // groups)
    assert all(commit.files_removed <= max(3, bound) for commit in landed)


def test_a_commit_removes_at_most_so_many_bytes(table: HandTable) -> None:
    """Groups are committed before their inputs exceed the bytes that one commit may remove."""
    largest = max(sum(add["size"] for add in table.live() if add["partitionValues"] == {"p": str(p)}) for p in range(GROUPS))
    landed = commits(table, commit_bytes=int(2.5 * largest))
    assert [len(commit.groups) for commit in landed] == [2, 2, 2]
    assert all(commit.bytes_removed <= 2.5 * largest for commit in landed)


def test_what_has_waited_long_enough_is_committed(table: HandTable) -> None:
    """With no time to wait, each group is committed when it is finished."""
    assert [len(commit.groups) for commit in commits(table, commit_interval=0.0)] == [1] * GROUPS


def test_nothing_waits_longer_than_an_hour() -> None:
    """An interval above an hour is refused by name."""
    assert compactor.Settings(commit_interval="1h").bounds().interval_s == 3600
    with pytest.raises(SettingsError, match=r"commit_interval: .*at least every hour"):
        compactor.Settings(commit_interval="61m")
