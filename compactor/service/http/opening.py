"""Puts the HTTP side of a service together: what it asks of the service, the state and the journal."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from compactor import verbs
from compactor.service.config import Http
from compactor.service.http.app import Answers, make_app
from compactor.service.http.server import HttpServer
from compactor.service.service import Service
from compactor.service.telemetry.metrics import Metrics
from compactor.settings import Settings


def open_http(service: Service, metrics: Metrics, http: Http) -> HttpServer:
    """Listens. Raises UsageError when the address cannot be had."""
    shared = service.parts.shared

    def settings_of(uri: str) -> Settings:
        policy = service.overview.tables[uri].state.policy
        return Settings() if policy is None else policy.settings

    def mark(uri: str, kind: str, by: str | None) -> None:
        if by is None:
            shared.unmark(kind, uri)
        else:
            shared.mark(kind, uri, by)

    def runs(uri: str, limit: int) -> list[dict[str, Any]]:
        return [{**asdict(record.run), "ended_ms": record.ended_ms, "by": record.by} for record in verbs.runs(uri, settings_of(uri), limit)]

    def plan(uri: str) -> dict[str, Any]:
        made = verbs.plan_table(uri, settings_of(uri))
        prediction = asdict(made.prediction)
        return {
            "format_version": 1,
            "table": uri,
            "version": made.version,
            "target_bytes": made.target_bytes,
            "groups": len(made),
            "left_out": {reason.value: count for reason, count in made.left_out},
            "prediction": prediction,
        }

    answers = Answers(
        overview=lambda: service.overview,
        metrics=lambda: metrics.page(service.overview),
        mark=mark,
        runs=runs,
        plan=plan,
        silent_s=service.silent_s,
        late_s=max(900.0, 10 * service.parts.file.current.pace.round_s),
        version=version("lakehouse-compactor"),
    )
    return HttpServer(make_app(answers, http), http.host, http.port)
