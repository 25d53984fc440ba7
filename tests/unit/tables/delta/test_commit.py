"""The commit path against a store in memory, with the faults that networks and other writers really produce."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support import delta_log as log
from support.faulty_store import DOWN, LOST_AFTER, LOST_BEFORE, LOST_THEN_DELAYED, RETRIED, Fault, FaultyStore
from support.protocol_check import check_entry

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.errors import StorageUnavailable, Superseded, TableCorrupt, TableRefused
from compactor.model.commit import CommitOutcome, CommitRequest, Committed, Conflict, Unknown
from compactor.model.plan import FileKey
from compactor.model.snapshot import Snapshot
from compactor.storage.base import CreateOutcome, ObjectStore
from compactor.storage.memory import MemoryStore
from compactor.tables.delta.commit import find_run, publish
from compactor.tables.delta.log import entry_key, list_log
from compactor.tables.delta.log_access import LogAccess
from compactor.tables.delta.options import DeltaOptions

NOW_MS = 1_700_000_000_000


def ambient() -> Ambient:
    return Ambient(clock=VirtualClock(NOW_MS), ids=SeededIds(1), randomness=SeededRandomness(1))


def commit(store: ObjectStore, snapshot: Snapshot, request: CommitRequest, attempts: int = 8) -> CommitOutcome:
    return publish(LogAccess(store=store, ambient=ambient(), options=DeltaOptions(max_commit_attempts=attempts)), snapshot, request)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_an_entry_says_all_that_the_protocol_asks(store: MemoryStore) -> None:
    """commitInfo comes first; adds and removes change no data, copy partition maps, and carry exact sizes, rows and our tags."""
    snapshot = log.start(store)
    outcome = commit(store, snapshot, log.request(log.group(store, 0, ["f0", "f1"]), log.group(store, 3, ["f2", "f3"], outputs=2)))
    assert isinstance(outcome, Committed)
    assert (outcome.version, outcome.attempts, outcome.groups, outcome.dropped) == (1, 1, (0, 3), ())
    assert (outcome.files_removed, outcome.files_added, outcome.bytes_removed, outcome.bytes_added) == (4, 3, 400, 151)
    assert outcome.rows == 40
    first = log.actions(store, 1)[0]["commitInfo"]
    assert first["operation"] == "OPTIMIZE" and first["readVersion"] == 0 and first["txnId"] == "transaction-1"
    assert first["isolationLevel"] == "SnapshotIsolation" and first["isBlindAppend"] is False and "inCommitTimestamp" not in first
    assert first["tags"]["compactor.runId"] == "run-1" and first["tags"]["compactor.groups"] == "0,3"
    assert first["operationMetrics"]["numRemovedFiles"] == "4" and first["operationMetrics"]["minFileSize"] == "50"
    assert first["engineInfo"].startswith("lakehouse-compactor/")
    added = log.actions(store, 1, "add")[0]
    assert added["tags"] == {"compactor.generation": "1", "compactor.finishedFor": "268435456"}
    assert added["partitionValues"] == {"p": "x"} and "tightBounds" not in added["stats"]
    check_entry(store, 1)
    assert log.live(store) == {"out-0-0.parquet", "out-3-0.parquet", "out-3-1.parquet"}


@pytest.mark.parametrize("fault", [LOST_AFTER, RETRIED, LOST_BEFORE, LOST_THEN_DELAYED])
def test_a_lost_reply_is_resolved_by_our_transaction_id(store: MemoryStore, fault: Fault) -> None:
    """Wherever the reply was lost, the commit is in the log exactly once and is reported as committed."""
    snapshot = log.start(store)
    faulty = FaultyStore(store, [fault])
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert isinstance(outcome, Committed) and outcome.version == 1
    assert list(list_log(store).commits) == [0, 1]
    assert log.live(store) == {"f2", "f3", "out-0-0.parquet"}


def test_a_commit_found_by_looking_tells_what_was_dropped(store: MemoryStore) -> None:
    """An outcome that was read back says as much as one whose reply arrived."""
    snapshot = log.start(store)
    work = log.request(log.group(store, 0, ["f0", "f1"]), log.group(store, 1, ["f2"], rows=3))
    outcome = commit(FaultyStore(store, [LOST_AFTER]), snapshot, work)
    assert isinstance(outcome, Committed) and (outcome.groups, outcome.attempts) == ((0,), 1)
    assert [d.group_id for d in outcome.dropped] == [1]


def test_outputs_that_vanish_while_in_doubt_stop_the_retry(store: MemoryStore) -> None:
    """An entry is not put again once an output of it is gone; the first put may still land, so the outcome is Unknown."""

    class Vanishing(FaultyStore):
        def create(self, key: str, data: bytes) -> CreateOutcome:
            store.delete(["out-0-0.parquet"])
            return super().create(key, data)

    snapshot = log.start(store)
    faulty = Vanishing(store, [LOST_BEFORE])
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert isinstance(outcome, Unknown) and len(faulty.creates) == 1


def test_an_absent_entry_is_put_again_with_the_same_bytes(store: MemoryStore) -> None:
    """After a put whose fate is unknown the same version is tried with identical bytes, so that it cannot matter which one lands."""
    snapshot = log.start(store)
    faulty = FaultyStore(store, [LOST_BEFORE, LOST_BEFORE])
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert isinstance(outcome, Committed) and outcome.attempts == 3
    assert len(set(faulty.creates)) == 1


def test_the_fate_of_an_unreadable_entry_is_unknown(store: MemoryStore) -> None:
    """When the reply was lost and the entry cannot be read, nothing is claimed either way."""
    snapshot = log.start(store)
    faulty = FaultyStore(store, [LOST_AFTER], unreadable=1)
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert isinstance(outcome, Unknown) and outcome.version == 1


def test_attempts_that_end_in_doubt_are_unknown(store: MemoryStore) -> None:
    """When every reply is lost and no entry is seen, the outcome is Unknown, never Conflict: a put may still be under way."""
    snapshot = log.start(store)
    faulty = FaultyStore(store, [LOST_BEFORE] * 9)
    assert isinstance(commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"])), attempts=3), Unknown)
    assert len(faulty.creates) == 3


def test_a_store_that_is_known_to_be_down_raises(store: MemoryStore) -> None:
    """A failure that stored nothing is raised, but not once an earlier put may have landed."""
    snapshot = log.start(store)
    work = log.request(log.group(store, 0, ["f0", "f1"]))
    with pytest.raises(StorageUnavailable):
        commit(FaultyStore(store, [DOWN]), snapshot, work)
    assert isinstance(commit(FaultyStore(store, [LOST_BEFORE, DOWN]), snapshot, work), Unknown)


def test_a_foreign_append_is_rebased_over(store: MemoryStore) -> None:
    """A version taken between judgement and claim costs an attempt and nothing else; the read version stays."""
    snapshot = log.start(store)
    faulty = FaultyStore(store, [lambda: log.write(store, 1, [log.info(), log.add("new")])])
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert isinstance(outcome, Committed) and (outcome.version, outcome.attempts) == (2, 2)
    assert log.actions(store, 2)[0]["commitInfo"]["readVersion"] == 0
    assert log.live(store) == {"new", "f2", "f3", "out-0-0.parquet"}


def test_only_groups_that_lost_an_input_are_dropped(store: MemoryStore) -> None:
    """A delete between judgement and claim costs the touched group; the others are committed."""
    snapshot = log.start(store)
    faulty = FaultyStore(store, [lambda: log.write(store, 1, [log.info("DELETE"), log.remove("f1"), log.add("rest")])])
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"]), log.group(store, 1, ["f2", "f3"])))
    assert isinstance(outcome, Committed) and outcome.groups == (1,)
    assert [(d.group_id, d.reason, d.file) for d in outcome.dropped] == [(0, "input-vanished", "f1")]
    assert log.live(store) == {"f0", "rest", "out-1-0.parquet"}


def test_nothing_is_written_when_every_group_lost_an_input(store: MemoryStore) -> None:
    """With no group left there is no entry, and the outputs may go."""
    snapshot = log.start(store)
    log.write(store, 1, [log.info("DELETE"), log.remove("f1"), log.remove("f2")])
    faulty = FaultyStore(store)
    outcome = commit(faulty, snapshot, log.request(log.group(store, 0, ["f0", "f1"]), log.group(store, 1, ["f2", "f3"])))
    assert isinstance(outcome, Conflict) and {d.reason for d in outcome.dropped} == {"input-vanished"}
    assert not faulty.creates


def test_another_deletion_vector_is_another_file(store: MemoryStore) -> None:
    """A group read with one deletion vector is dropped when its file is live with another, and its remove names the vector otherwise."""
    vector = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4, "sizeInBytes": 40, "cardinality": 2}
    log.write(
        store, 0, [log.info(), log.protocol(["deletionVectors"]), log.metadata(), log.add("f0", deletionVector=vector), log.add("f1")]
    )
    key = FileKey(path="f0", deletes_id="uab^-aqEH.-t@S}K{vb[*k^@4")
    snapshot = log.load(store)
    work = log.request(log.group(store, 0, [key, "f1"], rows=18))
    faulty = FaultyStore(store, [lambda: log.write(store, 1, [log.info(), log.add("other")])])
    assert isinstance(commit(faulty, snapshot, work), Committed)
    removed = {body["path"]: body for body in log.actions(store, 2, "remove")}
    assert removed["f0"]["deletionVector"] == vector and "deletionVector" not in removed["f1"]
    assert '"tightBounds":true' in log.actions(store, 2, "add")[0]["stats"]
    assert log.actions(store, 2)[0]["commitInfo"]["operationMetrics"]["numDeletionVectorsRemoved"] == "1"
    assert log.live(store) == {"other", "out-0-0.parquet"}


def test_a_replaced_deletion_vector_drops_the_group(store: MemoryStore) -> None:
    """A winner that swapped an input's deletion vector makes the output hold deleted rows: the group goes."""
    vector = {"storageType": "i", "pathOrInlineDv": "xyz", "sizeInBytes": 4, "cardinality": 1}
    snapshot = log.start(store, features=["deletionVectors"])
    log.write(store, 1, [log.info("DELETE"), log.remove("f0"), log.add("f0", deletionVector=vector)])
    outcome = commit(store, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert isinstance(outcome, Conflict) and outcome.dropped[0].reason == "input-vanished"


def test_contention_without_end_is_given_up(store: MemoryStore) -> None:
    """Attempts are bounded; each loser is told why."""
    snapshot = log.start(store)
    versions = iter(range(1, 99))

    def rival() -> None:
        version = next(versions)
        log.write(store, version, [log.info(), log.add(f"new-{version}")])

    outcome = commit(FaultyStore(store, [rival] * 20), snapshot, log.request(log.group(store, 0, ["f0", "f1"])), attempts=4)
    assert isinstance(outcome, Conflict) and outcome.dropped[0].reason == "contention"
    assert list(list_log(store).commits) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("read", "why"), [(19, "the log counts 20 rows"), (21, "the log counts 20 rows")])
