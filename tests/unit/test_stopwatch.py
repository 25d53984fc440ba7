"""Stages of a run's time: exclusive, carried into other threads, and nothing at all while nobody asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from compactor.ambient import stopwatch as s
from compactor.ambient.deterministic import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_a_stage_counts_what_is_not_in_an_inner_one(clock: VirtualClock) -> None:
    """Seconds add up to the whole, each counted once."""
    with s.running(clock) as watch, s.stage("outer"):
        clock.sleep(1)
        for _ in range(2):
            with s.stage("inner"):
                clock.sleep(2)
        clock.sleep(4)
    assert watch.seconds() == {"outer": 5.0, "inner": 4.0}


def test_waiting_for_items_counts_and_what_is_done_with_them_does_not(clock: VirtualClock) -> None:
    """An iterator's own time is its stage's, to the end of it."""

    def slow() -> object:
        for item in range(3):
            clock.sleep(1)
            yield item
        clock.sleep(10)

    with s.running(clock) as watch:
        for _ in s.each("read", slow()):
            clock.sleep(100)
    assert watch.seconds() == {"read": 13.0}


def test_work_is_carried_into_the_thread_that_does_it(clock: VirtualClock) -> None:
    """Stages of submitted work count for who submitted it, and leave the thread as it was."""

    def work() -> None:
        with s.stage("encode"):
            clock.sleep(3)

    with ThreadPoolExecutor(1) as pool:
        with s.running(clock) as watch, s.stage("wait"):
            pool.submit(s.carried(work)).result()
        pool.submit(work).result()
    assert watch.seconds() == {"encode": 3.0, "wait": 3.0}


def test_nothing_is_done_while_nobody_asks() -> None:
    """Without a stopwatch a stage is one shared object, iterators and work are what they were."""
    assert s.stage("a") is s.stage("b")
    assert s.carried(print) is print
    items = iter([1])
    assert s.each("a", items) is items


def test_an_inner_stopwatch_is_by_itself(clock: VirtualClock) -> None:
    """A task that is timed within a timed run keeps its own count, and the run's goes on behind it."""
    with s.running(clock) as outer, s.stage("run"):
        with s.running(clock) as inner, s.stage("task"):
            clock.sleep(2)
        clock.sleep(1)
    assert inner.seconds() == {"task": 2.0}
    assert outer.seconds() == {"run": 3.0}


def test_a_stage_that_fails_is_counted_and_left(clock: VirtualClock) -> None:
    """An error within a stage does not keep it open."""
    with s.running(clock) as watch:
        with pytest.raises(ValueError, match="no"), s.stage("a"):
            clock.sleep(1)
            raise ValueError("no")
        with s.stage("b"):
            clock.sleep(1)
    assert watch.seconds() == {"a": 1.0, "b": 1.0}
