"""The journal: every run that began to write is there once it has ended, landed or not, and only what landed answers for its id."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from compactor.ambient import VirtualClock
from compactor.coordination.records import RunRecords
from compactor.errors import TableCorrupt, TableRefused
from compactor.model.run import Run, RunStatus
from compactor.model.usage import Cost, Usage
from compactor.storage.memory import MemoryBucket, MemoryStore

COST = Cost(currency="USD", requests=1.0, compute=0.5, transfer=0.0, held_storage=0.25)
LANDED = Run(
    run_id="r1",
    table="memory://t",
    status=RunStatus.COMMITTED,
    groups_committed=2,
    why="it was worth it",
    plan_id="p",
    predicted=Usage(requests=3, cost=COST),
    actual=Usage(requests=4, seconds=1.5),
)
FAILED = Run(run_id="r1", table="memory://t", status=RunStatus.FAILED, reason="the store was away", exit_code=5)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(clock: VirtualClock) -> MemoryStore:
    return MemoryStore(MemoryBucket(clock=clock), "t")


@pytest.fixture
def records(store: MemoryStore, clock: VirtualClock) -> RunRecords:
    return RunRecords(store=store, prefix="", clock=clock, by="a program on a machine")


def test_a_run_is_kept_with_its_figures(records: RunRecords, clock: VirtualClock) -> None:
    """Predicted and actual usage, cost, why, and who come back as they were."""
    clock.sleep(5)
    records.record(LANDED)
    (kept,) = records.runs()
    assert kept.run == LANDED
    assert (kept.by, kept.ended_ms) == ("a program on a machine", clock.now_ms())


def test_a_failed_attempt_does_not_answer_for_its_id(records: RunRecords, store: MemoryStore) -> None:
    """Two attempts fail, the third lands: all are told, and asking for the id again gives the one that landed."""
    records.record(FAILED)
    assert records.find("r1") is None
    records.record(replace(FAILED, reason="the store was away again"))
    records.record(LANDED)
    assert records.find("r1") == LANDED
    assert sorted(item.key for item in store.list("runs/")) == ["runs/r1.json", "runs/r1~1.json", "runs/r1~2.json"]
    assert len(records.runs()) == 3


def test_a_run_that_failed_in_part_may_be_repeated(records: RunRecords) -> None:
    """What was committed stands; the same id goes on with the rest instead of repeating the failure for ever."""
    partly = replace(FAILED, groups_committed=1)
    records.record(partly)
    assert records.find("r1") is None
    assert [kept.run for kept in records.runs()] == [partly]


def test_newest_first_and_no_more_than_asked_for(records: RunRecords, clock: VirtualClock) -> None:
    """Order is by the store's dates, whatever the names are."""
    for name in ("m", "a", "z"):
        records.record(replace(LANDED, run_id=name))
        clock.sleep(1)
    assert [kept.run.run_id for kept in records.runs()] == ["z", "a", "m"]
    assert [kept.run.run_id for kept in records.runs(2)] == ["z", "a"]


def test_an_older_journal_is_read(records: RunRecords, store: MemoryStore) -> None:
    """Records without the later fields are runs too."""
    run = {"run_id": "old", "table": "memory://t", "status": "committed", "rows": 7}
    store.put("runs/old.json", json.dumps({"format_version": 1, "kind": "run", "run": run, "ended_ms": 9}).encode())
    (kept,) = records.runs()
    assert (kept.run.rows, kept.run.predicted, kept.by, kept.ended_ms) == (7, None, None, 9)


def test_a_newer_journal_is_refused_by_name(records: RunRecords, store: MemoryStore) -> None:
    """Not skipped, not guessed at."""
    store.put("runs/new.json", json.dumps({"format_version": 2, "kind": "run", "run": {}}).encode())
    with pytest.raises(TableRefused, match=r"runs/new\.json has format version 2"):
        records.runs()


@pytest.mark.parametrize("body", ["[]", '{"status": "blooming"}', "null", '{"status": "committed"}', '{"status":"failed","predicted":3}'])
def test_a_damaged_record_is_named(records: RunRecords, store: MemoryStore, body: str) -> None:
    """One sentence with the object's name."""
    store.put("runs/bad.json", f'{{"format_version":1,"kind":"run","run":{body}}}'.encode())
    with pytest.raises(TableCorrupt, match=r"runs/bad\.json is not a run"):
        records.runs()