def test_row_counts_that_disagree_with_the_log_are_not_committed(store: MemoryStore, read: int, why: str) -> None:
    """A group whose read and written rows agree with each other but not with the log is dropped as unproven."""
    outcome = commit(store, log.start(store), log.request(log.group(store, 0, ["f0", "f1"], rows=read)))
    assert isinstance(outcome, Conflict) and outcome.dropped[0].reason == "proof" and why in outcome.dropped[0].detail


def test_rows_written_must_equal_rows_read(store: MemoryStore) -> None:
    """A group that wrote fewer rows than it read is dropped; its neighbour is committed."""
    bad = log.group(store, 0, ["f0", "f1"], rows=19)
    bad = replace(bad, result=replace(bad.result, input_rows=20))
    outcome = commit(store, log.start(store), log.request(bad, log.group(store, 1, ["f2", "f3"])))
    assert isinstance(outcome, Committed) and outcome.groups == (1,)
    assert outcome.dropped[0].reason == "proof" and "20 rows were read but 19 written" in outcome.dropped[0].detail


def test_outputs_must_exist_with_the_size_written(store: MemoryStore) -> None:
    """Before every attempt each output is looked at: gone or of another size, its group is dropped."""
    snapshot = log.start(store)
    gone, cut = log.group(store, 0, ["f0"]), log.group(store, 1, ["f1"])
    late, good = log.group(store, 2, ["f2"]), log.group(store, 3, ["f3"])
    store.delete(["out-0-0.parquet"])
    store.put("out-1-0.parquet", b"short")

    def rival() -> None:
        store.delete(["out-2-0.parquet"])
        log.write(store, 1, [log.info(), log.add("new")])

    outcome = commit(FaultyStore(store, [rival]), snapshot, log.request(gone, cut, late, good))
    assert isinstance(outcome, Committed) and outcome.groups == (3,)
    assert {d.group_id: d.reason for d in outcome.dropped} == {0: "output-vanished", 1: "storage", 2: "output-vanished"}


