"""Runs that left their intent: who is taken for dead, what stops them, what is deleted and when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from simulation.appender import Appender, History
from simulation.reader import entry_key, live_files, newest_version

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.owners import SystemOwners, UnknownOwners
from compactor.coordination.intent import Intent, IntentGroup, write_intent
from compactor.coordination.markers import Marker, base_of, beat, is_fenced, say
from compactor.coordination.records import Care
from compactor.coordination.results import from_plain, keep_result, read_results, to_plain
from compactor.errors import StorageUnavailable
from compactor.model.commit import FinishedGroup
from compactor.model.events import Event, GroupFinished, Recovered
from compactor.model.plan import FileKey
from compactor.model.positions import VECTORS, vector_prefix
from compactor.model.recovery import LeftState
from compactor.model.rewrite import ColumnStatistics, Concat, OutputFile, RewriteResult
from compactor.model.run import Run, RunStatus
from compactor.pipeline import run_table
from compactor.ports import Ports
from compactor.settings import Settings
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.vectors import encode_z85
from compactor.wiring import wire

SETTINGS = Settings(executor="serial", target_size="4KiB", min_input_files=2, memory="64MiB", max_write_amplification=3)
CARE = Care(keep_bytes=0, beat_s=None, silent_s=900, late_s=3900)
STEM = "part-00000-11111111-2222-4333-8444-555555555555"


class Scene:
    """A table with something to compact, and runs of it under one virtual clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(MemoryBucket("recovery", self.clock), "t")
        self.writer = Appender(name="w", store=self.store, clock=self.clock, seed=1, history=History())
        self.writer.create_table()
        for _ in range(8):
            self.writer.append()
        self.ends: list[LeftState] = []
        self._runs = 0

    def ports(self, *faults: str) -> Ports:
        self._runs += 1
        ambient = Ambient(clock=self.clock, ids=SeededIds(self._runs), randomness=SeededRandomness(self._runs))
        store = FaultyStore(self.store, list(faults)) if faults else self.store
        return wire(store, SETTINGS, ambient=ambient, care=CARE, owners=UnknownOwners())

    def run(self, *faults: str, on: Callable[[Event], None] = lambda _: None) -> Run:
        def sink(event: Event) -> None:
            if isinstance(event, Recovered):
                self.ends.append(event.left.state)
            on(event)

        return run_table(replace(self.ports(*faults), sink=sink), SETTINGS.policy())

    def leave(self, nonce: str = "n") -> str:
        """An intent of a run that is gone, with one output that nobody committed. Its key."""
        group = IntentGroup(group_id=0, beside="p=a/w-0001.parquet", stem=STEM)
        intent = Intent(run_id="gone", table=self.store.uri, version=newest_version(self.store), created_ms=0, groups=(group,), nonce=nonce)
        self.store.put(f"p=a/{STEM}-a0-00000.zstd.parquet", b"x")
        return write_intent(self.store, "_compactor/", intent)

    def orphan(self) -> bool:
        return self.store.head(f"p=a/{STEM}-a0-00000.zstd.parquet") is not None

    def intents(self) -> list[str]:
        return [item.key for item in self.store.list("_compactor/intents/")]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_young_intent_is_left_alone(scene: Scene) -> None:
    """A run that may be at work is not fenced, and nothing of it is deleted."""
    key = scene.leave()
    scene.clock.sleep(CARE.silent_s - 1)
    assert scene.run().status is RunStatus.COMMITTED
    assert scene.intents() == [key]
    assert scene.orphan()


def test_a_sign_of_life_keeps_a_run_in_flight(scene: Scene) -> None:
    """An old intent with a young sign of life is in flight."""
    key = scene.leave()
    scene.clock.sleep(10 * CARE.silent_s)
    beat(scene.store, base_of(key, "n"))
    scene.run()
    assert scene.orphan()
    assert not is_fenced(scene.store, base_of(key, "n"))


def test_what_a_dead_run_left_goes_in_two_sweeps(scene: Scene) -> None:
    """Its outputs go once our own commit has taken the version that it may have aimed at; the intent goes after the task deadline."""
    key = scene.leave()
    scene.clock.sleep(CARE.silent_s)
    assert scene.run().status is RunStatus.COMMITTED
    assert (scene.ends, scene.orphan()) == ([LeftState.SWEPT], False)
    scene.clock.sleep(CARE.late_s - 1)
    scene.run()
    assert scene.ends[-1] is LeftState.SWEPT
    assert key in scene.intents()
    scene.store.put(f"p=a/{STEM}-a1-00000.zstd.parquet", b"late")
    scene.clock.sleep(CARE.late_s)
    scene.run()
    assert scene.ends[-1] is LeftState.CLEARED
    assert scene.store.head(f"p=a/{STEM}-a1-00000.zstd.parquet") is None
    assert scene.intents() == []


