"""Intents and results of runs: durable, created once, readable by later versions, never by an earlier one."""

from __future__ import annotations

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from compactor.ambient import VirtualClock
from compactor.coordination.documents import create
from compactor.coordination.intent import Intent, IntentGroup, intent_keys, read_intent, write_intent
from compactor.coordination.records import RunRecords
from compactor.errors import StorageError, StorageUnavailable, TableCorrupt, TableRefused, UsageError
from compactor.model.plan import GROUPS_SCHEMA, INPUTS_SCHEMA, Plan, Prediction
from compactor.model.policy import Policy
from compactor.model.rewrite import GroupDropped
from compactor.model.run import Run, RunStatus
from compactor.model.snapshot import TableRef
from compactor.storage.base import CreateOutcome, PutUnknown
from compactor.storage.local import LocalStore
from compactor.storage.memory import MemoryBucket, MemoryStore

INTENT = Intent(
    run_id="r1", table="memory://t", version=7, created_ms=1, groups=(IntentGroup(group_id=0, beside="a=1/x.parquet", stem="part-0-abc"),)
)
RUN = Run(
    run_id="r1",
    table="memory://t",
    status=RunStatus.COMMITTED,
    version=8,
    files_removed=9,
    rows=100,
    groups_dropped=(GroupDropped(group_id=3, reason="corrupt-file", detail="x is damaged.", file="x"),),
    warnings=("be careful",),
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryBucket(clock=VirtualClock()), "t")


@pytest.fixture
def records(store: MemoryStore) -> RunRecords:
    return RunRecords(store=store, prefix="_compactor/", clock=VirtualClock())


def keys(store: MemoryStore) -> list[str]:
    return [item.key for item in store.list("")]


def plan() -> Plan:
    group = dict.fromkeys(GROUPS_SCHEMA.names, 0)
    groups = [{**group, "group_id": i, "kind": "merge", "finishes": True, "first_input": 2 * i, "input_files": 2} for i in range(2)]
    files = [{"file": i, "path": f"p={i // 2}/{i}.parquet", "size_bytes": 1, "deleted_rows": 0} for i in range(4)]
    return Plan(
        table=TableRef(uri="memory://t"),
        version=7,
        policy=Policy(),
        target_bytes=1,
        groups=pa.Table.from_pylist(groups, GROUPS_SCHEMA),
        inputs=pa.Table.from_pylist(files, INPUTS_SCHEMA),
        reasons=pa.nulls(4, pa.string()),
        left_out=(),
        prediction=Prediction(),
    )


def test_an_intent_is_read_back_as_written(store: MemoryStore) -> None:
    """Whoever cleans up after a crash reads exactly what the run said."""
    key = write_intent(store, "_compactor/", INTENT)
    assert key == "_compactor/intents/r1.json"
    assert list(intent_keys(store, "_compactor/")) == [key]
    assert read_intent(store, key) == INTENT


def test_the_intent_names_every_group_of_the_plan(store: MemoryStore, records: RunRecords) -> None:
    """Each group's stem, beside its first input, is in the intent; forgetting it leaves nothing."""
    records.intend("r1", plan(), lambda i: f"stem-{i}")
    (key,) = keys(store)
    assert [(g.beside, g.stem) for g in read_intent(store, key).groups] == [("p=0/0.parquet", "stem-0"), ("p=1/2.parquet", "stem-1")]
    records.forget_intent("r1")
    assert keys(store) == []