def test_a_file_belongs_to_one_group_and_one_partition(store: MemoryStore) -> None:
    """Groups that mix partitions, share an input, repeat one, or have none are bugs of a caller that must not reach the log."""
    files = [log.add("f0"), log.add("f1", partition="y"), log.add("f2"), log.add("f3")]
    log.write(store, 0, [log.info(), log.protocol(), log.metadata(), *files])
    groups = [
        log.group(store, 0, ["f0", "f1"]),
        log.group(store, 1, ["f2"]),
        log.group(store, 2, ["f2", "f0"]),
        log.group(store, 3, ["f3", "f3"]),
        log.group(store, 4, []),
    ]
    outcome = commit(store, log.load(store), log.request(*groups))
    assert isinstance(outcome, Committed) and outcome.groups == (1,)
    assert {d.group_id: d.reason for d in outcome.dropped} == {0: "proof", 2: "proof", 3: "proof", 4: "proof"}


def test_the_remove_copies_what_is_live(store: MemoryStore) -> None:
    """An input that was added again meanwhile (new statistics and tags) is removed as it is now."""
    snapshot = log.start(store)
    log.write(store, 1, [log.info("COMPUTE STATS"), log.add("f0", tags={"k": "v"}, data_change=False)])
    assert isinstance(commit(store, snapshot, log.request(log.group(store, 0, ["f0", "f1"]))), Committed)
    assert {b["path"]: b.get("tags") for b in log.actions(store, 2, "remove")} == {"f0": {"k": "v"}, "f1": None}


