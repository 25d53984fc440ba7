"""The local executor, the default: this machine's processors, by worker processes, or by threads when the whole plan is small.

A process survives neither its own crash nor the out-of-memory killer, so it takes its group's attempt with it and nothing else; threads
start at once but share this process's fate. Memory is a promise for the whole run, split evenly between tasks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice
from typing import Literal

from compactor.ambient.ports import Clock
from compactor.errors import ExecutionFailed
from compactor.execution.base import Capacity
from compactor.execution.machine import fit
from compactor.execution.processes import ProcessPool
from compactor.execution.threads import ThreadCrew
from compactor.execution.work import Limits, Toolkit, input_bytes
from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome
from compactor.storage.base import ObjectStore

Mode = Literal["auto", "threads", "processes"]

SMALL_PLAN_BYTES = 1024 * 1024 * 1024
"""A plan that reads less than this is done by threads, for which starting worker processes would not pay."""
SMALL_SLOW_PLAN_BYTES = 128 * 1024 * 1024
"""The same where Arrow reads every row again: that takes many short steps, between which threads of one interpreter wait for each other.
Or where a group may come near its limit: what grows beyond that can be ended in a process only."""
LOOK_AHEAD = 128
"""How many tasks are taken before the first one starts, to see whether the plan is small. As many make up for the start of processes, which
do not share an interpreter's lock."""


class LocalExecutor:
    """Processes or threads of this machine."""

    def __init__(
        self,
        *,
        clock: Clock,
        limits: Limits | None = None,
        mode: Mode = "auto",
        store: ObjectStore | None = None,
        toolkit: Toolkit | None = None,
    ) -> None:
        """`store`: an open store for threads to use (a memory store has no other way in); processes always open their own."""
        self._clock = clock
        self._limits = limits or Limits()
        self._mode: Mode = mode
        self._store = store
        self._toolkit = toolkit or Toolkit()
        self._pool: ProcessPool | None = None
        self._crews: list[ThreadCrew] = []

    @property
    def name(self) -> str:
        return "local"

    def begin(self) -> None:
        """What is to be started depends on the plan."""

    def capacity(self) -> Capacity:
        return fit(self._limits.memory_bytes, self._limits.parallelism)

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        waiting = iter(tasks)
        first = list(_looked_at(waiting, SMALL_PLAN_BYTES)) if self._mode == "auto" else []
        everything = chain(first, waiting)
        if self._by_threads(job, first):
            place = self.capacity()
            crew = ThreadCrew(
                size=place.parallelism,
                memory_bytes=place.parallelism * place.memory_per_task_bytes,
                toolkit=self._toolkit,
                clock=self._clock,
                deadline_s=self._limits.deadline_s,
            )
            self._crews.append(crew)
            store = self._store or self._toolkit.open_store(job.root_uri, job.storage)
            return crew.run(job, everything, store)
        return self._processes().run(job, everything)

    def close(self) -> bool:
        if self._pool is None:
            for crew in self._crews:
                crew.stop()  # again, should an interruption have kept the outcomes from being closed
            return all(crew.quiet for crew in self._crews)
        self._pool.close()
        self._pool = None
        return False  # a worker that was killed may have been about to publish: the store may see it through

    def _by_threads(self, job: RewriteJob, first: list[RewriteTask]) -> bool:
        if self._pool is not None:
            return False  # parts of groups that were too large for their workers, say
        in_memory = job.root_uri.startswith("memory:")
        if in_memory and self._mode == "processes":
            raise ExecutionFailed(f"{job.root_uri} lives in the memory of this process; other processes cannot reach it.")
        if self._mode != "auto" or in_memory:
            return in_memory or self._mode == "threads"
        size_bytes = sum(map(input_bytes, first))
        if len(first) >= LOOK_AHEAD or size_bytes >= SMALL_PLAN_BYTES:
            return False
        return size_bytes < SMALL_SLOW_PLAN_BYTES or job.proof == "counts" or (all(map(_is_roomy, first)) and _reads_natively(job))

    def _processes(self) -> ProcessPool:
        if self._pool is None:
            self._pool = ProcessPool(
                size=self.capacity().parallelism, toolkit=self._toolkit, clock=self._clock, deadline_s=self._limits.deadline_s
            )
        return self._pool


def _is_roomy(task: RewriteTask) -> bool:
    """Whether a task is predicted to need much less than it may, and would so even with its files in memory whole: single values may be
    almost as large as they."""
    return not task.budget_bytes or 2 * max(task.memory_bytes, input_bytes(task)) <= task.budget_bytes


def _reads_natively(job: RewriteJob) -> bool:
    """See worker.py, which is imported when it is first needed, so that an executor costs nothing to make."""
    from compactor.execution.worker import proves_natively

    return proves_natively(job)


def _looked_at(waiting: Iterator[RewriteTask], most_bytes: int) -> Iterator[RewriteTask]:
    """The first tasks, until it is known whether the plan is small."""
    so_far_bytes = 0
    for task in islice(waiting, LOOK_AHEAD):
        yield task
        so_far_bytes += input_bytes(task)
        if so_far_bytes >= most_bytes:
            return
