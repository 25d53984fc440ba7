"""Interruptions that are held back, and work that is done to the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from compactor.ambient.interrupts import held_back, to_the_end


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Interruptions are heard, although whoever started the tests in the background has them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_interruption_waits_for_the_end() -> None:
    """What must not be cut in two is done whole, and the interruption comes behind it."""
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("all")
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interruption_does_not_wait() -> None:
    """Whoever insists is heard at once."""
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("some")
        signal.raise_signal(signal.SIGINT)
        done.append("all")
    assert done == ["some"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_are_back_when_the_second_interruption_is_heard() -> None:
    """It may come while they are given back, and whatever it cuts short then, no handler that only waits stays behind."""
    seen: list[object] = []
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: seen.append(signal.getsignal(signal.SIGINT)))
    try:
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.default_int_handler]


def test_other_threads_hold_nothing_back() -> None:
    """Only the main thread is interrupted, and only it may set handlers."""
    found = []

    def work() -> None:
        with held_back():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_work_that_was_cut_short_is_done_again() -> None:
    """Two interruptions cut the work short; it is done all the same, before they are told of."""
    done = []

    def work() -> None:
        done.append("begun")
        if len(done) == 1:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        done.append("ended")

    with pytest.raises(KeyboardInterrupt):
        to_the_end(work)
    assert done == ["begun", "begun", "ended"]


def test_work_that_was_done_is_not_done_again() -> None:
    """An interruption that came behind the work does not repeat it, nor does an error of the work's own."""
    done = []

    def work() -> None:
        done.append("once")
        signal.raise_signal(signal.SIGINT)

    def fails() -> None:
        done.append("fails")
        raise ValueError

    with pytest.raises(KeyboardInterrupt):
        to_the_end(work)
    with pytest.raises(ValueError):
        to_the_end(fails)
    assert done == ["once", "fails"]
