"""The ratio that plans predict new files by: learned from our own commits only, kept for a run right after another, never out of bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compactor.ambient import VirtualClock
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.compression import LEAST, MOST, learn, ratio
from compactor.tables.delta.log import entry_key, parse_entry
from compactor.tables.delta.state import Learned

OLD = {"compactor.generation": "1"}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryBucket(clock=VirtualClock()), "t")


def commit(removes: list[dict[str, Any]], adds: list[int], *, used: object = 1.0, operation: str = "OPTIMIZE", ours: bool = True) -> bytes:
    tags = {"compactor.runId": "r", "compactor.compression": str(used)} if ours else {}
    lines: list[dict[str, Any]] = [{"commitInfo": {"operation": operation, "tags": tags}}]
    lines += [{"remove": {"path": f"in{i}", **remove}} for i, remove in enumerate(removes)]
    lines += [{"add": {"path": f"out{i}", "size": size}} for i, size in enumerate(adds)]
    return "\n".join(json.dumps(line) for line in lines).encode()


def learned(*entries: bytes) -> Learned:
    known = Learned()
    for version, data in enumerate(entries):
        known = learn(known, parse_entry(data, version, 0, "x"))
    return known


FOREIGN = commit([], [100], ours=False)


def test_nothing_is_known_at_first(store: MemoryStore) -> None:
    """A table of others: predictions are the inputs' sizes."""
    assert ratio(store, learned(FOREIGN, commit([{"size": 100}], [10], ours=False)), 1, None) == 1.0


def test_bytes_out_for_bytes_in(store: MemoryStore) -> None:
    """All commits of ours together, by bytes."""
    known = learned(commit([{"size": 100}, {"size": 300}], [100]), commit([{"size": 600}], [500]), FOREIGN)
    assert ratio(store, known, 2, None) == 0.6


def test_files_that_we_wrote_keep_their_size(store: MemoryStore) -> None:
    """400 of our own and 100 new ones became 450: new files keep half of theirs."""
    known = learned(commit([{"size": 400, "tags": OLD}, {"size": 100}], [450]), FOREIGN)
    assert ratio(store, known, 1, None) == 0.5


def test_deleted_rows_are_not_taken_for_compression(store: MemoryStore) -> None:
    """Half of the rows were deleted and half of the bytes came out: nothing shrank."""
    vector = {"deletionVector": {"cardinality": 5}, "stats": json.dumps({"numRecords": 10})}
    assert ratio(store, learned(commit([{"size": 100, **vector}], [50]), FOREIGN), 1, None) == 1.0


@pytest.mark.parametrize(
    "entry",
    [
        commit([{"size": 100}], [10], operation="REORG"),
        commit([{"size": 100, "tags": OLD}], [50]),
        commit([{"size": 100}, {"size": 900, "tags": OLD}], [700]),
        commit([], [100]),
        commit([{"size": None}], [100]),
    ],
    ids=["a purge", "old files only", "old files shrank", "no removes", "no sizes"],
)
def test_what_says_nothing_teaches_nothing(store: MemoryStore, entry: bytes) -> None:
    """Commits of ours from which no ratio can be had are passed over."""
    assert ratio(store, learned(entry, FOREIGN), 1, None) == 1.0


@pytest.mark.parametrize(("made", "expected"), [(1, LEAST), (10_000, MOST)])
def test_a_ratio_stays_within_bounds(store: MemoryStore, made: int, expected: float) -> None:
    """A run over freaks does not turn the next plan upside down."""
    assert ratio(store, learned(commit([{"size": 1000}], [made]), FOREIGN), 1, None) == expected


def test_right_after_a_run_its_own_ratio_holds(store: MemoryStore) -> None:
    """The newest version is ours: not what it teaches, but what it was planned with."""
    assert ratio(store, learned(FOREIGN, commit([{"size": 100}], [20], used=0.8)), 1, None) == 0.8


def test_a_checkpoint_does_not_hide_the_ratio_of_the_newest_version(store: MemoryStore) -> None:
    """Loaded from a checkpoint alone, the newest entry's first line is looked up; one that is gone or of others teaches nothing."""
    store.put(entry_key(7), commit([{"size": 100}] * 5000, [20], used=0.65))
    store.put(entry_key(8), FOREIGN)
    store.put(entry_key(9), b"{")
    assert [ratio(store, Learned(), version, version) for version in (7, 8, 9, 10)] == [0.65, 1.0, 1.0, 1.0]
    assert ratio(store, Learned(), 7, 5) == 1.0


@pytest.mark.parametrize("used", ["nan", "x", "-1", "99", None])
def test_a_ratio_that_is_none_counts_as_one(store: MemoryStore, used: object) -> None:
    """The tag is read as others may have left it."""
    assert ratio(store, learned(commit([{"size": 100}], [20], used=used)), 0, None) == 1.0
