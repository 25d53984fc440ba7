"""Which partitions others wrote to lately: by the store's dates of the log's entries, and only by changes of rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, remove_files, table_of

import compactor
from compactor.model.health import Skip
from compactor.model.plan import LeftOut
from compactor.model.run import RunStatus
from compactor.pipeline import prepare
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.tables.delta import activity
from compactor.tables.delta.activity import recent_writes
from compactor.tables.delta.known_entries import KnownEntries
from compactor.wiring import open_ports

HOUR_S = 3600
QUIET = Settings(quiet_period="15m", min_input_files=2)


@pytest.fixture
def table(tmp_path: Path) -> HandTable:
    """Three partitions of four files each, all written an hour ago."""
    rows = table_of(n=range(120), p=[i % 3 for i in range(120)])
    features = {"features": ["deletionVectors"], "properties": {"delta.enableDeletionVectors": "true"}}
    made = make_table(tmp_path / "t", rows, files=4, partition_by=["p"], **features)
    age(made)
    return made


def age(table: HandTable, seconds: float = HOUR_S) -> None:
    """Everything in the log so far was written so long ago, by the store's dates."""
    for entry in table.log.glob("*.json"):
        then = entry.stat().st_mtime - seconds
        os.utime(entry, (then, then))


def busy(table: HandTable, within_s: float = 900) -> dict[str | None, bool]:
    """Values of the busy partitions, and whether rows were changed there."""
    snapshot = compactor.load(table.uri)
    store = open_store(table.uri)
    found = recent_writes(store, snapshot, store.now_ms() - int(within_s * 1000), KnownEntries())
    return {snapshot.partitions["p"][number].as_py(): changed for number, changed in found.items()}


def in_partition(table: HandTable, value: int) -> list[dict]:  # type: ignore[type-arg]
    return [add for add in table.live() if add["partitionValues"]["p"] == str(value)]


CHANGES: dict[str, Callable[[HandTable], object]] = {
    "append": lambda table: append(table, table_of(n=[1000], p=[1])),
    "remove": lambda table: remove_files(table, in_partition(table, 1)[:1]),
    "mask": lambda table: mask_rows(table, in_partition(table, 1)[0], [0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_partition_is_busy_for_as_long_as_asked(table: HandTable, change: str) -> None:
    """Each kind of change makes its partition busy, and no other, until its entry is older than the period by the store's dates."""
    assert busy(table) == {}
    CHANGES[change](table)
    assert busy(table) == {"1": change != "append"}
    age(table, 800)
    assert busy(table) == {"1": change != "append"}
    age(table, 200)
    assert busy(table) == {}


def test_a_compaction_makes_nothing_busy(table: HandTable) -> None:
    """Commits that change no rows, as ours, are no reason to wait."""
    assert compactor.run(table.uri, settings=Settings(min_input_files=2)).status is RunStatus.COMMITTED
    assert busy(table) == {}


def test_only_so_many_entries_are_read(table: HandTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a writer that never rests, the latest entries are looked at."""
    monkeypatch.setattr(activity, "MOST_ENTRIES", 2)
    for p in (0, 1, 2, 2):
        append(table, table_of(n=[1000], p=[p]))
    assert busy(table) == {"2": False}


def test_a_busy_partition_waits_with_a_reason(table: HandTable) -> None:
    """The plan leaves the files of a busy partition out, and takes the others; without a quiet period it takes all."""
    append(table, table_of(n=[1000], p=[1]))
    planned = prepare(open_ports(table.uri, QUIET), QUIET.policy()).plan
    assert dict(planned.left_out) == {LeftOut.BUSY: 5}
    assert len(planned) == 2
    everything = prepare(open_ports(table.uri, Settings(min_input_files=2)), Settings(min_input_files=2).policy()).plan
    assert len(everything) == 3


def test_a_table_that_is_busy_all_over_is_skipped(table: HandTable) -> None:
    """Where every partition is written to, nothing is done, and it is said why."""
    for p in range(3):
        append(table, table_of(n=[1000], p=[p]))
    decision = prepare(open_ports(table.uri, QUIET), QUIET.policy()).decision
    assert isinstance(decision, Skip)
    assert decision.why == "No group can be made: 15 in partitions that others write to."


def test_a_table_without_partitions_is_one(tmp_path: Path) -> None:
    """Where there are no partitions, any change makes the whole table busy."""
    table = make_table(tmp_path / "t", table_of(n=range(40)), files=4)
    age(table)
    store = open_store(table.uri)
    assert recent_writes(store, compactor.load(table.uri), store.now_ms() - 900_000, KnownEntries()) == {}
    append(table, table_of(n=[1000]))
    assert recent_writes(store, compactor.load(table.uri), store.now_ms() - 900_000, KnownEntries()) == {0: False}


def test_a_log_that_was_cleaned_up_is_read_as_far_as_it_goes(table: HandTable) -> None:
    """Entries before a checkpoint may be gone: what is there is looked at, and nothing fails."""
    for p in (0, 1, 2):
        append(table, table_of(n=[1000], p=[p]))
    snapshot, store = compactor.load(table.uri), open_store(table.uri)
    (table.log / f"{snapshot.version - 1:020d}.json").unlink()
    found = recent_writes(store, snapshot, store.now_ms() - 900_000, KnownEntries())
    assert {snapshot.partitions["p"][number].as_py() for number in found} == {"2"}
