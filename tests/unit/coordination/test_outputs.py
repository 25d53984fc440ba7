"""The fates of a run's outputs at its end: what is deleted, what stays, and whether its intent may go."""

from __future__ import annotations

import itertools

from compactor.coordination.outputs import OutputFates
from compactor.storage.memory import MemoryBucket, MemoryStore


def test_groups_that_nobody_works_on_any_more_leave_nothing() -> None:
    """Interrupted: what stands under the stem of a group without an answer is deleted and the run is settled, but only once it is known
    that no task can write any more; a group that was offered to the log without an answer keeps its outputs and the intent."""
    store, number = MemoryStore(MemoryBucket("b")), itertools.count()
    fates = OutputFates(2, lambda: f"id{next(number)}")
    for group in (0, 1):
        fates.started(group, "p=1/")
        store.put(f"p=1/{fates.stem(group)}-0.parquet", b"x")
    fates.offered([1])
    assert not fates.settled
    fates.abandoned()
    fates.sweep(store)
    assert [item.key for item in store.list("")] == [f"p=1/{fates.stem(1)}-0.parquet"]
    assert not fates.settled
    fates.committed([1])
    assert fates.settled