def test_an_input_spelled_anew_is_not_live_as_it_was_read(store: MemoryStore) -> None:
    """An input that was added again under another spelling of its path would not be hit by our remove: its group is dropped."""
    snapshot = log.start(store)
    log.write(store, 1, [log.info(), log.add("f%30", data_change=False)])
    outcome = commit(store, snapshot, log.request(log.group(store, 0, ["f0"]), log.group(store, 1, ["f1"])))
    assert isinstance(outcome, Committed) and outcome.groups == (1,)
    assert outcome.dropped[0].reason == "input-vanished" and "not live at version 1" in outcome.dropped[0].detail


def test_an_output_belongs_to_one_group(store: MemoryStore) -> None:
    """Two groups that name the same output are a bug of a caller: only the first is committed."""
    snapshot = log.start(store)
    first, second = log.group(store, 0, ["f0"]), log.group(store, 1, ["f1"])
    second = replace(second, result=replace(second.result, outputs=first.result.outputs))
    outcome = commit(store, snapshot, log.request(first, second))
    assert isinstance(outcome, Committed) and outcome.groups == (0,) and outcome.dropped[0].reason == "proof"


def test_paths_and_partition_maps_are_copied_untouched(store: MemoryStore) -> None:
    """The remove repeats the path byte for byte, and odd partition values reach the add as they are."""
    path = "p=a%2520b/odd%3Aname%20é.parquet"
    log.write(
        store,
        0,
        [log.info(), log.protocol(), log.metadata(), log.add(path, partition="-1.50\u0001"), log.add("g", partition="-1.50\u0001")],
    )
    assert isinstance(commit(store, log.load(store), log.request(log.group(store, 0, [path, "g"]))), Committed)
    assert [body["path"] for body in log.actions(store, 1, "remove")] == [path, "g"]
    assert log.actions(store, 1, "add")[0]["partitionValues"] == {"p": "-1.50\u0001"}


