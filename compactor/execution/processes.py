"""Worker processes of the local executor: one task at a time each, over a socket pair; a killed one loses one attempt, nothing else.

A worker is a fresh interpreter (never a fork of this one, whose threads and locks it would inherit half-way) that does not import the
caller's main module, so scripts need no `__main__` guard. It ends by itself, in the middle of whatever it does, when its socket closes:
the driver may die any way it likes without leaving orphans. Whatever it prints goes to stderr.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from compactor.ambient.cores import PipeCores, offer
from compactor.ambient.lean import ALLOCATOR, CHOSEN, MMAP_THRESHOLD_BYTES
from compactor.ambient.ports import Clock
from compactor.errors import ExecutionFailed
from compactor.execution.machine import processors, resident_bytes
from compactor.execution.work import Attempt, Toolkit, deadline_drop, dropped_by, perform
from compactor.model.rewrite import GroupDropped, RewriteJob, RewriteTask, TaskOutcome
from compactor.units import format_bytes

BOOT = (
    "import sys; sys.path[:] = sys.argv[4:]; from compactor.ambient.lean import leave_pandas; leave_pandas(); "
    "from compactor.execution.processes import serve; serve(*map(int, sys.argv[1:4]))"
)
_RAN_OUT = 77
_ALLOWANCE = 256 * 1024 * 1024
_LOOK_S = 0.005
_READY = "ready"
_SURROUNDINGS = {
    CHOSEN: ALLOCATOR,
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(MMAP_THRESHOLD_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 1024 * 1024),
}
"""Freed memory goes back at once, so that a worker's size is what it holds, which its limit is measured by; Arrow's own allocator is faster
and keeps more. The surroundings' own choice of an allocator wins."""
_LOST = (EOFError, ConnectionError, BrokenPipeError)


class WorkerProcess:
    """One worker, seen from the driver."""

    def __init__(self, toolkit: Toolkit, cores: PipeCores) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            passed = (theirs.fileno(), cores.reader, cores.writer)
            command = [sys.executable, "-c", BOOT, *map(str, passed), *sys.path]
            self._process = subprocess.Popen(command, pass_fds=passed, stdin=subprocess.DEVNULL, env={**_SURROUNDINGS, **os.environ})
        self.connection = Connection(ours.detach())
        self._job: RewriteJob | None = None
        self._ready = False
        with suppress(*_LOST):
            self.connection.send(toolkit)

    @property
    def ran_out(self) -> bool:
        """Whether it ended itself because its task needed more memory than a task may use."""
        return self._process.returncode == _RAN_OUT

    @property
    def pid(self) -> int:
        return self._process.pid

    def assign(self, job: RewriteJob, task: RewriteTask) -> None:
        """Give it a task; the job travels once. A dead worker is noticed on receive()."""
        with suppress(*_LOST):
            self.connection.send((None if job is self._job else job, task))
        self._job = job

    def receive(self) -> TaskOutcome | None:
        """The outcome that is ready, or None when the message was another. Raises EOFError when the worker died."""
        try:
            message = self.connection.recv()
        except _LOST as error:
            raise EOFError from error
        if message == _READY:
            self._ready = True
            return None
        outcome: TaskOutcome = message
        return outcome

    def end(self) -> str:
        """Kill it if it lives, wait for its end, and say how it ended. Raises ExecutionFailed when it never came to work at all."""
        with suppress(ProcessLookupError):
            self._process.kill()
        code = self._process.wait()
        self.connection.close()
        if code > 0 and not self._ready:
            raise ExecutionFailed(f"A worker process could not start (exit code {code}); what it said is on stderr.")
        return f"its worker process ended with {_ending(code)}"

    def stop(self) -> None:
        """Kill it, whatever it does, and wait."""
        with suppress(ExecutionFailed):
            self.end()


