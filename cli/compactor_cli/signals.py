"""Signals: SIGINT and SIGTERM become KeyboardInterrupt in the main thread, so that every `finally` runs, and the exit code is 130 or 143.

Nothing that is correct rests on this: a process that is killed outright leaves at worst outputs that no commit refers to.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


class Signals:
    """What arrived. A polite stop (`serve`) is asked for once and enforced when the grace period ends; else a signal interrupts at once."""

    def __init__(self, grace_s: float | None = None) -> None:
        self._grace_s = grace_s
        self.received: int | None = None
        self.stopping = False

    @property
    def exit_code(self) -> int:
        """Of a process that was interrupted."""
        return 128 + (self.received or signal.SIGINT)

    def on_signal(self, number: int, _frame: FrameType | None = None) -> None:
        """The handler. Only sets values or raises: it may run between any two instructions."""
        if number == signal.SIGALRM:
            raise KeyboardInterrupt
        self.received = number
        if number == signal.SIGTERM and self._grace_s is not None:
            if not self.stopping:
                self.stopping = True
                signal.setitimer(signal.ITIMER_REAL, self._grace_s)
            return
        raise KeyboardInterrupt

    def hold(self) -> None:
        """Take the signals again: starting Ray replaces the handler of SIGTERM, and ending Ray removes it, behind Python's back."""
        for number in SIGNALS:
            signal.signal(number, self.on_signal)

    def stop_politely(self) -> None:
        """What a polite stop does when it is learned of in another way than by the handler (a library replaced it)."""
        self.stopping = True


@contextmanager
def handled(grace_s: float | None = None) -> Iterator[Signals]:
    """Handlers for the time of a command; the earlier ones come back afterwards. Main thread only.

    grace_s: SIGTERM first only sets `stopping`, and interrupts after that many seconds.
    """
    signals = Signals(grace_s)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signals.hold()
    try:
        yield signals
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