def test_vectors_that_a_dead_run_wrote_go_with_its_outputs(scene: Scene) -> None:
    """A deletion vector of an output that was never committed is found by the intent; vectors of others and those that are named stay."""
    scene.leave()
    ours = [f"{vector_prefix(STEM)}8000-{number:012d}.bin" for number in (1, 2)]
    foreign = f"deletion_vector_{ours[0].removeprefix(VECTORS)[:14]}4{ours[0].removeprefix(VECTORS)[15:]}"
    for key in (*ours, foreign):
        scene.store.put(key, b"x")
    add = {
        "path": f"p=a/{STEM}-a0-00000.zstd.parquet",
        "partitionValues": {"p": "a"},
        "size": 1,
        "dataChange": False,
        "modificationTime": 0,
    }
    vector = {
        "storageType": "u",
        "pathOrInlineDv": encode_z85(UUID(ours[0].removeprefix(VECTORS).removesuffix(".bin")).bytes),
        "sizeInBytes": 1,
        "offset": 0,
        "cardinality": 1,
    }
    entry = {"remove": {**add, "deletionVector": vector}}
    scene.store.put(entry_key(newest_version(scene.store) + 1), json.dumps(entry).encode())
    scene.clock.sleep(CARE.silent_s)
    scene.run()
    assert scene.ends == [LeftState.SWEPT]
    assert [item.key for item in scene.store.list(VECTORS)] == sorted([ours[0], foreign])


def test_nothing_is_deleted_before_the_next_version(scene: Scene) -> None:
    """With nothing to do, nobody takes the version that the dead run may still create: its outputs stay until somebody does."""
    scene.run()
    scene.leave()
    scene.clock.sleep(CARE.silent_s)
    assert scene.run().status is RunStatus.NOTHING_TO_DO
    assert (scene.ends, scene.orphan()) == ([LeftState.WAITING], True)
    scene.writer.append()
    scene.run()
    assert scene.ends[-1] is LeftState.SWEPT
    assert not scene.orphan()


def test_a_late_commit_of_a_dead_run_is_kept(scene: Scene) -> None:
    """A create that was under way when the run was fenced lands afterwards: what it names is never deleted."""
    scene.run()
    scene.leave()
    scene.clock.sleep(CARE.silent_s)
    scene.run()
    add = {
        "path": f"p=a/{STEM}-a0-00000.zstd.parquet",
        "partitionValues": {"p": "a"},
        "size": 1,
        "dataChange": False,
        "modificationTime": 0,
    }
    scene.store.put(entry_key(newest_version(scene.store) + 1), json.dumps({"add": {**add, "stats": '{"numRecords":1}'}}).encode())
    ports = scene.ports()
    assert ports.recovery.look()
    (end,) = ports.recovery.settle(ports.table)
    assert (end.state, end.files) == (LeftState.SWEPT, 0)
    assert scene.orphan()


def fence(scene: Scene) -> None:
    """Somebody takes all runs that are at work for dead."""
    for key in [key for key in scene.intents() if key.endswith(".json")]:
        say(scene.store, base_of(key, json.loads(scene.store.get(key))["nonce"]), Marker.FENCE, by="recovery")


def outputs(scene: Scene) -> set[str]:
    return {item.key for item in scene.store.list("p=") if "-a0-" in item.key}


def test_a_fenced_run_commits_nothing_and_deletes_nothing(scene: Scene) -> None:
    """A run that is taken for dead again and again while it lives ends as a conflict; what it had finished is others' to commit."""
    version = newest_version(scene.store)
    run = scene.run(on=lambda event: fence(scene) if isinstance(event, GroupFinished) else None)
    assert (run.status, run.exit_code, newest_version(scene.store)) == (RunStatus.CONFLICT, 4, version)
    assert "taken over" in (run.reason or "")
    assert {drop.reason for drop in run.groups_dropped} == {"taken-over"}
    assert len(run.groups_dropped) == run.groups_planned > 2, "it has planned again"
    assert len(outputs(scene)) == run.groups_planned
    scene.writer.append()
    assert scene.run().status is RunStatus.COMMITTED
    named = {path for number in range(newest_version(scene.store) + 1) for path in _paths(scene.store, number)}
    assert [item.key for item in scene.store.list("p=") if item.key not in named] == []


def test_a_run_that_was_taken_for_dead_goes_on_with_what_is_left(scene: Scene) -> None:
    """Fenced once, it plans again under an intent of its own and commits; what it had finished before stays for who fenced it."""
    finished: list[str] = []

    def once(event: Event) -> None:
        if isinstance(event, GroupFinished):
            finished.extend(output.key for output in event.result.outputs)
            if len(finished) == 1:
                fence(scene)

    run = scene.run(on=once)
    assert (run.status, run.exit_code, run.groups_planned, run.groups_committed) == (RunStatus.COMMITTED, 0, 4, 2)
    assert [drop.reason for drop in run.groups_dropped] == ["taken-over", "taken-over"]
    assert outputs(scene) == set(finished)
    assert [key for key in finished if key in live_files(scene.store, newest_version(scene.store))] == finished[2:]
    assert [key.rpartition("/")[2].split(".")[0] for key in scene.intents() if key.endswith(".json")] == [run.run_id]


