"""Runs tables side by side, in threads of this process, each with its share of the machine.

A run that is asked to stop ends at its next event, by the same way as an interrupted command: what was committed stands, its own outputs
are removed, and its end is in the journal. A thread that does not come to an event is left; the next run of the table sees to what it left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from compactor.errors import CompactorError
from compactor.model.events import Event, Sink
from compactor.model.run import Run, RunStatus
from compactor.service.ledger import Spend
from compactor.settings import Settings

RunTable = Callable[[str, Settings, str, Sink], Run]
"""A run of the table at a URI, under settings, of this id, telling a sink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run that is to be: its settings, and what is set aside for it."""

    uri: str
    run_id: str
    settings: Settings
    group: str
    spend: Spend
    window: tuple[str, int] | None = None


@dataclass(slots=True, kw_only=True)
class _Working:
    job: Job
    thread: threading.Thread
    ended: Run | None = None


@dataclass(slots=True)
class Runner:
    """Threads that run tables. `begin` and `collect` are called by one thread, `cancel` and `running` by any."""

    run: RunTable
    sink: Callable[[str, Event], None] = lambda _uri, _event: None
    wake: threading.Event = field(default_factory=threading.Event)
    _working: dict[str, _Working] = field(default_factory=dict)
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def begin(self, job: Job) -> None:
        """Start the run; of a table that is not running."""
        working = _Working(job=job, thread=threading.Thread(target=self._work, args=(job,), name=f"run-{job.run_id[:8]}", daemon=True))
        self._working[job.uri] = working
        working.thread.start()

    def running(self) -> dict[str, Job]:
        """Tables at work, and those whose end was not taken in yet."""
        return {uri: working.job for uri, working in list(self._working.items())}

    def busy(self) -> bool:
        """Whether any run has not ended."""
        return any(working.ended is None for working in list(self._working.values()))

    def collect(self) -> list[tuple[Job, Run]]:
        """Runs that have ended since."""
        ended = [working for working in self._working.values() if working.ended is not None]
        for working in ended:
            del self._working[working.job.uri]
        return [(working.job, working.ended) for working in ended if working.ended is not None]

    def cancel(self) -> None:
        """Ask all of them to stop at their next event."""
        self._cancelled.set()

    def _work(self, job: Job) -> None:
        def tell(event: Event) -> None:
            if self._cancelled.is_set():
                raise KeyboardInterrupt
            self.sink(job.uri, event)

        try:
            ended = self.run(job.uri, job.settings, job.run_id, tell)
        except BaseException as error:  # noqa: BLE001 - whatever ends a run, the service goes on and tells it
            ended = _failed(job, error)
        self._working[job.uri].ended = ended
        self.wake.set()


def _failed(job: Job, error: BaseException) -> Run:
    if isinstance(error, CompactorError):
        return Run(run_id=job.run_id, table=job.uri, status=RunStatus.FAILED, reason=str(error), exit_code=error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        reason, code = "Interrupted; what was committed stands.", 143
    else:
        reason, code = f"This is a bug in compactor ({type(error).__name__}: {error}); please report it.", 1
    return Run(run_id=job.run_id, table=job.uri, status=RunStatus.FAILED, reason=reason, exit_code=code)
