"""`compactor serve --config FILE`: the service as a process. Logs are JSON lines on stdout; SIGTERM and SIGINT end it within its grace.

A second signal ends it at once: what was begun is left to the next run of each table.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from compactor.ambient.system import SystemClock
from compactor.service.opening import open_service
from compactor.service.service import Service
from compactor.service.telemetry.log_lines import LogLines
from compactor_cli.output import print_line

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve_config(path: Path) -> int:
    """0 after a stop. Raises SettingsError, StorageError when the state cannot be read."""
    logs = LogLines(print_line, SystemClock())
    service = open_service(path, logs.service, logs.run)
    with _stopped_by_signals(service):
        service.start()
        service.serve()
    _let_go()
    return 0


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


def _let_go() -> None:
    """Where a run did not come to an end, its threads must not keep the process: nothing that is right waits for them."""
    if any(thread.name.startswith("run-") for thread in threading.enumerate()):
        print_line('{"event": "LeftBehind", "level": "warning"}')
        os._exit(0)
