"""OpenTelemetry: one span a run, with what happened on it; an error where the run ended with one."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from compactor.model.events import CommitRetried, Warned
from compactor.model.run import Run, RunStatus
from compactor.service.events import RunBegun, RunFinished
from compactor.service.ledger import Spend
from compactor.service.telemetry.traces import Traces


def test_a_span_for_each_run() -> None:
    """Runs of several tables at once have their own; what is told of no run goes nowhere."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    traces = Traces(provider.get_tracer("test"))
    for table in ("a", "b"):
        traces.service(RunBegun(table=table, run_id=f"run-{table}", why="need", part=1, spend=Spend(), predicted_s=1, waited_s=2))
    traces.run("a", CommitRetried(version=3, attempt=1))
    traces.run("b", Warned(code="rivals", message="one is there."))
    traces.run("c", CommitRetried(version=3, attempt=1))
    traces.service(RunFinished(run=Run(run_id="run-a", table="a", status=RunStatus.COMMITTED, files_removed=9), spend=Spend(money=1)))
    failed = Run(run_id="run-b", table="b", status=RunStatus.FAILED, reason="it burns.", exit_code=7)
    traces.service(RunFinished(run=failed, spend=Spend()))
    traces.service(RunFinished(run=failed, spend=Spend()))
    one, two = kept.get_finished_spans()
    assert one.attributes is not None and two.attributes is not None
    assert (one.attributes["compactor.run_id"], one.attributes["compactor.files_removed"]) == ("run-a", 9)
    assert [event.name for event in one.events] == ["judged again"]
    assert (two.status.is_ok, two.status.description) == (False, "it burns.")
    assert one.status.is_ok
