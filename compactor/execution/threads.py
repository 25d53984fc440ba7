"""Tasks in threads of this process: for small plans, where a process pool would cost more than the work, and for memory stores.

One daemon thread a task. A thread cannot be killed: its store is revoked instead, so that it can no longer read or publish anything.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from compactor.ambient.cores import ThreadCores, offer
from compactor.ambient.interrupts import to_the_end
from compactor.ambient.ports import Clock
from compactor.execution.machine import processors
from compactor.execution.revocable import RevocableStore
from compactor.execution.work import Toolkit, deadline_drop, dropped_by, perform
from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome
from compactor.storage.base import ObjectStore

_BUSY_ALONE = 2
"""Processors that one task keeps busy: it decodes in one thread and encodes in another, or merges columns in as many as idle."""
_JOIN_S = 10.0
"""How long closing waits for a revoked thread that is inside one store call."""


_Done = queue.SimpleQueue[tuple[int, TaskOutcome]]


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    task: RewriteTask
    store: RevocableStore
    ends_s: float
    ended: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)


class ThreadCrew:
    """Runs the tasks of one job in `size` threads, and the last few beside them.

    A last task or two would leave most processors idle for its whole length. It starts early instead, beside a full crew, when what all are
    predicted to need fits `memory_bytes`; not beside a crew of two, because a task that is alone keeps two processors busy.
    """

    def __init__(self, *, size: int, memory_bytes: int, toolkit: Toolkit, clock: Clock, deadline_s: float) -> None:
        self._size = size
        self._memory_bytes = memory_bytes
        self._toolkit = toolkit
        self._clock = clock
        self._deadline_s = deadline_s
        self._running: dict[int, _Running] = {}
        self._started = 0

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask], store: ObjectStore) -> Generator[TaskOutcome]:
        """Outcomes as tasks complete. Takes a task only when a thread is free for it, and a few to see whether they are the last."""
        offer(ThreadCores(max(self._size, processors())))
        source = iter(tasks)
        waiting: deque[RewriteTask] = deque()
        done: _Done = queue.SimpleQueue()
        running = self._running
        completed: Sequence[TaskOutcome] = ()
        try:
            while True:
                try:
                    self._fill(job, source, waiting, done, store)
                except Exception:
                    yield from completed  # what is finished is worth having, whatever keeps the next task from beginning
                    raise
                yield from completed  # only now: a commit takes a while, and its thread has the next task meanwhile
                if not running:
                    return
                completed = self._completed(running, done)
        finally:
            to_the_end(self.stop)

    def _fill(self, job: RewriteJob, source: Iterator[RewriteTask], waiting: deque[RewriteTask], done: _Done, store: ObjectStore) -> None:
        """Start the tasks for which there is room."""
        waiting.extend(islice(source, self._size // 2 + 1 - len(waiting)))
        while waiting and self._has_room(self._running.values(), waiting):
            self._started += 1
            task = waiting.popleft()
            # Known before it starts: a signal may come in between, and whoever is not known is not stopped.
            self._running[self._started] = _Running(task, RevocableStore(store), self._clock.monotonic_s() + self._deadline_s)
            self._start(self._started, job, self._running[self._started], done)
            waiting.extend(islice(source, 1))

    def stop(self) -> None:
        """Take all permissions back first, then wait for each thread, so that nothing is written after this unless one store call hangs.

        A thread that has not begun yet finds, when it does, that it may not.
        """
        entries = list(self._running.values())
        for entry in entries:
            entry.store.revoke()
        for entry in entries:
            if entry.begun.is_set():
                entry.ended.wait(_JOIN_S)

    @property
    def quiet(self) -> bool:
        """Whether none of its threads is at work any more, once it was stopped."""
        return all(entry.ended.is_set() for entry in self._running.values() if entry.begun.is_set())

    def _has_room(self, running: Collection[_Running], waiting: Collection[RewriteTask]) -> bool:
        if len(running) < self._size:
            return True
        tasks = [*(entry.task for entry in running), *waiting]
        beside = self._size // 2 if self._size > _BUSY_ALONE else 0
        last = len(waiting) <= beside and len(running) < self._size + beside
        return last and sum(task.memory_bytes for task in tasks) <= self._memory_bytes

    def _start(self, number: int, job: RewriteJob, entry: _Running, done: _Done) -> None:
        def work() -> None:
            entry.begun.set()
            try:
                entry.store.check()
                outcome = perform(self._toolkit, job, entry.task, entry.store, self._clock)
            except BaseException as error:  # noqa: BLE001 - a panic of a library in Rust, which else nobody would tell before the deadline
                outcome = dropped_by(entry.task, error)
            finally:
                entry.ended.set()
            done.put((number, outcome))

        threading.Thread(target=work, name=f"rewrite-{entry.task.group_id}", daemon=True).start()

    def _completed(self, running: dict[int, _Running], done: _Done) -> list[TaskOutcome]:
        """Waits for the next completion or deadline; what it brings."""
        nearest = min(entry.ends_s for entry in running.values())
        try:
            number, outcome = done.get(timeout=max(0.01, nearest - self._clock.monotonic_s()))
            return [] if running.pop(number, None) is None else [outcome]
        except queue.Empty:
            now_s = self._clock.monotonic_s()
            late = [running.pop(number) for number in [n for n, entry in running.items() if entry.ends_s <= now_s]]
            for entry in late:
                entry.store.revoke()
            return [deadline_drop(entry.task, self._deadline_s) for entry in late]
