"""Leases: one holder, cheap, lost before the next commit, expired only by observed silence; and nothing right rests on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from simulation.appender import Appender, History
from simulation.reader import newest_version
from simulation.stepped_store import Crash, SteppedStore, Trace
from simulation.world import Processes

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.owners import UnknownOwners
from compactor.coordination.documents import encode
from compactor.coordination.lease import LEASE_FORMAT_VERSION, TableLease, Terms, Watch
from compactor.coordination.records import Care
from compactor.errors import ConflictGaveUp, Superseded, TableRefused
from compactor.lookout import LOOK_EVERY_S
from compactor.model.events import Event, GroupFinished, Planned
from compactor.model.run import Run, RunStatus
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage.base import ObjectStore
from compactor.storage.counting import CountingStore
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.wiring import wire

SETTINGS = Settings(executor="serial", target_size="4KiB", min_input_files=2, memory="64MiB", lease="on", lease_wait=0)


class Gone(UnknownOwners):
    """Every process is known to be gone."""

    def is_gone(self, owner: str) -> bool:
        return True


class Place:
    """A store, a clock, and leases of one table on it as different processes have them."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(MemoryBucket("leases", self.clock), "t")
        self._processes = 0

    def lease(self, *, watch: Watch | None = None, wait_s: float = 0.0, gone: bool = False, store: object = None) -> TableLease:
        self._processes += 1
        ambient = Ambient(clock=self.clock, ids=SeededIds(self._processes), randomness=SeededRandomness(0))
        return TableLease(
            store=store or self.store,  # type: ignore[arg-type]
            prefix="_compactor/",
            ambient=ambient,
            owners=Gone() if gone else UnknownOwners(),
            watch=watch or Watch(),
            terms=Terms(ttl_s=90, wait_s=wait_s, pulse=False),
        )

    def keys(self) -> list[str]:
        return [item.key.removeprefix("_compactor/lease/") for item in self.store.list("_compactor/lease/")]


@pytest.fixture
def place() -> Place:
    return Place()


def test_one_holds_it_and_leaves_nothing(place: Place) -> None:
    """While one holds the lease another gives up with its name; afterwards nothing is left, and the other gets it."""
    with place.lease().held("first"), pytest.raises(ConflictGaveUp, match="first"), place.lease().held("second"):
        pytest.fail("two hold it")
    assert place.keys() == []
    with place.lease().held("second"):
        assert place.keys() == ["000000000001.json"]


def test_taking_it_costs_two_requests(place: Place) -> None:
    """A free lease is taken by one listing and one creation, and given back by one deletion."""
    counting = CountingStore(place.store)
    lease = place.lease(store=counting)
    with lease.held("r"):
        lease.check()
    assert {name: count.calls for name, count in counting.counts().items()} == {"list": 1, "create": 1, "delete": 1}


def test_a_silent_holder_is_replaced_and_learns_of_it(place: Place) -> None:
    """A generation that a watcher saw unchanged for the whole time has expired; its holder may not commit any more."""
    first, watch = place.lease(), Watch()
    with first.held("first"):
        with pytest.raises(ConflictGaveUp), place.lease(watch=watch).held("second"):
            pass
        place.clock.sleep(89)
        with pytest.raises(ConflictGaveUp), place.lease(watch=watch).held("second"):
            pass
        place.clock.sleep(1)
        with pytest.raises(ConflictGaveUp), place.lease().held("third"):
            pytest.fail("a watcher that has just arrived has seen no silence")
        second = place.lease(watch=watch)
        with second.held("second"):
            assert place.keys() == ["000000000002.json"]
            with pytest.raises(Superseded):
                first.check()
            second.check()
    assert place.keys() == []


def test_a_holder_that_renews_keeps_it(place: Place) -> None:
    """Renewal makes the next generation and removes the one before; a watcher sees no silence."""
    first, watch = place.lease(), Watch()
    with first.held("first"):
        for _ in range(10):
            with pytest.raises(ConflictGaveUp), place.lease(watch=watch).held("second"):
                pass
            place.clock.sleep(60)
            first.check()
        assert place.keys() == ["000000000011.json"]


def test_who_waits_gets_an_expired_lease(place: Place) -> None:
    """A single run that waits long enough watches the silence by itself."""
    abandoned = place.lease().held("crashed")
    abandoned.__enter__()
    with place.lease(wait_s=100).held("patient"):
        assert place.keys() == ["000000000002.json"]


def test_a_process_known_to_be_gone_is_not_waited_for(place: Place) -> None:
    """On its own machine a dead holder is replaced at once."""
    abandoned = place.lease().held("crashed")
    abandoned.__enter__()
    with place.lease(gone=True).held("next"):
        assert place.keys() == ["000000000002.json"]


def test_a_store_that_fails_ends_the_lease_in_time(place: Place) -> None:
    """A holder that cannot renew goes on until its lease has run out, and no longer."""
    store = FaultyStore(place.store, [f"create *lease/* {number} before error" for number in range(2, 30)])
    lease = place.lease(store=store)
    with lease.held("r"):
        place.clock.sleep(60)
        lease.check()
        place.clock.sleep(31)
        with pytest.raises(Superseded):
            lease.check()


