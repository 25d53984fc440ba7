"""Worlds under a seed stay right, are the same twice, and the auditor sees what it is there to see."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compactor.ambient import VirtualClock
from compactor.coordination import outputs
from compactor.coordination.claims import Claims
from compactor.coordination.documents import create
from compactor.coordination.outputs import OutputFates
from compactor.coordination.records import RunRecords
from compactor.errors import StorageUnavailable
from compactor.model.run import Run, RunStatus
from compactor.model.usage import Usage
from compactor.storage.base import ObjectMeta, ObjectStore
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta import commit
from compactor.tables.delta.entry import EntryGroup
from compactor.tables.delta.salvage import Candidates, with_outputs
from compactor.tables.delta.table import DeltaTable
from simulation import vacuums
from simulation.appender import SCHEMA, Appender, History
from simulation.auditor import Auditor
from simulation.cast import Cast, draw
from simulation.crashes import play_until
from simulation.figures import Attempt, Ending, Figures
from simulation.reader import entry_key, live_files, newest_version, rows_of_file
from simulation.shrink import command, shrink, trouble
from simulation.stepped_store import SteppedStore, Trace
from simulation.world import World


@pytest.mark.parametrize("seed", range(12))
def test_a_world_stays_right_and_is_the_same_twice(seed: int) -> None:
    """Whatever the seed lets happen, no row is lost, doubled or revived, and a second play of it is identical call by call."""
    first, second = World(seed), World(seed)
    report = first.play()
    assert second.play() == report
    assert second.trace.lines == first.trace.lines


def test_services_commit_what_they_could() -> None:
    """Two services of one machine beside all actors, a rival that doubles rows too, keep tables right; of their runs that could commit, all
    did, and some could; what is in vain is counted."""
    figures = Figures()
    for world in [*(World(seed, service=True) for seed in range(12)), *(World(seed, service=True, stale=True) for seed in (0, 4, 8))]:
        world.play()
        figures.runs(world.seed, world.attempts)
        figures.files(*world.outputs())
    assert figures.missed == []
    assert figures.endings[Ending.COMMITTED] >= 10
    assert figures.waste is not None and 0 < figures.waste < 1


@pytest.mark.parametrize("seed", range(1000, 1012))
def test_after_crashes_nothing_is_left_over(seed: int) -> None:
    """Where nearly every compactor dies somewhere, the runs after it leave no byte that no version and no intent accounts for."""
    World(seed, crashing=0.95).play()


def test_bytes_that_are_left_over_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of what is unaccounted for is 0 after some crashes, and is not when runs leave their vectors lying about."""
    toll, failed = play_until(8, first=1000)
    assert (toll.crashes >= 8, toll.left_bytes, failed) == (True, 0, [])
    monkeypatch.setattr(outputs, "spare_vectors", lambda *_: [])
    cast = next(cast for seed in range(1, 60, 2) if trouble(cast := draw(seed, 0.25)))
    world = World(cast.seed, cast=cast)
    with pytest.raises(AssertionError, match="left"):
        world.play()
    assert world.left_bytes() > 0


def test_what_a_careless_rival_broke_is_named_and_left_alone() -> None:
    """A rival that doubles rows after our commits is named by the next run, which writes nothing; no commit of ours changes a row."""
    worlds = [World(seed, stale=True) for seed in range(16)]
    for world in worlds:
        world.play()
    assert sum(world.damaged for world in worlds) >= 2


def test_a_run_that_goes_on_after_damage_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard against damage, a run compacts what was broken, and the worlds say so."""
    monkeypatch.setattr(DeltaTable, "rivals", lambda *_: [])
    with pytest.raises(AssertionError, match="was not refused"):
        for seed in range(16):
            World(seed, stale=True).play()


def test_recoveries_are_worth_it() -> None:
    """Among a few seeds dead runs are waited for, swept and cleared; and some crashed."""
    worlds = [World(seed, crashing=0.95) for seed in range(1000, 1012)]
    for world in worlds:
        world.play()
    seen = {name for world in worlds for name in world.seen}
    assert {"recovery waiting", "recovery swept", "recovery cleared"} <= seen
    assert sum(world.crashes for world in worlds) >= 10


def test_the_worlds_are_worth_it() -> None:
    """Among a few seeds there are commits, conflicts, failures and crashes; without them the worlds would prove nothing."""
    reports = [World(seed).play() for seed in range(12)]
    assert {"committed", "conflict", "failed", "crash", "nothing-to-do"} <= {
        ending for r in reports for ending, times in r.endings if times
    }
    assert sum(report.masked_rows for report in reports) > 0


def without_looking(store: ObjectStore, candidates: Candidates) -> tuple[Candidates, tuple[EntryGroup, ...]]:
    """As salvage does it, in a store that says of every output that it is there."""
    there = {
        output.key: ObjectMeta(key=output.key, size_bytes=output.size_bytes, modified_ms=0)
        for group in candidates.groups
        for output in group.result.outputs
    }
    return with_outputs(SimpleNamespace(uri=store.uri, head=there.get), candidates)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("owner", "rule", "broken"),
    [
        (commit, "judged", lambda work, *_: work),
        (OutputFates, "offered", lambda *_: None),
        (OutputFates, "committed", lambda fates, ids: fates.discarded(ids)),
        (RunRecords, "intend", lambda *_: None),
        (outputs, "spare_vectors", lambda *_: []),
        (commit, "with_outputs", without_looking),
        (vacuums, "read_claims", lambda *_: Claims(stems=())),
    ],
    ids=[
        "inputs are not judged again",
        "unknown commits are swept",
        "commits are swept",
        "no intent",
        "vectors of lost attempts stay",
        "outputs are not looked for",
        "intents are not heeded by our vacuum",
    ],
)
def test_the_worlds_see_a_broken_rule(owner: object, rule: str, broken: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one of the compactor's rules taken out, some world of the first few dozen goes wrong, of those where that rule matters."""
    monkeypatch.setattr(owner, rule, broken)
    needed = {"with_outputs": "foreign-vacuum", "read_claims": "vacuum"}.get(rule, "appender")
    seeds = (seed for seed in range(240) if any(role.kind == needed for role in draw(seed, 0.25).roles))
    with pytest.raises(AssertionError, match="seed"):
        for seed in islice(seeds, 60):
            World(seed).play()


