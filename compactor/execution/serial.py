"""The serial executor: one task after the other, in the caller's thread, in the order given. Deterministic: simulations use it.

It takes the store as it is handed (a memory store, a fault-injecting one) or opens one for each job. No deadline: a thread that runs
itself cannot be stopped from itself.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from compactor.ambient.ports import Clock
from compactor.execution.base import Capacity
from compactor.execution.machine import fit
from compactor.execution.work import Toolkit, perform
from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome
from compactor.storage.base import ObjectStore


class SerialExecutor:
    """One task at a time, here and now."""

    def __init__(
        self, *, clock: Clock, store: ObjectStore | None = None, memory_bytes: int | None = None, toolkit: Toolkit | None = None
    ) -> None:
        """`store`: used instead of opening the job's root. `memory_bytes`: for the whole run; default a safe share of the machine."""
        self._clock = clock
        self._store = store
        self._memory_bytes = memory_bytes
        self._toolkit = toolkit or Toolkit()

    @property
    def name(self) -> str:
        return "serial"

    def begin(self) -> None:
        """Nothing takes long to start."""

    def capacity(self) -> Capacity:
        return fit(self._memory_bytes, 1)

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        store = self._store or self._toolkit.open_store(job.root_uri, job.storage)
        for task in tasks:
            yield perform(self._toolkit, job, task, store, self._clock)

    def close(self) -> bool:
        return True  # nothing was started