def test_a_run_that_was_cleaned_up_after_commits_nothing(scene: Scene) -> None:
    """A run that wakes up when even its fence is gone again finds no intent of its own, and may commit nothing that it has finished."""
    version = newest_version(scene.store)

    def clean_up(event: Event) -> None:
        if isinstance(event, GroupFinished):
            scene.store.delete(scene.intents())

    run = scene.run(on=clean_up)
    assert (run.status, run.exit_code, newest_version(scene.store)) == (RunStatus.CONFLICT, 4, version)


def test_a_run_that_wakes_up_late_does_not_delete_what_others_committed(scene: Scene) -> None:
    """Taken for dead, its finished groups committed by another, all traces cleared: then it wakes up, and leaves its outputs alone."""
    finished = 0
    taken: list[Run] = []

    def others(event: Event) -> None:
        nonlocal finished
        finished += isinstance(event, GroupFinished)
        if finished == 2 and not taken:  # the result of the first group is kept by now
            scene.clock.sleep(CARE.silent_s)
            taken.append(scene.run())
            scene.clock.sleep(CARE.late_s)
            scene.run()

    late = scene.run(on=others)
    assert taken[0].groups_committed >= 1
    assert LeftState.CLEARED in scene.ends
    assert late.status in (RunStatus.CONFLICT, RunStatus.NOTHING_TO_DO)
    live = live_files(scene.store, newest_version(scene.store))
    assert [path for path in live if scene.store.head(path) is None] == []


def _paths(store: MemoryStore, version: int) -> list[str]:
    actions = [json.loads(line) for line in bytes(store.get(entry_key(version))).splitlines()]
    return [action[kind]["path"] for action in actions for kind in ("add", "remove") if kind in action]


def test_an_unknown_commit_is_waited_out(scene: Scene) -> None:
    """After an unknown commit the outputs stay until the version that it aimed at is taken; then what did not land goes."""
    run = scene.run("create _delta_log/* every before lost", "get _delta_log/*09.json every before error")
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 5)
    outputs = [item.key for item in scene.store.list("p=") if "-a0-" in item.key]
    assert outputs
    ports = scene.ports()
    assert ports.recovery.look()
    ports.recovery.fence(ports.table)
    assert [end.state for end in ports.recovery.settle(ports.table)] == [LeftState.WAITING]
    assert all(scene.store.head(key) for key in outputs)
    scene.writer.append()
    assert [end.state for end in ports.recovery.settle(ports.table)] == [LeftState.SWEPT]
    assert not any(scene.store.head(key) for key in outputs)


@pytest.mark.parametrize("care", [CARE, replace(CARE, keep_bytes=10**9)], ids=["kept", "small"])
@pytest.mark.parametrize(
    "faults",
    [
        ("list _delta_log/* 2+ before error",),
        ("create _delta_log/* before lost", "get _delta_log/*9.json every before error"),
    ],
    ids=["known not to have landed", "unknown"],
)
def test_what_a_failing_store_kept_from_the_log_is_not_redone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, care: Care, faults: tuple[str, ...]
) -> None:
    """The store fails for longer than a commit waits: the finished groups are committed by the next run, at once, and not rewritten."""
    monkeypatch.setitem(globals(), "CARE", care)
    rewritten: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, GroupFinished):
            rewritten.append(event.result.group_id)

    assert scene.run(*faults, on=note).status is RunStatus.FAILED
    assert rewritten
    done = len(rewritten)
    run = scene.run(on=note)
    assert run.status is RunStatus.COMMITTED
    assert len(rewritten) == done, "what was finished was rewritten"


def test_nothing_goes_while_another_may_commit_it(scene: Scene) -> None:
    """A run that fenced a dead one to commit its finished groups, and is itself at work, is not pre-empted."""
    key = scene.leave()
    base = base_of(key, "n")
    other = Intent(run_id="other", table=scene.store.uri, version=8, created_ms=0, groups=(), nonce="m")
    scene.clock.sleep(CARE.silent_s)
    write_intent(scene.store, "_compactor/", other)
    say(scene.store, base, Marker.FENCE, by="other.m")
    scene.run()
    assert (scene.ends, scene.orphan()) == ([LeftState.IN_FLIGHT], True)
    scene.clock.sleep(CARE.silent_s)  # now it is dead too: fenced itself, and past after the next version
    scene.writer.append()
    scene.run()
    scene.writer.append()
    scene.run()
    assert not scene.orphan()


