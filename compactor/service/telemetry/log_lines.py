"""Structured logs: one JSON object a line, for each event of the service and for what runs warn of, with the table on each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

from compactor.ambient.ports import Clock
from compactor.model.events import CommitLanded, CommitRetried, Event, GroupLost, LeaseChanged, LeaseState, Recovered, Warned
from compactor.service.events import Problem, RunFinished, ServiceEvent

Write = Callable[[str], object]


class LogLines:
    """Both sinks: `service` for the service's events, `run` for those of runs."""

    def __init__(self, write: Write, clock: Clock) -> None:
        self._write, self._clock = write, clock
        self._lock = threading.Lock()

    def service(self, event: ServiceEvent) -> None:
        """One line for every event."""
        if isinstance(event, RunFinished):
            self.line(_level(event.run.exit_code), "RunFinished", _run(event))
        else:
            self.line("warning" if isinstance(event, Problem) else "info", type(event).__name__, asdict(event))

    def run(self, table: str, event: Event) -> None:
        """A line for what somebody may have to know of a run at work: commits, conflicts, dropped groups, warnings."""
        match event:
            case CommitLanded():
                self.line("info", "CommitLanded", {"table": table, "version": event.outcome.version})
            case CommitRetried():
                self.line("info", "CommitRetried", {"table": table, "version": event.version, "attempt": event.attempt})
            case GroupLost():
                self.line("warning", "GroupLost", {"table": table, "reason": event.dropped.reason, "detail": event.dropped.detail})
            case Warned():
                self.line("warning", "Warned", {"table": table, "code": event.code, "message": event.message})
            case Recovered():
                self.line("info", "Recovered", {"table": table, "run_id": event.left.run_id, "state": event.left.state.value})
            case LeaseChanged(state=LeaseState.LOST | LeaseState.TAKEN_OVER):
                self.line("warning", "LeaseChanged", {"table": table, "state": event.state.value})
            case _:
                pass

    def line(self, level: str, event: str, body: dict[str, Any]) -> None:
        """One line, of an event that is of this process only."""
        line = {"at_ms": self._clock.now_ms(), "level": level, "event": event, **body}
        text = orjson.dumps(line, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        with self._lock:
            self._write(text)


def _run(event: RunFinished) -> dict[str, Any]:
    run = event.run
    return {
        "table": run.table,
        "run_id": run.run_id,
        "status": run.status.value,
        "reason": run.reason,
        "why": run.why,
        "version": run.version,
        "files_removed": run.files_removed,
        "files_added": run.files_added,
        "bytes_removed": run.bytes_removed,
        "bytes_added": run.bytes_added,
        "groups_committed": run.groups_committed,
        "groups_dropped": len(run.groups_dropped),
        "seconds": round(run.seconds, 3),
        "gb_hours": event.spend.gb_hours,
        "money": event.spend.money,
        "exit_code": run.exit_code,
    }


def _level(exit_code: int) -> str:
    return "info" if exit_code in (0, 4) else "error"


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
