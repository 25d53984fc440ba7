"""What an interruption must not cut in two: for so long it is held back, and comes when that is done.

A signal that interrupts raises KeyboardInterrupt in the main thread, between any two instructions. What asks to be spared is short; whoever
sends a second signal will not wait for it, and interrupts at once. Nothing that is correct rests on this: a process may be killed anywhere.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

_INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@contextmanager
def held_back() -> Iterator[None]:
    """The first signal that would interrupt comes at the end, when it does. Other threads than the main one are never interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before: dict[int, Handler] = {number: handler for number in _INTERRUPTING if callable(handler := signal.getsignal(number))}

    def give_back() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is later:
                signal.signal(number, handler)

    def later(number: int, frame: FrameType | None) -> None:
        if not waiting:
            waiting.append(number)
            return
        waiting.clear()
        give_back()  # now: this may interrupt where the end below gives them back, and must leave none of them behind
        before[number](number, frame)

    try:
        for number in before:
            signal.signal(number, later)
        yield
    finally:
        give_back()
        if waiting:
            signal.raise_signal(waiting[0])


def to_the_end(work: Callable[[], None]) -> None:
    """Does `work`, which may be done twice, even if an interruption that was not held back cuts it short; that one comes behind it."""
    done = False

    def once() -> None:
        nonlocal done
        with held_back():
            work()
            done = True

    try:
        once()
    except KeyboardInterrupt:
        if not done:
            once()
        raise
