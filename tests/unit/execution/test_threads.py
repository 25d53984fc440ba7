"""The crew of threads: how many tasks are at work at once, and when the last ones start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support import tasks as t

from compactor.ambient.ports import Clock
from compactor.ambient.system import SystemClock
from compactor.errors import StorageError
from compactor.execution import threads
from compactor.execution.local import LocalExecutor
from compactor.execution.threads import ThreadCrew
from compactor.execution.work import Limits, Toolkit
from compactor.model.rewrite import GroupDropped, RewriteJob, RewriteTask, TaskOutcome
from compactor.storage.base import ObjectStore
from compactor.storage.memory import MemoryStore

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "groups", "memory_mib", "most"),
    [
        (3, 7, 1000, 4),
        (3, 7, 250, 3),
        (3, 3, 1000, 3),
        (3, 4, 1000, 4),
        (2, 3, 1000, 2),
        (1, 5, 1000, 1),
        (4, 6, 1000, 6),
    ],
)
def test_the_last_tasks_start_beside_a_full_crew(size: int, groups: int, memory_mib: int, most: int) -> None:
    """Up to half a crew of more than two starts early, last tasks that fit the memory with all at work; else no more run than threads."""
    lock, running, seen, order = threading.Lock(), [0], [0], []

    def work(_job: RewriteJob, task: RewriteTask, _store: ObjectStore, _clock: Clock) -> TaskOutcome:
        with lock:
            running[0] += 1
            seen[0] = max(seen[0], running[0])
            order.append(task.group_id)
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return GroupDropped(group_id=task.group_id, reason="failed", detail="x")

    crew = ThreadCrew(size=size, memory_bytes=memory_mib * MIB, toolkit=Toolkit(worker=work), clock=SystemClock(), deadline_s=60)
    outcomes = list(crew.run(t.job("/t"), (t.task(i) for i in range(groups)), MemoryStore()))
    assert sorted(outcome.group_id for outcome in outcomes) == list(range(groups))
    assert seen[0] == most
    assert order == list(range(groups))


def test_the_next_task_begins_before_an_outcome_is_dealt_with() -> None:
    """Whoever takes the outcomes may commit for a while: the thread that became free is at work on the next task by then."""
    begun = [threading.Event() for _ in range(3)]

    def work(_job: RewriteJob, task: RewriteTask, _store: ObjectStore, _clock: Clock) -> TaskOutcome:
        begun[task.group_id].set()
        return GroupDropped(group_id=task.group_id, reason="failed", detail="x")

    crew = ThreadCrew(size=1, memory_bytes=MIB, toolkit=Toolkit(worker=work), clock=SystemClock(), deadline_s=60)
    outcomes = crew.run(t.job("/t"), (t.task(i) for i in range(3)), MemoryStore())
    assert next(outcomes).group_id == 0
    assert begun[1].wait(10)
    assert [outcome.group_id for outcome in outcomes] == [1, 2]


def test_what_is_finished_is_told_although_the_next_task_cannot_begin() -> None:
    """Whatever keeps the next task from being made, outcomes that are there come first."""

    def tasks() -> Iterator[RewriteTask]:
        yield t.task(0)
        yield t.task(1)
        yield t.task(2)
        raise StorageError("the store is away")

    def work(_job: RewriteJob, task: RewriteTask, _store: ObjectStore, _clock: Clock) -> TaskOutcome:
        return GroupDropped(group_id=task.group_id, reason="failed", detail="x")

    crew = ThreadCrew(size=1, memory_bytes=MIB, toolkit=Toolkit(worker=work), clock=SystemClock(), deadline_s=60)
    told: list[int] = []
    with pytest.raises(StorageError, match="away"):
        told.extend(outcome.group_id for outcome in crew.run(t.job("/t"), tasks(), MemoryStore()))
    assert told[:1] == [0]


@pytest.mark.parametrize("stuck", [False, True])
def test_an_executor_knows_whether_all_its_threads_have_ended(monkeypatch: pytest.MonkeyPatch, stuck: bool) -> None:
    """Closed early, a crew is quiet when every thread was seen to end; one that hangs in a call may still write, so it is not."""
    monkeypatch.setattr(threads, "_JOIN_S", 0.2)
    go_on = threading.Event()

    def work(_job: RewriteJob, task: RewriteTask, store: ObjectStore, _clock: Clock) -> TaskOutcome:
        while task.group_id and not go_on.wait(0.01):
            if not stuck:
                store.head("x")  # raises once it was revoked
        return GroupDropped(group_id=task.group_id, reason="failed", detail="x")

    executor = LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2), store=MemoryStore(), toolkit=Toolkit(worker=work))
    outcomes = executor.run(t.job("memory://t"), (t.task(i) for i in range(3)))
    assert next(outcomes).group_id == 0
    outcomes.close()
    assert executor.close() is not stuck
    go_on.set()


def test_a_panic_of_a_library_is_told_at_once() -> None:
    """What a task raises beyond Exception, as libraries in Rust do when they panic, ends its group and nothing else, and nobody waits."""

    class PanicError(BaseException):
        pass

    def work(_job: RewriteJob, task: RewriteTask, _store: ObjectStore, _clock: Clock) -> TaskOutcome:
        if task.group_id == 1:
            raise PanicError("boom")
        return GroupDropped(group_id=task.group_id, reason="cancelled", detail="x")

    crew = ThreadCrew(size=2, memory_bytes=MIB, toolkit=Toolkit(worker=work), clock=SystemClock(), deadline_s=5)
    outcomes = list(crew.run(t.job("/t"), (t.task(i) for i in range(3)), MemoryStore()))
    reasons = {outcome.group_id: outcome.reason for outcome in outcomes if isinstance(outcome, GroupDropped)}
    assert reasons == {0: "cancelled", 1: "failed", 2: "cancelled"}


@pytest.mark.parametrize("closed", [True, False])
def test_a_thread_that_an_interruption_followed_is_stopped(monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    """A signal may come right behind the start of a thread, and another before the outcomes are closed: the thread ends all the same."""
    ended, start = threading.Event(), ThreadCrew._start

    def work(_job: RewriteJob, _task: RewriteTask, store: ObjectStore, _clock: Clock) -> TaskOutcome:
        try:
            while True:
                store.head("x")  # raises once it was revoked
                time.sleep(0.001)
        finally:
            ended.set()

    def interrupted(crew: ThreadCrew, *arguments: Any) -> None:
        start(crew, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadCrew, "_start", interrupted)
    if not closed:
        monkeypatch.setattr(threads, "to_the_end", lambda _work: None)
    executor = LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2), store=MemoryStore(), toolkit=Toolkit(worker=work))
    with pytest.raises(KeyboardInterrupt):
        next(executor.run(t.job("memory://t"), (t.task(i) for i in range(3))))
    assert executor.close()
    assert ended.wait(10)