def test_an_interruption_while_the_intent_is_written_leaves_none(monkeypatch: pytest.MonkeyPatch, store: MemoryStore) -> None:
    """Interrupted when the intent is there but nobody knows its name yet: it is taken back, and another attempt's intent is not."""
    other = write_intent(store, "_compactor/", INTENT)
    create = MemoryStore.create

    def interrupted(self: MemoryStore, key: str, data: bytes) -> CreateOutcome:
        outcome = create(self, key, data)
        if "~1" in key:
            raise KeyboardInterrupt
        return outcome

    monkeypatch.setattr(MemoryStore, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunRecords(store=store, prefix="_compactor/", clock=VirtualClock()).intend("r1", plan(), lambda i: f"stem-{i}")
    assert keys(store) == [other]


def test_a_second_attempt_at_a_run_has_an_intent_of_its_own(store: MemoryStore) -> None:
    """A job retried after a crash neither overwrites nor removes the intent of the attempt that crashed."""
    clock = VirtualClock()
    first, second = (RunRecords(store=store, prefix="", clock=clock) for _ in range(2))
    first.intend("r1", plan(), lambda i: f"crashed-{i}")
    second.intend("r1", plan(), lambda i: f"retried-{i}")
    second.forget_intent("r1")
    (left,) = keys(store)
    assert [group.stem for group in read_intent(store, left).groups] == ["crashed-0", "crashed-1"]


def test_a_result_is_found_by_its_run_id(records: RunRecords) -> None:
    """The same run asked for again gives the result of the first."""
    assert records.find("r1") is None
    records.record(RUN)
    assert records.find("r1") == RUN


def test_the_first_result_of_an_id_stands(records: RunRecords) -> None:
    """Results are never overwritten."""
    records.record(RUN)
    records.record(Run(run_id="r1", table="memory://t", status=RunStatus.FAILED))
    assert records.find("r1") == RUN


def test_a_newer_format_is_refused_by_name(store: MemoryStore, records: RunRecords) -> None:
    """What a later version of the compactor wrote is not guessed at."""
    store.put("_compactor/runs/r1.json", json.dumps({"format_version": 2, "kind": "run", "run": {}}).encode())
    with pytest.raises(TableRefused, match=r"runs/r1\.json has format version 2") as refused:
        records.find("r1")
    assert refused.value.reason == "newer-format:run"


def test_fields_of_a_later_minor_version_are_passed_over(store: MemoryStore, records: RunRecords) -> None:
    """The same format version with a field more is readable."""
    records.record(RUN)
    document = json.loads(store.get("_compactor/runs/r1.json"))
    document["run"]["later"] = 1
    document["run"]["groups_dropped"][0]["later"] = 1
    store.put("_compactor/runs/r1.json", json.dumps(document).encode())
    assert records.find("r1") == RUN


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format_version":1,"kind":"intent"}'])
def test_a_damaged_result_is_named(store: MemoryStore, records: RunRecords, data: bytes) -> None:
    """Damage is one sentence with the object's name."""
    store.put("_compactor/runs/r1.json", data)
    with pytest.raises(TableCorrupt, match=r"r1\.json"):
        records.find("r1")


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 201, "a b", "x\n"])
def test_a_run_id_that_is_no_name_is_wrong_usage(records: RunRecords, run_id: str) -> None:
    """A run id never leads to another folder."""
    with pytest.raises(UsageError, match="not a run id"):
        records.find(run_id)
    with pytest.raises(UsageError, match="not a run id"):
        records.intend(run_id, plan(), str)


class Forgetful(MemoryStore):
    """Loses replies of creates: the first `lost` of them, after (`stored`) or before the object is there."""

    lost = 1
    stored = True

    def create(self, key: str, data: bytes) -> CreateOutcome:
        if self.lost:
            self.lost -= 1
            if self.stored:
                super().create(key, data)
            return PutUnknown(why="reply lost")
        return super().create(key, data)


@pytest.mark.parametrize("stored", [True, False])
def test_a_lost_reply_is_looked_into(stored: bool) -> None:
    """An intent whose reply was lost is there exactly once afterwards, whether the first put landed or not."""
    store = Forgetful(MemoryBucket(clock=VirtualClock()), "t")
    store.stored = stored
    key = write_intent(store, "", INTENT)
    assert keys(store) == [key]
    assert read_intent(store, key) == INTENT


def test_replies_that_stay_lost_are_an_error() -> None:
    """Without a known intent nothing may be written, so the run hears of it."""
    store = Forgetful(MemoryBucket(clock=VirtualClock()), "t")
    store.lost, store.stored = 99, False
    with pytest.raises(StorageUnavailable, match="not known"):
        write_intent(store, "", INTENT)


def test_create_tells_ours_from_theirs(store: MemoryStore) -> None:
    """An object of the same name with other bytes is not ours."""
    assert create(store, "k", b"ours")
    assert create(store, "k", b"ours")
    assert not create(store, "k", b"theirs")


def test_too_many_unfinished_attempts_are_named(store: MemoryStore) -> None:
    """A run id that crashed a hundred times is not tried for ever."""
    for i in range(100):
        write_intent(store, "", Intent(run_id="r1", table="t", version=i, created_ms=0, groups=()))
    with pytest.raises(StorageError, match="100 unfinished attempts"):
        write_intent(store, "", INTENT)


def test_vacuum_of_another_engine_leaves_our_folder(tmp_path: Path) -> None:
    """delta-rs's VACUUM, with no retention at all, removes nothing below `_compactor/`."""
    deltalake.write_deltalake(tmp_path, pa.table({"x": [1]}))
    store = LocalStore(str(tmp_path))
    write_intent(store, "_compactor/", INTENT)
    (tmp_path / "orphan.parquet").write_bytes(b"x")
    deleted = deltalake.DeltaTable(tmp_path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    assert any("orphan" in name for name in deleted)
    assert not any("_compactor" in name for name in deleted)
    assert (tmp_path / "_compactor/intents/r1.json").exists()
