"""An S3-compatible store on loopback, in a process of its own: `python -m compactor_cli.demo.s3_server` prints its port on one line.

It ends when its standard input is closed, so it cannot outlive the process that started it.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any


def serve() -> None:
    """Serve until standard input ends."""
    from moto.server import ThreadedMotoServer

    _make_puts_atomic()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
    server.stop()


def _make_puts_atomic() -> None:
    """moto checks whether an object exists and stores it in two steps; two exclusive creations could both succeed without this lock."""
    from moto.s3.responses import S3Response

    lock = threading.RLock()

    def locked(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **options: Any) -> Any:
            with lock:
                return method(*args, **options)

        return call

    for name in ("put_object", "complete_multipart_upload", "_complete_multipart_upload"):
        if method := getattr(S3Response, name, None):
            setattr(S3Response, name, locked(method))


if __name__ == "__main__":
    serve()
