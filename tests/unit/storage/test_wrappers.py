"""The wrappers: counting counts, faults hit exactly what they name."""

from __future__ import annotations

import threading
import time

import pytest

from compactor.ambient import VirtualClock
from compactor.errors import AccessDenied, ObjectMissing, StorageError, StorageUnavailable, UsageError
from compactor.storage import open_store
from compactor.storage.base import Created, Exists, PutUnknown
from compactor.storage.counting import Count, CountingStore
from compactor.storage.faults import Fault, FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore, forget_bucket, memory_bucket


class Slow(dict[str, Count]):
    """A dict that gives other threads a chance between reading and writing."""

    def get(self, key: str, default: Count | None = None) -> Count | None:  # type: ignore[override]
        found = super().get(key, default)
        time.sleep(0.0001)
        return found


def test_counting_loses_no_call() -> None:
    """Threads that count at the same moment are all counted."""
    store = CountingStore(MemoryStore())
    store._counts = Slow()
    threads = [threading.Thread(target=lambda: [store.add("get", 2) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.counts() == {"get": Count(calls=100, bytes=200)}


def test_counts_by_operation() -> None:
    """Calls and bytes are counted by operation."""
    store = CountingStore(MemoryStore())
    store.put("a", b"12345")
    store.create("b", b"1")
    with store.open_writer("c") as writer:
        writer.write(b"123")
        writer.write(b"456")
    store.open_writer("d").abort()
    store.get("a")
    store.get("b")
    store.get_ranges("a", [(0, 2), (2, 1)])
    store.head("a")
    assert len(list(store.list(""))) == 3
    store.list_level("")
    store.delete(["a", "b"])
    assert store.counts() == {
        "put": Count(calls=1, bytes=5),
        "create": Count(calls=1, bytes=1),
        "write": Count(calls=1, bytes=6),
        "get": Count(calls=2, bytes=6),
        "get_ranges": Count(calls=1, bytes=3),
        "head": Count(calls=1),
        "list": Count(calls=1),
        "list_level": Count(calls=1),
        "delete": Count(calls=2),
    }


def test_a_lost_reply_after_the_effect() -> None:
    """`after lost` on a creation stores the object and answers PutUnknown; the next creation finds it."""
    store = FaultyStore(MemoryStore(), ["create _delta_log/*.json 2 after lost"])
    assert isinstance(store.create("_delta_log/0.json", b"0"), Created)
    assert isinstance(store.create("_delta_log/1.json", b"1"), PutUnknown)
    assert store.create("_delta_log/1.json", b"x") == Exists()
    assert store.hits == ["create _delta_log/1.json"]


def test_a_lost_request_before_the_effect() -> None:
    """`before lost` stores nothing, and the caller cannot tell the difference."""
    store = FaultyStore(MemoryStore(), ["create * before lost"])
    assert isinstance(store.create("a", b"0"), PutUnknown)
    assert store.head("a") is None
    assert isinstance(store.create("a", b"0"), Created)


@pytest.mark.parametrize(
    ("effect", "kind"), [("error", StorageUnavailable), ("lost", StorageUnavailable), ("denied", AccessDenied), ("missing", ObjectMissing)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_errors_before_and_after(when: str, effect: str, kind: type[StorageError]) -> None:
    """A put that fails afterwards has happened, one that fails before has not; the error is the one that was named."""
    store = FaultyStore(MemoryStore(), [f"put * 1 {when} {effect}"])
    with pytest.raises(kind, match="memory://memory/a"):
        store.put("a", b"1")
    assert (store.head("a") is not None) == (when == "after")


def test_which_calls_are_hit() -> None:
    """`3` hits one call, `3+` all from then on, `every` all; only calls that match are counted."""
    inner = MemoryStore()
    inner.put("a", b"12")
    inner.put("b", b"12")

    def failures(fault: str) -> list[int]:
        store, failed = FaultyStore(inner, [fault]), []
        for number in range(1, 6):
            store.get("b")
            try:
                store.get("a")
            except StorageUnavailable:
                failed.append(number)
        return failed

    assert failures("get a before error") == [1]
    assert failures("get a 3 before error") == [3]
    assert failures("get a 3+ before error") == [3, 4, 5]
    assert failures("* a every after error") == [1, 2, 3, 4, 5]


def test_truncated_reads() -> None:
    """A truncated get answers half of the bytes; truncated ranges are the error that a short object gives."""
    store = FaultyStore(MemoryStore(), ["get * after truncated", "get_ranges * after truncated"])
    store.put("a", b"123456")
    assert bytes(store.get("a")) == b"123"
    with pytest.raises(StorageError, match="shorter"):
        store.get_ranges("a", [(0, 6)])
    assert bytes(store.get("a")) == b"123456"


def test_writers_are_hit() -> None:
    """A close that fails before its effect leaves nothing, one that fails afterwards leaves the object; a write can fail too."""
    store = FaultyStore(MemoryStore(), ["close a before error", "close b after lost", "write c 2 before error"])
    for key in "abc":
        with pytest.raises(StorageUnavailable), store.open_writer(key) as writer:
            writer.write(b"1")
            writer.write(b"2")
    assert [meta.key for meta in store.list("")] == ["b"]


@pytest.mark.parametrize("text", ["", "fetch * before error", "get a 0x before error", "get a sometimes error", "get a before truncated"])
def test_the_language_is_strict(text: str) -> None:
    """What is no fault is refused, so that a test cannot pass by a typing error."""
    with pytest.raises(UsageError):
        Fault.parse(text)


def test_memory_is_deterministic() -> None:
    """Stamps and etags come from the clock and a counter: the same calls give the same listing."""

    def play() -> list[object]:
        clock = VirtualClock()
        store = MemoryStore(MemoryBucket("m", clock), "t")
        store.put("a", b"1")
        clock.advance(5) if hasattr(clock, "advance") else clock.sleep(5)
        store.create("b", b"2")
        return [list(store.list("")), store.now_ms()]

    assert play() == play()
    assert play()[1] == VirtualClock().now_ms() + 5000


def test_memory_by_name() -> None:
    """memory:// opens the process's bucket of that name, at the path below it."""
    open_store("memory://shared-by-name/t").put("a", b"1")
    assert bytes(open_store("memory://shared-by-name").get("t/a")) == b"1"
    assert bytes(MemoryStore(memory_bucket("shared-by-name"), "t").get("a")) == b"1"
    assert open_store("memory://shared-by-name/other").head("a") is None
    forget_bucket("shared-by-name")
    assert open_store("memory://shared-by-name/t").head("a") is None
    forget_bucket("shared-by-name")
