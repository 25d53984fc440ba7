"""Batches: tiny groups that travel together, so that a remote task is about a second of work and scheduling stays under 2 % of the run.

The group stays the unit of result and of retry. Pure: sizes in, batches out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compactor.execution.work import Attempt, input_bytes
from compactor.model.rewrite import RewriteTask

_BYTES_PER_S = 40 * 1024 * 1024
"""What one processor rewrites in a second, with a margin on the slow side."""
_FILE_S = 0.005
_GROUP_S = 0.02
_ENOUGH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Attempts that run one after the other in one worker. Never empty."""

    attempts: tuple[Attempt, ...]

    @property
    def memory_bytes(self) -> int:
        """To reserve: the most that any of them needs, as they run one at a time."""
        return max(max(attempt.reserve_bytes, attempt.task.memory_bytes) for attempt in self.attempts)


def estimate_s(task: RewriteTask) -> float:
    """Seconds of work of a task, roughly, from its input bytes and files."""
    return _GROUP_S + len(task.inputs) * _FILE_S + input_bytes(task) / _BYTES_PER_S


def batches(tasks: Iterable[RewriteTask]) -> Iterator[Batch]:
    """Consecutive tasks in batches of at least a second of work, as far as there are enough; a larger task is one by itself."""
    gathered: list[Attempt] = []
    seconds = 0.0
    for task in tasks:
        gathered.append(Attempt(task=task))
        seconds += estimate_s(task)
        if seconds >= _ENOUGH_S:
            yield Batch(attempts=tuple(gathered))
            gathered, seconds = [], 0.0
    if gathered:
        yield Batch(attempts=tuple(gathered))
