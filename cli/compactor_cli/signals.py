"""Signals: SIGINT and SIGTERM become KeyboardInterrupt in the main thread, so that every `finally` runs, and the exit code is 130 or 143.

An import is not interrupted: an exception that comes while Python handles its import locks can leave one of them taken, after which
every other thread waits for ever. Nor does an interruption get lost where Python swallows exceptions (weak references, finalizers): in
both cases the signal comes again a moment later.

Nothing that is correct rests on this: a process that is killed outright leaves at worst outputs that no commit refers to.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
_AGAIN_S = 0.02
_MOST_AGAIN = 500
"""How often an interruption waits for an import to end: ten seconds, lest one that never ends be in the way of it."""


class Signals:
    """What arrived. A polite stop (`serve`) is asked for once and enforced when the grace period ends; else a signal interrupts at once."""

    def __init__(self, grace_s: float | None = None) -> None:
        self._grace_s = grace_s
        self.received: int | None = None
        self.stopping = False
        self._postponed = 0

    @property
    def exit_code(self) -> int:
        """Of a process that was interrupted."""
        return 128 + (self.received or signal.SIGINT)

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """The handler. Only sets values or raises: it may run between any two instructions."""
        if number != signal.SIGALRM:
            self.received = number
        if number != signal.SIGTERM or self._grace_s is None:
            self._interrupt(frame)
        elif not self.stopping:
            self.stopping = True
            signal.setitimer(signal.ITIMER_REAL, self._grace_s)

    def _interrupt(self, frame: FrameType | None) -> None:
        if self._postponed < _MOST_AGAIN and _is_importing(frame):
            self._postponed += 1
            come_again()
        else:
            raise KeyboardInterrupt(self.received)

    def hold(self) -> None:
        """Take the signals again: starting Ray replaces the handler of SIGTERM, and ending Ray removes it, behind Python's back."""
        for number in SIGNALS:
            signal.signal(number, self.on_signal)

    def stop_politely(self) -> None:
        """What a polite stop does when it is learned of in another way than by the handler (a library replaced it)."""
        self.stopping = True


def come_again() -> None:
    """Have SIGALRM sent in a moment."""
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def _not_swallowed() -> Iterator[None]:
    """An interruption that Python could only print comes again instead."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            come_again()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def handled(grace_s: float | None = None) -> Iterator[Signals]:
    """Handlers for the time of a command; the earlier ones come back afterwards. Main thread only.

    grace_s: SIGTERM first only sets `stopping`, and interrupts after that many seconds.
    """
    signals = Signals(grace_s)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signals.hold()
    try:
        with _not_swallowed():
            yield signals
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