def test_a_log_that_was_cleaned_up_deletes_nothing(scene: Scene) -> None:
    """Where entries since the run are gone it cannot be known what they named."""
    scene.leave()
    scene.writer.append()
    scene.clock.sleep(CARE.silent_s)
    ports = scene.ports()
    ports.recovery.look()
    ports.recovery.fence(ports.table)
    scene.writer.append()
    scene.store.delete([entry_key(newest_version(scene.store) - 1)])
    assert [end.state for end in ports.recovery.settle(ports.table)] == [LeftState.UNKNOWN]
    assert scene.orphan()


def test_a_dry_look_writes_nothing(scene: Scene) -> None:
    """Told to look only, recovery says what would go and leaves every object."""
    scene.leave()
    scene.clock.sleep(CARE.silent_s)
    before = [item.key for item in scene.store.list("")]
    ports = scene.ports()
    ports.recovery.look()
    (end,) = ports.recovery.settle(ports.table, dry_run=True)
    assert (end.state, end.files, end.bytes) == (LeftState.WAITING, 1, 1)
    assert [item.key for item in scene.store.list("")] == before


def test_nothing_left_costs_one_listing(scene: Scene) -> None:
    """Where every run ended cleanly, recovery asks the store once."""

    class Once(MemoryStore):
        def get(self, key: str) -> bytes:
            raise AssertionError(key)

        def now_ms(self) -> int:
            raise AssertionError

    ports = wire(Once(MemoryBucket("empty", scene.clock), "t"), SETTINGS, care=CARE)
    assert not ports.recovery.look()


def test_a_store_that_fails_is_a_problem_not_an_end(scene: Scene) -> None:
    """A run commits although what a dead one left cannot be deleted; the run says so."""
    scene.leave()
    scene.clock.sleep(CARE.silent_s)
    run = scene.run("delete p=* every before error")
    assert run.status is RunStatus.COMMITTED
    assert any("gone" in warning for warning in run.warnings)


def test_a_result_is_read_back_as_it_was_kept(scene: Scene) -> None:
    """All kinds of values that statistics hold survive; what this version does not know is as good as nothing."""
    statistics = (
        ColumnStatistics(path=("a", "b"), null_count=1, minimum=Decimal("-0.25"), maximum=Decimal("1E+3")),
        ColumnStatistics(path=("c",), null_count=0, minimum=b"\x00\xff", maximum=float("inf"), maximum_cut=True),
        ColumnStatistics(path=("d",), null_count=0, minimum=True, maximum=2**60),
    )
    output = OutputFile(key="p=a/x.parquet", size_bytes=10, rows=3, statistics=statistics)
    result = RewriteResult(group_id=3, attempt=1, engine="transcode", input_rows=3, outputs=(output,), row_map=Concat(offsets=(0, 2)))
    group = FinishedGroup(inputs=(FileKey(path="a", deletes_id=None),), result=result, generation=1, finished_for_bytes=None)
    keep_result(scene.store, "results/r.n/", group)
    assert read_results(scene.store, "results/r.n/") == [group]
    assert from_plain(to_plain(group)) == group
    scene.store.put("results/r.n/000004.json", b'{"format_version":1,"kind":"result","group":{"is":"Later","x":1}}')
    scene.store.put("results/r.n/000005.json", b'{"format_version":2,"kind":"result","group":{}}')
    scene.store.put("results/r.n/000006.json", b'{"format_version":1,"kind":"result","group":{"is":"FinishedGroup","__class__":1}}')
    assert read_results(scene.store, "results/r.n/") == [group]


def test_processes_of_this_machine_are_known_by_name() -> None:
    """A living process is not gone, one that ended is; of a process elsewhere nothing is said."""
    owners = SystemOwners()
    me = owners.me()
    assert me
    assert not owners.is_gone(me)
    ask = "from compactor.ambient.owners import SystemOwners; print(SystemOwners().me())"
    ended = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert owners.is_gone(ended.stdout.strip())
    place, _, process = me.partition("/")
    assert not owners.is_gone(f"elsewhere/{process}")
    assert not owners.is_gone("")
    assert owners.is_gone(f"{place}/{os.getpid()}/1"), "a number that was used again"


def test_marks_are_made_once(scene: Scene) -> None:
    """Who says it first has said it; an error of the store is not taken for an answer."""
    assert say(scene.store, "x.n", Marker.FENCE, by="me")
    assert say(scene.store, "x.n", Marker.FENCE, by="me")
    assert not say(scene.store, "x.n", Marker.FENCE, by="you")
    with pytest.raises(StorageUnavailable):
        say(FaultyStore(scene.store, ["create * every before lost"]), "y.n", Marker.FENCE, by="me")
