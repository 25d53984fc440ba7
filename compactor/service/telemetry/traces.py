"""OpenTelemetry traces: a span for each run, with its commits, dropped groups and warnings as events on it.

Only the API is used: where spans go is configured as everywhere else, for example by `opentelemetry-instrument` and `OTEL_…` variables.
Without such a configuration nothing is sent and nothing is kept.
"""

from __future__ import annotations

import threading

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from compactor.model.events import CommitLanded, CommitRetried, Event, GroupLost, Planned, Warned
from compactor.service.events import RunBegun, RunFinished, ServiceEvent

_NAME = "compactor"


class Traces:
    """Both sinks, as in log_lines.py. tracer: for tests; otherwise that of the process."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or trace.get_tracer(_NAME)
        self._lock = threading.Lock()
        self._spans: dict[str, Span] = {}

    def service(self, event: ServiceEvent) -> None:
        """Begins and ends spans."""
        match event:
            case RunBegun():
                about: dict[str, str | float] = {
                    "compactor.table": event.table,
                    "compactor.run_id": event.run_id,
                    "compactor.why": event.why,
                    "compactor.part": event.part,
                    "compactor.waited_s": event.waited_s,
                }
                with self._lock:
                    self._spans[event.table] = self._tracer.start_span("compactor.run", attributes=about)
            case RunFinished():
                with self._lock:
                    span = self._spans.pop(event.run.table, None)
                if span is not None:
                    _end(span, event)
            case _:
                pass

    def run(self, table: str, event: Event) -> None:
        """Events on the span of the table's run."""
        with self._lock:
            span = self._spans.get(table)
        if span is None:
            return
        match event:
            case Planned():
                span.add_event("planned", {"groups": len(event.plan), "input_bytes": event.plan.prediction.input_bytes})
            case CommitLanded():
                span.add_event("committed", {"version": event.outcome.version})
            case CommitRetried():
                span.add_event("judged again", {"version": event.version, "attempt": event.attempt})
            case GroupLost():
                span.add_event("group dropped", {"reason": event.dropped.reason})
            case Warned():
                span.add_event("warned", {"code": event.code, "message": event.message})
            case _:
                pass


def _end(span: Span, event: RunFinished) -> None:
    run = event.run
    span.set_attributes(
        {
            "compactor.status": run.status.value,
            "compactor.files_removed": run.files_removed,
            "compactor.files_added": run.files_added,
            "compactor.bytes_removed": run.bytes_removed,
            "compactor.gb_hours": event.spend.gb_hours,
            "compactor.money": event.spend.money,
        }
    )
    if run.exit_code:
        span.set_status(Status(StatusCode.ERROR, run.reason or run.status.value))
    span.end()
