"""Tasks in threads of this process: for small plans, where a process pool would cost more than the work, and for memory stores.

One daemon thread a task. A thread cannot be killed: its store is revoked instead, so that it can no longer read or publish anything.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from compactor.ambient.ports import Clock
from compactor.execution.revocable import RevocableStore
from compactor.execution.work import Toolkit, deadline_drop, perform
from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome
from compactor.storage.base import ObjectStore

_JOIN_S = 10.0
"""How long closing waits for a revoked thread that is inside one store call."""


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    task: RewriteTask
    store: RevocableStore
    thread: threading.Thread
    ends_s: float


class ThreadCrew:
    """Runs the tasks of one job in at most `size` threads."""

    def __init__(self, *, size: int, toolkit: Toolkit, clock: Clock, deadline_s: float) -> None:
        self._size = size
        self._toolkit = toolkit
        self._clock = clock
        self._deadline_s = deadline_s

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask], store: ObjectStore) -> Generator[TaskOutcome]:
        """Outcomes as tasks complete. Takes a task only when a thread is free for it."""
        waiting = iter(tasks)
        done: queue.SimpleQueue[tuple[int, TaskOutcome]] = queue.SimpleQueue()
        running: dict[int, _Running] = {}
        number = 0
        try:
            while True:
                while len(running) < self._size and (task := next(waiting, None)) is not None:
                    number += 1
                    running[number] = self._start(number, job, task, store, done)
                if not running:
                    return
                yield from self._completed(running, done)
        finally:
            _stop(running.values())

    def _start(
        self, number: int, job: RewriteJob, task: RewriteTask, store: ObjectStore, done: queue.SimpleQueue[tuple[int, TaskOutcome]]
    ) -> _Running:
        permitted = RevocableStore(store)

        def work() -> None:
            done.put((number, perform(self._toolkit, job, task, permitted, self._clock)))

        thread = threading.Thread(target=work, name=f"rewrite-{task.group_id}", daemon=True)
        running = _Running(task, permitted, thread, self._clock.monotonic_s() + self._deadline_s)
        thread.start()
        return running

    def _completed(self, running: dict[int, _Running], done: queue.SimpleQueue[tuple[int, TaskOutcome]]) -> Generator[TaskOutcome]:
        """Waits for the next completion or deadline and yields what it brings."""
        nearest = min(entry.ends_s for entry in running.values())
        try:
            number, outcome = done.get(timeout=max(0.01, nearest - self._clock.monotonic_s()))
            if running.pop(number, None) is not None:
                yield outcome
        except queue.Empty:
            now_s = self._clock.monotonic_s()
            for number in [n for n, entry in running.items() if entry.ends_s <= now_s]:
                late = running.pop(number)
                late.store.revoke()
                yield deadline_drop(late.task, self._deadline_s)


def _stop(running: Iterable[_Running]) -> None:
    """Revoke all first, then wait for each, so that nothing is written after this returns unless one store call hangs."""
    entries = list(running)
    for entry in entries:
        entry.store.revoke()
    for entry in entries:
        entry.thread.join(_JOIN_S)