def test_a_changed_table_drops_every_group(store: MemoryStore) -> None:
    """A metaData action that makes outputs doubtful stops the commit, with the reason."""
    snapshot = log.start(store)
    log.write(store, 1, [log.info("SET"), log.metadata(properties={"delta.parquet.compression.codec": "gzip"})])
    outcome = commit(store, snapshot, log.request(log.group(store, 0, ["f0"]), log.group(store, 1, ["f1"])))
    assert isinstance(outcome, Conflict) and {d.reason for d in outcome.dropped} == {"table-changed"}


def test_a_table_that_can_no_longer_be_honoured_drops_every_group(store: MemoryStore) -> None:
    """The gate is asked again at the version built on: a column of a type that nobody knows stops the commit."""
    snapshot = log.start(store)
    column = {"name": "z", "type": "quaternion", "nullable": True, "metadata": {}}
    log.write(store, 1, [log.info("ADD COLUMN"), log.metadata(schema={**log.SCHEMA, "fields": [*log.SCHEMA["fields"], column]})])
    outcome = commit(store, snapshot, log.request(log.group(store, 0, ["f0"])))
    assert isinstance(outcome, Conflict) and outcome.dropped[0].reason == "table-changed" and "quaternion" in outcome.dropped[0].detail


def test_a_log_cut_off_behind_us_stops_the_commit(store: MemoryStore) -> None:
    """A gap after the version we read is never filled with our entry: the log was cleaned or damaged."""
    snapshot = log.start(store)
    log.write(store, 1, [log.info(), log.add("x")])
    log.write(store, 2, [log.info(), log.add("y")])
    store.delete([entry_key(1)])
    with pytest.raises(TableCorrupt):
        commit(store, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert list(list_log(store).commits) == [0, 2]


def test_in_commit_timestamps_only_grow(store: MemoryStore) -> None:
    """With in-commit timestamps an entry's stamp exceeds the one before it, computed anew after each lost race."""
    properties = {"delta.enableInCommitTimestamps": "true"}
    stamp = NOW_MS + 50_000
    log.write(
        store,
        0,
        [log.info(inCommitTimestamp=stamp), log.protocol(["inCommitTimestamp"]), log.metadata(properties), log.add("f0"), log.add("f1")],
    )
    faulty = FaultyStore(store, [lambda: log.write(store, 1, [log.info(inCommitTimestamp=stamp + 77), log.add("new")])])
    assert isinstance(commit(faulty, log.load(store), log.request(log.group(store, 0, ["f0", "f1"]))), Committed)
    first = log.actions(store, 2)[0]["commitInfo"]
    assert first["inCommitTimestamp"] == stamp + 78 and next(iter(first)) == "inCommitTimestamp"
    check_entry(store, 2)


def test_an_unknown_in_commit_timestamp_is_refused(store: MemoryStore) -> None:
    """Without the stamp of the entry before ours nothing is written."""
    properties = {"delta.enableInCommitTimestamps": "true"}
    snapshot = log.start(store, features=["inCommitTimestamp"], properties=properties)
    with pytest.raises(TableRefused):
        commit(store, snapshot, log.request(log.group(store, 0, ["f0", "f1"])))
    assert list(list_log(store).commits) == [0]


def test_row_ids_continue_after_the_high_water_mark(store: MemoryStore) -> None:
    """Where row tracking is supported, outputs get fresh row ids after the mark of the version built on, and the mark moves along."""

    def mark(last: int) -> log.Action:
        return {"domainMetadata": {"domain": "delta.rowTracking", "configuration": f'{{"rowIdHighWaterMark":{last}}}', "removed": False}}

    rows = {"baseRowId": 0, "defaultRowCommitVersion": 0}
    log.write(
        store,
        0,
        [log.info(), log.protocol(["rowTracking", "domainMetadata"]), log.metadata(), log.add("f0", **rows), log.add("f1"), mark(19)],
    )
    faulty = FaultyStore(store, [lambda: log.write(store, 1, [log.info(), log.add("new"), mark(29)])])
    assert isinstance(commit(faulty, log.load(store), log.request(log.group(store, 0, ["f0", "f1"], outputs=2))), Committed)
    adds = log.actions(store, 2, "add")
    assert [(a["baseRowId"], a["defaultRowCommitVersion"]) for a in adds] == [(30, 2), (40, 2)]
    assert log.actions(store, 2, "domainMetadata") == [mark(49)["domainMetadata"]]
    removed = {b["path"]: b for b in log.actions(store, 2, "remove")}
    assert removed["f0"]["baseRowId"] == 0 and "baseRowId" not in removed["f1"]
    check_entry(store, 2)


def test_publishing_twice_commits_once(store: MemoryStore) -> None:
    """A request that already landed is found by its transaction id; from a newer snapshot its outputs are seen to be live."""
    snapshot = log.start(store)
    work = log.request(log.group(store, 0, ["f0", "f1"]), log.group(store, 1, ["f2", "f3"]))
    first = commit(store, snapshot, work)
    assert commit(store, snapshot, work) == first
    assert isinstance(commit(store, log.load(store), work), Unknown)
    assert list(list_log(store).commits) == [0, 1]


def test_a_group_may_add_nothing(store: MemoryStore) -> None:
    """A group whose rows are all deleted removes its files and adds none."""
    vector = {"storageType": "i", "pathOrInlineDv": "xyz", "sizeInBytes": 4, "cardinality": 10}
    log.write(
        store, 0, [log.info(), log.protocol(["deletionVectors"]), log.metadata(), log.add("f0", deletionVector=vector), log.add("f1")]
    )
    group = log.group(store, 0, [FileKey(path="f0", deletes_id="ixyz")], rows=0)
    group = replace(group, result=replace(group.result, outputs=()))
    outcome = commit(store, log.load(store), log.request(group))
    assert isinstance(outcome, Committed) and outcome.files_added == 0
    check_entry(store, 1)
    assert log.live(store) == {"f1"}


def test_a_run_is_found_by_its_id(store: MemoryStore) -> None:
    """All commits of a run are added up; ids that merely occur in an entry are not ours."""
    snapshot = log.start(store)
    first = commit(store, snapshot, replace(log.request(log.group(store, 0, ["f0"])), planned=2))
    log.write(store, 2, [log.info(userMetadata="run-1"), log.add("new")])
    second = commit(store, snapshot, replace(log.request(log.group(store, 5, ["f1"]), transaction="t2"), planned=2))
    commit(store, snapshot, log.request(log.group(store, 0, ["f2"]), run="run-2", transaction="t3"))
    assert isinstance(first, Committed) and isinstance(second, Committed)
    found = find_run(store, "run-1")
    assert found is not None and (found.version, found.groups, found.rows) == (3, (0, 5), 20)
    assert (found.files_removed, found.files_added, found.bytes_removed, found.bytes_added) == (2, 2, 200, 100)
    assert find_run(store, "run-3") is None


def test_a_run_that_was_cut_short_twice_is_not_done(store: MemoryStore) -> None:
    """Groups of two attempts at one run id are not added up to a whole: the last plan must have landed; what was committed for a dead run
    is no plan."""
    log.start(store)

    def commits(number: int, file: str, planned: int, transaction: str) -> None:
        request = log.request(log.group(store, number, [file]), transaction=transaction)
        assert isinstance(commit(store, log.load(store), replace(request, planned=planned)), Committed)

    commits(7, "f0", 0, "t0")
    assert find_run(store, "run-1") is None
    commits(0, "f1", 2, "t1")
    commits(1, "f2", 2, "t2")
    assert find_run(store, "run-1") is None
    commits(0, "f3", 1, "t3")
    found = find_run(store, "run-1")
    assert found is not None and found.files_removed == 4


class Distant:
    """A store in memory each call to which takes a while, during which somebody else commits at a fixed pace."""

    def __init__(self, inner: MemoryStore, clock: VirtualClock, *, call_ms: int, commit_ms: int) -> None:
        self._inner, self._clock = inner, clock
        self._call_ms, self._commit_ms, self._begun_s, self.commits = call_ms, commit_ms, clock.monotonic_s(), 0

    @property
    def uri(self) -> str:
        return self._inner.uri

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self._clock.sleep(self._call_ms / 1000)
            while (self.commits + 1) * self._commit_ms / 1000 <= self._clock.monotonic_s() - self._begun_s:
                self.commits += 1
                version = max(list_log(self._inner).commits) + 1
                log.write(self._inner, version, [log.info(), log.add(f"new-{version}")])
            return getattr(self._inner, name)(*arguments, **named)

        return call


@pytest.mark.parametrize("call_ms", [1, 20, 34])
def test_a_writer_that_never_rests_is_overtaken(store: MemoryStore, call_ms: int) -> None:
    """Others that commit every 200 ms do not keep a compaction out, as long as five calls of the store take less than that."""
    snapshot = log.start(store)
    clock = VirtualClock(NOW_MS)
    distant = Distant(store, clock, call_ms=call_ms, commit_ms=200)
    for _ in range(20):
        clock.sleep(0.1)  # so that it begins in the middle of things
        distant.list("x")

    def permit() -> None:
        distant.head("fence")
        distant.head("intent")

    surroundings = Ambient(clock=clock, ids=SeededIds(1), randomness=SeededRandomness(call_ms))
    work = log.request(log.group(store, 0, ["f0", "f1"]))
    access = LogAccess(store=distant, ambient=surroundings, options=DeltaOptions())  # type: ignore[arg-type]
    outcome = publish(access, snapshot, work, permit)
    assert isinstance(outcome, Committed) and outcome.attempts < 32


def test_permission_is_asked_of_versions_that_are_known_to_exist(store: MemoryStore) -> None:
    """Every attempt has a permission that was asked after the version before it was seen; one that is refused ends it."""
    snapshot = log.start(store)
    asked: list[int] = []

    def permit() -> None:
        asked.append(max(list_log(store).commits))
        if len(asked) == 3:
            raise Superseded("enough")

    rivals = iter(range(1, 9))
    faulty = FaultyStore(store, [lambda: log.write(store, next(rivals), [log.info(), log.add("x")])] * 4)
    with pytest.raises(Superseded):
        access = LogAccess(store=faulty, ambient=ambient(), options=DeltaOptions())
        publish(access, snapshot, log.request(log.group(store, 0, ["f0", "f1"])), permit)
    assert asked == [0, 1, 2]
    assert list(list_log(store).commits) == [0, 1, 2]