def test_a_world_that_goes_wrong_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of it goes wrong by itself, has no more in it than that takes, and is written down so that it can be played again."""
    monkeypatch.setattr(outputs, "spare_vectors", lambda *_: [])
    cast = next(cast for seed in range(1, 60, 2) if trouble(cast := draw(seed, 0.25)))
    smallest, why = shrink(cast, trouble)
    assert trouble(Cast.parse(smallest.to_text())) == why
    assert sum(role.steps for role in smallest.roles) < sum(role.steps for role in cast.roles)
    for role in smallest.roles:
        assert trouble(replace(smallest, roles=tuple(other for other in smallest.roles if other != role))) is None
    assert smallest.to_text() in command(smallest)
    monkeypatch.undo()
    assert trouble(smallest) is None


def test_vacuums_and_changes_of_the_schema_take_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among a few seeds both vacuums delete what compactions replaced, the other engine's outputs of runs at work too, and columns come,
    go and grow while tables are compacted."""
    deleted: dict[str, list[str]] = {"vacuum": [], "foreign-vacuum": []}
    changes = 0
    for seed in range(60):
        cast = draw(seed, 0.0)
        if {role.kind for role in cast.roles} & {"evolver", *deleted}:
            world = World(seed, cast=cast)
            world.play()
            for role, vacuum in zip((role for role in cast.roles if role.kind in deleted), world.vacuums, strict=True):
                deleted[role.kind] += vacuum.deleted
            changes += sum(role.steps for role in cast.roles if role.kind == "evolver")
    assert all(len(keys) > 10 for keys in deleted.values())
    assert any("/part-" in key for key in deleted["foreign-vacuum"])
    assert changes > 10


class Table:
    """A small table with an auditor that has found it right so far."""

    def __init__(self) -> None:
        clock = VirtualClock()
        self.store = MemoryStore(MemoryBucket("audited", clock), "t")
        history = History()
        self.writer = Appender(name="w", store=self.store, clock=clock, seed=1, history=history)
        self.writer.create_table()
        self.auditor = Auditor(self.store, history)
        for _ in range(4):
            self.writer.append()
        self.auditor.look()

    def compact(self, leave_out: int = 0, remove: bool = True) -> str:
        """A compaction of the files of one partition as careless as told. Returns the key of its output."""
        version = newest_version(self.store)
        live = live_files(self.store, version)
        partition = next(iter(live.values()))["partitionValues"]["p"]
        inputs = {path: add for path, add in live.items() if add["partitionValues"]["p"] == partition}
        rows = [row for path, add in inputs.items() for row in rows_of_file(self.store, path, add)]
        rows = rows[: len(rows) - leave_out]
        buffer = io.BytesIO()
        pq.write_table(pa.table([[row[0] for row in rows], [row[1] for row in rows]], schema=SCHEMA), buffer)
        key = f"p={partition}/compacted-{version}.parquet"
        self.store.put(key, buffer.getvalue())
        stats = json.dumps({"numRecords": len(rows)})
        add = {"path": key, "size": len(buffer.getvalue()), "partitionValues": {"p": partition}, "stats": stats, "dataChange": False}
        removes = [{"remove": {"path": path, "dataChange": False}} for path in inputs] if remove else []
        write_entry(self.store, version + 1, [*removes, {"add": add}])
        return key


def write_entry(store: ObjectStore, version: int, actions: list[dict[str, object]]) -> None:
    store.put(entry_key(version), "\n".join(map(json.dumps, actions)).encode())


