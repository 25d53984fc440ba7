"""Work that begins while the place that it is meant for still starts: worker processes of this machine take groups until that is there, and
then it is given what they do not take any more.

Never more at once than there is room for: whoever sends elsewhere is told how many of the workers are still busy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from compactor.execution.processes import ProcessPool
from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome


class Meanwhile:
    """The tasks that workers take meanwhile, as the pool asks for them."""

    def __init__(
        self, pool: ProcessPool, waiting: Iterator[RewriteTask], starting: Callable[[], bool], hand_over: Callable[[int], None]
    ) -> None:
        """`waiting`: only as many are taken of it as workers begin. `starting`: whether the other place is not there yet.

        `hand_over` is called when a worker is free and gets nothing more, with how many others are busy.
        """
        self._pool, self._waiting = pool, waiting
        self._starting, self._hand_over = starting, hand_over
        self._busy = 0

    def run(self, job: RewriteJob) -> Generator[TaskOutcome]:
        """Outcomes of what the workers took. Ends when all of them are idle, and closes the pool."""
        try:
            with closing(self._pool.run(job, self)) as outcomes:
                for outcome in outcomes:
                    self._busy -= 1
                    yield outcome
        finally:
            self._pool.close()

    def __iter__(self) -> Iterator[RewriteTask]:
        return self

    def __next__(self) -> RewriteTask:
        """HAZARD: asked again after its end, each time that another worker is free."""
        if self._starting() and (task := next(self._waiting, None)) is not None:
            self._busy += 1
            return task
        self._hand_over(self._busy)
        raise StopIteration
