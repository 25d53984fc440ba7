"""A process's signal handlers, kept while a library that takes them starts or ends."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_KEPT: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
_AGAIN_S = 0.02


@contextmanager
def signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM when it starts and leaves the system's default when it ends; the handlers are this process's own to keep."""
    if threading.current_thread() is not threading.main_thread():
        with _kept_below():
            yield
        return
    handlers = {number: signal.getsignal(number) for number in _KEPT}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def _kept_below() -> Iterator[None]:
    """For threads, which Python lets set no handler: what the system calls is put back, again and again, since a signal may come any time.

    What Python then calls for it was never changed: Ray cannot set that in a thread either.
    """
    called = {number: _get(number) for number in _KEPT}
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(called, over), name="signals-kept", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        _put(called)


def _keep(called: Mapping[int, int | None], over: threading.Event) -> None:
    while not over.wait(_AGAIN_S):
        _put(called)


def _put(called: Mapping[int, int | None]) -> None:
    for number, address in called.items():
        ctypes.pythonapi.PyOS_setsig(ctypes.c_int(number), ctypes.c_void_p(address))


def _get(number: int) -> int | None:
    """The address of what the system calls for a signal."""
    get = ctypes.pythonapi.PyOS_getsig
    get.restype = ctypes.c_void_p
    found: int | None = get(ctypes.c_int(number))
    return found
