"""`compactor serve --config FILE`: the service as a process. Logs are JSON lines on stdout; SIGTERM and SIGINT end it within its grace.

A second signal ends it at once: what was begun is left to the next run of each table.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from compactor.ambient.system import SystemClock
from compactor.errors import SettingsError
from compactor.model.events import Event
from compactor.service.config_file import read_config
from compactor.service.events import ServiceEvent
from compactor.service.opening import open_service
from compactor.service.service import Service
from compactor.service.telemetry.log_lines import LogLines
from compactor_cli.output import print_line

if TYPE_CHECKING:
    from compactor.service.config import Http
    from compactor.service.telemetry.metrics import Metrics
    from compactor.service.telemetry.traces import Traces

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve_config(path: Path) -> int:
    """0 after a stop. Raises SettingsError, StorageError when the state cannot be read, UsageError when the address is taken."""
    config = read_config(path)
    http = config.http
    metrics = None if http is None else _metrics()
    log = LogLines(print_line, SystemClock())
    sinks: list[LogLines | Metrics | Traces] = [
        log,
        *([metrics] if metrics else []),
        *([_traces()] if config.pace.traces else []),
    ]

    def tell(event: ServiceEvent) -> None:
        for sink in sinks:
            sink.service(event)

    def tell_run(table: str, event: Event) -> None:
        for sink in sinks:
            sink.run(table, event)

    service = open_service(path, tell, tell_run)
    with ExitStack() as stack:
        stack.enter_context(_stopped_by_signals(service))
        service.start()
        if http is not None and metrics is not None:
            stack.callback(_listen(service, metrics, http, log))
        service.serve()
    _let_go(log)
    return 0


def _metrics() -> Metrics:
    """Raises SettingsError when the extra is missing."""
    try:
        from compactor.service.http.server import HttpServer  # noqa: F401 - the whole extra is there, or none of it is of use
        from compactor.service.telemetry.metrics import Metrics
    except ImportError as error:
        raise SettingsError(f"[http] needs the extra `service`, of which {error.name} is missing: lakehouse-compactor[service].") from None
    return Metrics()


def _traces() -> Traces:
    """Raises SettingsError when OpenTelemetry is missing."""
    try:
        from compactor.service.telemetry.traces import Traces
    except ImportError:
        raise SettingsError("[service] traces needs the extra `traces`: lakehouse-compactor[traces].") from None
    return Traces()


def _listen(service: Service, metrics: Metrics, http: Http, log: LogLines) -> Callable[[], None]:
    from compactor.service.http.opening import open_http

    server = open_http(service, metrics, http)
    log.line("info", "Listening", {"host": http.host, "port": server.port})
    return server.close


@contextmanager
def _stopped_by_signals(service: Service) -> Iterator[None]:
    def stop(number: int, _frame: FrameType | None) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)
        service.stop()

    asked: list[int] = []
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _let_go(log: LogLines) -> None:
    """Where a run did not come to an end, its threads must not keep the process: nothing that is right waits for them."""
    if any(thread.name.startswith("run-") for thread in threading.enumerate()):
        log.line("warning", "LeftBehind", {})
        os._exit(0)
