"""Serves the app in a thread of its own. The address is taken before anything begins, so that one that is taken is said at once."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.applications import Starlette

from compactor.errors import UsageError


class HttpServer:
    """Listens from the start; `close` ends it."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        """Raises UsageError when the address cannot be had."""
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"The service cannot listen on {host}:{port}: {why}.") from None
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, server_header=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer what is under way, and listen no more."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()
