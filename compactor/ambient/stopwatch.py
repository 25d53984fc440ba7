"""Where the time of a run goes, by stages that code names where it does the work. Off unless somebody asks; a look-up then.

    with running(clock) as watch:            # from here on stages of this thread are counted
        with stage("read"):                  # stages may lie in each other; each counts what is not in an inner one
            ...
        for item in each("decode", items):   # waiting for each item is the stage, what is done with it is not
            ...
        pool.submit(carried(work))           # the work's own stages count too, in whichever thread it runs
    watch.seconds()

Decides nothing. Times of threads that run beside each other add up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import ParamSpec, TypeVar

from compactor.ambient.ports import Clock

P = ParamSpec("P")
T = TypeVar("T")

_OFF: AbstractContextManager[None] = nullcontext()
_here = threading.local()


class Stopwatch:
    """Seconds by stage. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}

    def seconds(self) -> Mapping[str, float]:
        """What was counted so far, in the order in which stages first ended."""
        with self._lock:
            return dict(self._seconds)

    def now_s(self) -> float:
        return self._clock.monotonic_s()

    def add(self, name: str, seconds: float) -> None:
        """Count."""
        with self._lock:
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds


class _Stage:
    """One stretch of a stage in one thread; `inner` is what stages within it took."""

    def __init__(self, watch: Stopwatch, name: str) -> None:
        self._watch, self._name = watch, name
        self._inner = 0.0

    def __enter__(self) -> None:
        self._outer: _Stage | None = getattr(_here, "stage", None)
        _here.stage = self
        self._began_s = self._watch.now_s()

    def __exit__(self, *_raised: object) -> None:
        took_s = self._watch.now_s() - self._began_s
        self._watch.add(self._name, took_s - self._inner)
        _here.stage = self._outer
        if self._outer is not None:
            self._outer._inner += took_s


@contextmanager
def running(clock: Clock) -> Iterator[Stopwatch]:
    """A stopwatch for the stages of this thread, instead of one that runs already."""
    watch = Stopwatch(clock)
    with _under(watch):
        yield watch


@contextmanager
def _under(watch: Stopwatch) -> Iterator[None]:
    before = getattr(_here, "watch", None), getattr(_here, "stage", None)
    _here.watch, _here.stage = watch, None
    try:
        yield
    finally:
        _here.watch, _here.stage = before


def stage(name: str) -> AbstractContextManager[None]:
    """What is done within counts as this stage, if a stopwatch runs."""
    watch: Stopwatch | None = getattr(_here, "watch", None)
    return _OFF if watch is None else _Stage(watch, name)


def each(name: str, items: Iterable[T]) -> Iterator[T]:
    """The items; what it takes to get each of them counts as this stage, if a stopwatch runs."""
    return iter(items) if getattr(_here, "watch", None) is None else _timed(name, iter(items))


def _timed(name: str, items: Iterator[T]) -> Iterator[T]:
    while True:
        with stage(name):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def carried(work: Callable[P, T]) -> Callable[P, T]:
    """The work, under the stopwatch of this thread wherever it runs."""
    watch: Stopwatch | None = getattr(_here, "watch", None)
    if watch is None:
        return work

    def timed(*args: P.args, **kwargs: P.kwargs) -> T:
        if getattr(_here, "watch", None) is watch:
            return work(*args, **kwargs)
        with _under(watch):
            return work(*args, **kwargs)

    return timed
