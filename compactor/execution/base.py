"""The executor port. Every adapter passes tests/conformance/test_executors.py."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What an executor offers: how many tasks at once, and the memory each may promise to stay within."""

    parallelism: int
    memory_per_task_bytes: int


class Executor(Protocol):
    """Runs tasks. Adapters: serial (deterministic), local (processes or threads), on_ray."""

    @property
    def name(self) -> str:
        """As `--executor` spells it."""
        ...

    def begin(self) -> None:
        """It will probably be needed: start in the background what takes long to start. Never raises, and returns at once.

        After it, capacity and run do not wait for that where they can do without.
        """
        ...

    def capacity(self) -> Capacity:
        """Asked once a run, before planning. May start what it needs (a cluster); raises ExecutionFailed with the numbers if not."""
        ...

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        """Outcomes as tasks complete, exactly one for each task, in any order. Tasks are taken lazily, a bounded number ahead.

        A task that fails for a reason of its own is a GroupDropped. Retries after lost workers happen inside, each attempt under its own
        output names. Closing the iterator cancels what runs and waits until nothing of it writes any more (where that can be known).
        Raises ExecutionFailed when the place itself is gone.
        """
        ...

    def close(self) -> bool:
        """Release everything that was started. True when it is known that no task, finished or not, can write anything any more."""
        ...