def lose_rows(table: Table) -> None:
    table.compact(leave_out=1)


def double_rows(table: Table) -> None:
    table.compact(remove=False)


def compact_twice(table: Table) -> None:
    """Two compactors on one version, the second of which does not look again."""
    before = live_files(table.store, newest_version(table.store))
    table.compact()
    version = newest_version(table.store)
    write_entry(table.store, version + 1, [{"remove": {"path": path}} for path in before])


def leave_a_gap(table: Table) -> None:
    write_entry(table.store, newest_version(table.store) + 2, [])


def rewrite_an_entry(table: Table) -> None:
    write_entry(table.store, 1, [])


def delete_a_live_file(table: Table) -> None:
    table.store.delete([table.compact()])


def delete_an_old_live_file(table: Table) -> None:
    table.store.delete([next(iter(live_files(table.store, newest_version(table.store))))])


def change_a_size(table: Table) -> None:
    path = next(iter(live_files(table.store, newest_version(table.store))))
    table.store.put(path, bytes(table.store.get(path)) + b" ")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose_rows, "has lost 1 rows"),
        (double_rows, "more than once"),
        (compact_twice, "is removed but is not live"),
        (leave_a_gap, "a gap"),
        (rewrite_an_entry, "version 1 was rewritten"),
        (delete_a_live_file, "does not exist"),
        (delete_an_old_live_file, "does not exist"),
        (change_a_size, "another size"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_auditor_sees_damage(damage: Callable[[Table], None], says: str) -> None:
    """Each way to damage the table is a finding at the next look."""
    table = Table()
    damage(table)
    with pytest.raises(AssertionError, match=says):
        table.auditor.look()


def test_the_auditor_lets_a_right_compaction_pass() -> None:
    """A compaction that keeps all rows is no finding."""
    table = Table()
    table.compact()
    table.auditor.look()
    assert table.auditor.leftovers() == []


def test_the_auditor_sees_leftovers() -> None:
    """A data file that neither the log nor an intent knows is found at the end."""
    table = Table()
    table.store.put("p=a/part-00000-x-a0-00000.zstd.parquet", b"x")
    assert table.auditor.leftovers() == ["p=a/part-00000-x-a0-00000.zstd.parquet"]


def test_what_a_run_counts_as() -> None:
    """Only a run that could commit something, and met neither death nor fault nor a broken table, is held against first-time success."""
    planned = Run(
        run_id="r1", table="t", status=RunStatus.CONFLICT, groups_planned=2, reason="The lease of s3://b/t was lost.", actual=Usage()
    )
    figures = Figures()
    attempts = {
        Ending.KILLED: Attempt(run=None),
        Ending.FAULTED: Attempt(run=planned, failures=1),
        Ending.BROKEN: Attempt(run=planned, broken=True),
        Ending.IDLE: Attempt(run=replace(planned, groups_planned=0)),
        Ending.WAITING: Attempt(run=replace(planned, actual=None)),
        Ending.OVERTAKEN: Attempt(run=replace(planned, status=RunStatus.NOTHING_TO_DO)),
        Ending.COMMITTED: Attempt(run=replace(planned, groups_committed=1), broken=True),
        Ending.MISSED: Attempt(run=planned),
    }
    assert [attempt.ending for attempt in attempts.values()] == list(Ending) == list(attempts)
    figures.runs(7, attempts.values())
    assert figures.first_time == 0.5
    assert dict(figures.reasons) == {"conflict: The lease of … was lost.": 1}


@pytest.mark.parametrize(("lost", "failures"), [(2, 0), (3, 1)])
def test_creates_whose_end_nobody_knows_are_a_failure_once_a_writer_gives_up(lost: int, failures: int) -> None:
    """Two unknown creates in a row are tried again; after the third, who must create something gives up, and that counts as a fault."""
    store = FaultyStore(MemoryStore(), ["create * every before lost"] if lost == 3 else ["create * before lost", "create * 2 before lost"])
    stepped = SteppedStore("one", store, Trace(), lambda: None)
    stepped.owner = threading.current_thread()
    with nullcontext() if lost < 3 else pytest.raises(StorageUnavailable):
        create(stepped, "k", b"x")
    assert stepped.failures == failures


@pytest.mark.parametrize("status", [RunStatus.COMMITTED, RunStatus.CONFLICT])
def test_the_auditor_sees_false_accounts(status: RunStatus) -> None:
    """A run that claims a commit the log does not have, or keeps silent of one that it has, is found."""
    table = Table()
    if status is RunStatus.CONFLICT:
        write_entry(table.store, newest_version(table.store) + 1, [{"commitInfo": {"operationParameters": {"runId": "r1"}}}])
        table.auditor.look()
    with pytest.raises(AssertionError, match="r1"):
        table.auditor.check_accounts([Run(run_id="r1", table="t", status=status)])