def test_a_newer_lease_is_refused_by_name(place: Place) -> None:
    """A lease in a format of a later version is not guessed at."""
    place.store.put("_compactor/lease/000000000001.json", encode("lease", LEASE_FORMAT_VERSION + 1, {}))
    with pytest.raises(TableRefused, match="format version"), place.lease().held("r"):
        pass


class Scene(Place):
    """A table with something to do, and runs that take its lease."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = Appender(name="w", store=self.store, clock=self.clock, seed=1, history=History())
        self.writer.create_table()
        for _ in range(8):
            self.writer.append()

    def run(self, on: Callable[[Event], None] = lambda _: None) -> Run:
        ports = wire(self.store, SETTINGS, sink=on, ambient=self.ambient(), care=Care(beat_s=None), owners=UnknownOwners())
        return run_table(replace(ports), SETTINGS.policy())

    def ambient(self) -> Ambient:
        """Of a process of its own."""
        self._processes += 1
        return Ambient(clock=self.clock, ids=SeededIds(self._processes), randomness=SeededRandomness(0))


def test_a_leased_table_is_left_alone() -> None:
    """A run that finds the lease held ends as a conflict and has written nothing; later it goes through."""
    scene = Scene()
    before = [item.key for item in scene.store.list("")]
    with scene.lease().held("other"):
        run = scene.run()
        assert (run.status, run.exit_code) == (RunStatus.CONFLICT, 4)
        assert "other" in (run.reason or "")
    assert [item.key for item in scene.store.list("")] == before
    assert scene.run().status is RunStatus.COMMITTED
    assert scene.keys() == []


def test_a_run_with_nothing_to_do_takes_no_lease() -> None:
    """Where nothing is to be done a held lease is no obstacle, and nothing is written."""
    scene = Scene()
    scene.run()
    with scene.lease().held("other"):
        before = [item.key for item in scene.store.list("")]
        assert scene.run().status is RunStatus.NOTHING_TO_DO
        assert [item.key for item in scene.store.list("")] == before


def test_a_lost_lease_stops_the_run_before_its_commit() -> None:
    """Somebody took the next generation while groups were rewritten: nothing is committed, and the outputs are taken back."""
    scene = Scene()
    version, files = newest_version(scene.store), [item.key for item in scene.store.list("p=")]

    def steal(event: Event) -> None:
        if isinstance(event, GroupFinished):
            scene.store.create("_compactor/lease/000000000002.json", encode("lease", LEASE_FORMAT_VERSION, {"holder": "thief"}))
            scene.clock.sleep(60)

    run = scene.run(on=steal)
    assert (run.status, run.exit_code) == (RunStatus.CONFLICT, 4)
    assert "lease" in (run.reason or "")
    assert newest_version(scene.store) == version
    assert [item.key for item in scene.store.list("p=")] == files


@pytest.mark.parametrize("sleeps_s", [0.0, LOOK_EVERY_S], ids=["by the last holder", "while groups were rewritten"])
def test_what_others_took_since_the_plan_is_not_rewritten(sleeps_s: float) -> None:
    """Another run does all that was planned, before the lease is ours or after the first group: what it took is not rewritten once more."""
    scene = Scene()
    written: list[int] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished):
            written.append(event.result.group_id)
        if isinstance(event, GroupFinished if sleeps_s else Planned) and len(written) < 2 and not newest_version(scene.store) > before:
            scene.clock.sleep(sleeps_s)
            ports = wire(scene.store, SETTINGS.model_copy(update={"lease": "off"}), ambient=scene.ambient(), care=Care(beat_s=None))
            assert run_table(ports, SETTINGS.policy()).groups_committed == 2

    before = newest_version(scene.store)
    run = scene.run(on=interfere)
    assert run.status is RunStatus.NOTHING_TO_DO, run.reason
    assert written == ([0] if sleeps_s else [])


def test_what_the_last_holder_had_finished_is_committed_first() -> None:
    """Another run takes the lease after this one has planned, and its process dies between two groups: the first is not rewritten."""
    scene, dead, written = Scene(), set[str](), list[str]()

    def run(name: str, store: ObjectStore, on: Callable[[Event], None]) -> Run:
        care, owners = Care(beat_s=None, keep_bytes=0), Processes(name, dead)
        return run_table(wire(store, SETTINGS, sink=on, ambient=scene.ambient(), care=care, owners=owners), SETTINGS.policy())

    def die(event: Event) -> None:
        if isinstance(event, GroupFinished):
            written.append("other")
            if len(written) == 2:
                dead.add("other")
                dying.kill()

    def interfere(event: Event) -> None:
        if isinstance(event, Planned) and not dead:
            with pytest.raises(Crash):
                run("other", dying, die)
        if isinstance(event, GroupFinished):
            written.append("this")

    dying = SteppedStore("other", scene.store, Trace(), lambda: None)
    dying.owner = threading.current_thread()
    ended = run("this", scene.store, interfere)
    assert (ended.status, ended.groups_committed) == (RunStatus.COMMITTED, 2), ended.reason
    assert written == ["other", "other", "this"]
