"""Calls that failed for a passing reason are made again, for a bounded time, at times that chance draws; an exclusive create never is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.errors import AccessDenied, ObjectMissing, StorageUnavailable
from compactor.storage.base import Created, ObjectStore, PutUnknown
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryStore
from compactor.storage.patient import FIRST_PAUSE_S, TRIES, PatientStore


class Pauses(VirtualClock):
    """A clock that keeps what it slept."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


def patient(faults: list[str], seed: int = 1) -> tuple[PatientStore, FaultyStore, Pauses]:
    inner = MemoryStore()
    for name in ("a", "b", "c"):
        inner.put(name, b"12")
    faulty, clock = FaultyStore(inner, faults), Pauses()
    return PatientStore(faulty, Ambient(clock=clock, ids=SeededIds(seed), randomness=SeededRandomness(seed))), faulty, clock


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: bytes(store.get("a")),
    "get_ranges": lambda store: [bytes(part) for part in store.get_ranges("a", [(0, 1)])],
    "put": lambda store: store.put("a", b"3"),
    "head": lambda store: store.head("a"),
    "list": lambda store: [item.key for item in store.list("")],
    "list_level": lambda store: store.list_level(""),
    "delete": lambda store: store.delete(["a"]),
    "now_ms": lambda store: store.now_ms(),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_fails_for_a_while_succeeds(call: str) -> None:
    """A call that fails up to one time fewer than it may be tried ends well."""
    store, faulty, clock = patient([f"{call} * {n} before error" for n in range(1, TRIES)])
    CALLS[call](store)
    assert len(faulty.hits) == len(clock.slept) == TRIES - 1


@pytest.mark.parametrize("call", CALLS)
def test_what_fails_on_ends_within_bounds(call: str) -> None:
    """A call that always fails is given up after so many tries and at most 15.5 seconds of pauses, with its own error."""
    store, faulty, clock = patient([f"{call} * every before error"])
    with pytest.raises(StorageUnavailable):
        CALLS[call](store)
    assert len(faulty.hits) == TRIES
    assert sum(clock.slept) <= 15.5


def test_pauses_double_and_are_drawn_from_chance() -> None:
    """Each pause lies between half of its bound and its bound, which doubles; who has another chance comes back at another time."""
    slept = []
    for seed in (1, 2):
        store, _, clock = patient(["head * every before error"], seed)
        with pytest.raises(StorageUnavailable):
            store.head("a")
        assert all(FIRST_PAUSE_S * 2**i / 2 <= pause <= FIRST_PAUSE_S * 2**i for i, pause in enumerate(clock.slept))
        slept.append(clock.slept)
    assert not set(slept[0]) & set(slept[1])


def test_a_listing_goes_on_where_it_broke_off() -> None:
    """A listing that fails in the middle tells each key once."""

    class Breaking(MemoryStore):
        broken = False

        def list(self, prefix: str, start_after: str | None = None):  # type: ignore[no-untyped-def]
            for item in super().list(prefix, start_after):
                yield item
                if item.key == "b" and not self.broken:
                    self.broken = True
                    raise StorageUnavailable("reset")

    inner = Breaking()
    for name in ("a", "b", "c", "d"):
        inner.put(name, b"")
    store = PatientStore(inner, Ambient(clock=VirtualClock(), ids=SeededIds(1), randomness=SeededRandomness(1)))
    assert [item.key for item in store.list("")] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("effect", "error"), [("denied", AccessDenied), ("missing", ObjectMissing)])
def test_what_does_not_pass_is_told_at_once(effect: str, error: type[Exception]) -> None:
    """A refusal or a missing object is no passing failure."""
    store, faulty, clock = patient([f"get a every before {effect}"])
    with pytest.raises(error):
        store.get("a")
    assert len(faulty.hits) == 1
    assert clock.slept == []


def test_a_create_is_never_repeated() -> None:
    """Whether a lost create took effect is for its caller to find out."""
    store, faulty, clock = patient(["create x every after lost"])
    assert isinstance(store.create("x", b"1"), PutUnknown)
    assert len(faulty.hits) == 1
    assert clock.slept == []
    assert isinstance(store.create("y", b"1"), Created)
