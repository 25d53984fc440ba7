"""Attempts, batches, drops and the choice of an executor: what executors share, without any of them running."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support import tasks as t

from compactor.ambient import VirtualClock
from compactor.errors import Interrupted, ProofFailed, StorageUnavailable, TableCorrupt
from compactor.execution.batches import Batch, batches, estimate_s
from compactor.execution.choose import Kind, open_executor
from compactor.execution.local import LOOK_AHEAD, SMALL_PLAN_BYTES, SMALL_SLOW_PLAN_BYTES, LocalExecutor
from compactor.execution.on_ray import _with_more_memory
from compactor.execution.revocable import RevocableStore
from compactor.execution.work import MAX_TRIES, Attempt, dropped_by
from compactor.model.rewrite import GroupDropped, RewriteTask
from compactor.rewriting import native
from compactor.storage.memory import MemoryStore


def test_a_lost_attempt_is_followed_by_another_name() -> None:
    """Each attempt has a number of its own, and after the cap comes a drop with the reason of the last loss."""
    attempt = Attempt(task=t.task(5))
    numbers = []
    for _ in range(MAX_TRIES):
        numbers.append(attempt.task.attempt)
        follow = attempt.after_loss("worker-lost", "it was killed")
        if isinstance(follow, GroupDropped):
            break
        attempt = follow
    assert numbers == [0, 1, 2]
    assert follow == GroupDropped(group_id=5, reason="worker-lost", detail="Group 5 was tried 3 times; last: it was killed")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StorageUnavailable("s"), "storage"),
        (TableCorrupt("c"), "corrupt-file"),
        (ProofFailed("p"), "proof"),
        (MemoryError(), "out-of-memory"),
        (KeyError("k"), "failed"),
    ],
)
def test_errors_become_drops_by_kind(error: Exception, reason: str) -> None:
    """A worker's error is a drop whose code says what to do, and whose sentence is never empty."""
    dropped = dropped_by(t.task(1), error)
    assert dropped.reason == reason
    assert dropped.detail


def test_memory_asked_after_an_out_of_memory_kill_doubles_up_to_the_largest_node() -> None:
    """More is reserved, but the task's own bound, and so its output, stays."""
    batch = Batch(attempts=(Attempt(task=t.task(0, memory_bytes=100)), Attempt(task=t.task(1, memory_bytes=300))))
    more = _with_more_memory(batch, 1000)
    assert more.memory_bytes == 600
    assert _with_more_memory(more, 1000).memory_bytes == 1000
    assert [attempt.task.memory_bytes for attempt in more.attempts] == [100, 300]


def test_batches_are_about_a_second_of_work() -> None:
    """Tiny groups share a batch until it is worth a task; a large one is alone; none is lost and the order stays."""
    tasks = [t.task(i, size_bytes=t.MIB) for i in range(100)] + [t.task(100, size_bytes=1024 * t.MIB)]
    made = list(batches(tasks))
    assert [attempt.task for batch in made for attempt in batch.attempts] == tasks
    assert len(made) < 10
    for batch in made[:-1]:
        assert 1 <= sum(estimate_s(attempt.task) for attempt in batch.attempts) < 1.2
    assert len(list(batches([t.task(0, size_bytes=1024 * t.MIB)] * 3))) == 3


def test_batches_are_taken_lazily() -> None:
    """Batching an endless plan takes only what the first batch needs."""
    taken = itertools.count()
    endless: Iterator[RewriteTask] = (t.task(next(taken), size_bytes=t.MIB) for _ in itertools.count())
    next(batches(endless))
    assert next(taken) < 50


@pytest.mark.parametrize(
    ("kind", "address", "name"),
    [
        ("auto", None, "local"),
        ("auto", "host:6379", "ray"),
        ("ray", None, "ray"),
        ("local", "host:6379", "local"),
        ("serial", "host:6379", "serial"),
    ],
)
def test_auto_is_ray_when_an_address_is_configured(kind: Kind, address: str | None, name: str) -> None:
    """The named executor is taken; auto takes Ray only for an address. Choosing starts nothing."""
    assert open_executor(kind, clock=VirtualClock(), ray_address=address).name == name


def test_small_plans_run_in_threads() -> None:
    """Only a plan that is seen to be small as a whole is run by threads."""
    executor = LocalExecutor(clock=VirtualClock())
    job = t.job("/t")
    assert executor._by_threads(job, [t.task(0), t.task(1)])
    natively = SMALL_SLOW_PLAN_BYTES if native.KERNELS is None else SMALL_PLAN_BYTES
    limits = [("counts", "arrow", SMALL_PLAN_BYTES), ("full", "arrow", SMALL_SLOW_PLAN_BYTES), ("full", "auto", natively)]
    for proof, reader, limit in limits:
        told = replace(job, proof=proof, proof_reader=reader)
        assert executor._by_threads(told, [t.task(0, size_bytes=limit - 1)])
        assert not executor._by_threads(told, [t.task(0, size_bytes=limit)])
    assert not executor._by_threads(job, [t.task(i, size_bytes=1) for i in range(LOOK_AHEAD)])
    assert executor._by_threads(t.job("memory://t"), [t.task(0, size_bytes=2**40)])


@pytest.mark.parametrize(("size_mib", "memory_mib", "by_threads"), [(150, 200, True), (150, 201, False), (201, 150, False)])
def test_what_may_need_most_of_its_memory_is_proven_in_processes(size_mib: int, memory_mib: int, by_threads: bool) -> None:
    """A group whose rows are read again goes where it can be ended, when its prediction or its files come near what it may use."""
    if native.KERNELS is None:
        pytest.skip("without the native reader every such plan goes to processes")
    task = replace(t.task(0, size_bytes=size_mib * t.MIB, memory_bytes=memory_mib * t.MIB), budget_bytes=400 * t.MIB)
    executor, job = LocalExecutor(clock=VirtualClock()), t.job("/t")
    assert executor._by_threads(replace(job, proof="full"), [task]) is by_threads
    assert executor._by_threads(replace(job, proof="counts"), [task])


def test_a_revoked_store_answers_nothing_and_publishes_nothing() -> None:
    """Once an attempt is stopped, none of its calls works, and an open writer leaves no object behind."""
    inner = MemoryStore()
    inner.put("there", b"x")
    store = RevocableStore(inner)
    assert bytes(store.get("there")) == b"x"
    assert [item.key for item in store.list("")] == ["there"]
    writer = store.open_writer("late")
    writer.write(b"y")
    store.revoke()
    for call in (
        lambda: store.get("there"),
        lambda: store.get_ranges("there", [(0, 1)]),
        lambda: store.create("new", b""),
        lambda: store.put("new", b""),
        lambda: store.open_writer("new"),
        lambda: store.head("there"),
        lambda: store.list(""),
        lambda: store.list_level(""),
        lambda: store.delete(["there"]),
        lambda: store.now_ms(),
        lambda: writer.write(b"z"),
        lambda: writer.close(),
    ):
        with pytest.raises(Interrupted):
            call()
    assert [item.key for item in inner.list("")] == ["there"]