class ProcessPool:
    """Keeps workers between jobs, at most `size` at once."""

    def __init__(self, *, size: int, toolkit: Toolkit, clock: Clock, deadline_s: float) -> None:
        self._size = size
        self._toolkit = toolkit
        self._clock = clock
        self._deadline_s = deadline_s
        self._cores: PipeCores | None = None
        self._idle: list[WorkerProcess] = []

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        """Outcomes as tasks complete. Takes a task only when a worker is free for it; lost attempts come first."""
        waiting = iter(tasks)
        again: list[Attempt] = []
        busy: dict[WorkerProcess, tuple[Attempt, float]] = {}
        try:
            while True:
                while len(busy) < self._size and (attempt := _next(again, waiting)) is not None:
                    worker = self._idle.pop() if self._idle else self._start()
                    busy[worker] = (attempt, self._clock.monotonic_s() + self._deadline_s)
                    worker.assign(job, attempt.task)
                if not busy:
                    return
                yield from self._completed(busy, again)
        finally:
            for worker in busy:
                worker.stop()

    def close(self) -> None:
        """End the idle workers. Busy ones end with the iterator that they work for."""
        while self._idle:
            self._idle.pop().stop()
        if self._cores is not None:
            self._cores.close()
            self._cores = None

    def _start(self) -> WorkerProcess:
        if self._cores is None:
            self._cores = PipeCores.fresh(max(self._size, processors()))
        return WorkerProcess(self._toolkit, self._cores)

    def _completed(self, busy: dict[WorkerProcess, tuple[Attempt, float]], again: list[Attempt]) -> Generator[TaskOutcome]:
        """Waits for the next message, death or deadline; yields the outcomes it brings, puts lost attempts into `again`."""
        nearest = min(ends_s for _, ends_s in busy.values())
        ready = wait([worker.connection for worker in busy], timeout=max(0.01, nearest - self._clock.monotonic_s()))
        outcomes = [outcome for worker in list(busy) if worker.connection in ready for outcome in self._receive(worker, busy, again)]
        now_s = self._clock.monotonic_s()
        for worker, (attempt, ends_s) in list(busy.items()):
            if ends_s <= now_s:
                worker.stop()
                del busy[worker]
                outcomes.append(deadline_drop(attempt.task, self._deadline_s))
        yield from outcomes

    def _receive(
        self, worker: WorkerProcess, busy: dict[WorkerProcess, tuple[Attempt, float]], again: list[Attempt]
    ) -> Generator[TaskOutcome]:
        try:
            outcome = worker.receive()
        except EOFError:
            attempt, _ = busy.pop(worker)
            ending = worker.end()
            follow = _too_large(attempt.task) if worker.ran_out else attempt.after_loss("worker-lost", ending)
            if isinstance(follow, Attempt):
                again.append(follow)
            else:
                yield follow
            return
        if outcome is not None:
            del busy[worker]
            self._idle.append(worker)
            yield outcome


def _next(again: list[Attempt], waiting: Iterator[RewriteTask]) -> Attempt | None:
    if again:
        return again.pop()
    task = next(waiting, None)
    return None if task is None else Attempt(task=task)


def _too_large(task: RewriteTask) -> GroupDropped:
    detail = f"Group {task.group_id} made its worker larger than {format_bytes(hard_limit(task))}, so it was stopped."
    return GroupDropped(group_id=task.group_id, reason="out-of-memory", detail=detail)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name} (a kill from outside, often for want of memory)" if -code == signal.SIGKILL else name


def serve(descriptor: int, *cores: int) -> None:
    """The worker's life: tasks in, outcomes out, until the socket closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver gets it too and ends us
    os.dup2(2, 1)
    offer(PipeCores(*cores))
    connection = Connection(descriptor)
    inbox: queue.SimpleQueue[tuple[RewriteJob | None, RewriteTask]] = queue.SimpleQueue()
    toolkit: Toolkit = connection.recv()
    connection.send(_READY)
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    _work(toolkit, connection, inbox)


def _read(connection: Connection, inbox: queue.SimpleQueue[tuple[RewriteJob | None, RewriteTask]]) -> None:
    """Passes messages on; ends the process at once when the driver is gone."""
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def _work(toolkit: Toolkit, connection: Connection, inbox: queue.SimpleQueue[tuple[RewriteJob | None, RewriteTask]]) -> None:
    from compactor.ambient.system import SystemClock

    clock = SystemClock()
    job: RewriteJob | None = None
    store = None
    while True:
        new_job, task = inbox.get()
        try:
            if new_job is not None or job is None or store is None:
                job = new_job or job
                assert job is not None
                store = toolkit.open_store(job.root_uri, job.storage)
        except Exception as error:  # noqa: BLE001 - becomes the outcome
            connection.send(dropped_by(task, error))
            continue
        with _watched(task):
            outcome = perform(toolkit, job, task, store, clock)
        connection.send(outcome)


def hard_limit(task: RewriteTask) -> int:
    """Bytes of a worker process above which it ends itself: what the task may use with a margin, beside interpreter and libraries."""
    return _ALLOWANCE + (task.budget_bytes or task.memory_bytes) * 5 // 4


@contextmanager
def _watched(task: RewriteTask) -> Iterator[None]:
    """Ends this process when it grows beyond the task's hard limit, before the machine has to kill something.

    The size is looked at from a thread: limits of the kernel's would count address space that allocators only reserve, and make libraries
    abort in the middle of what they do.
    """
    done = threading.Event()

    def look() -> None:
        limit = hard_limit(task)
        while not done.wait(_LOOK_S):
            if resident_bytes() > limit:
                os._exit(_RAN_OUT)

    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        done.set()
