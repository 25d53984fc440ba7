"""Threads that work ahead or behind: fetching inputs, encoding row groups. Order never depends on them, only who waits for whom.

A store in memory has nothing to wait for, and a simulation over it must make its calls in one order: there everything happens at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import get_ident
from typing import ParamSpec, TypeVar

from compactor.ambient.cores import Cores, helped, offered
from compactor.ambient.inline import Inline
from compactor.ambient.stopwatch import carried
from compactor.storage.base import ObjectStore, in_memory

P = ParamSpec("P")
T = TypeVar("T")


class Helper(Executor):
    """Runs a call in a thread of its own while a processor is idle, else at once, in the caller's.

    One call at a time. It is made by the task that it helps, in its thread.
    """

    def __init__(self, cores: Cores) -> None:
        self._cores = cores
        self._task = get_ident()
        self._here = Inline()
        self._beside: ThreadPoolExecutor | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if not self._cores.take():
            return self._here.submit(fn, *args, **kwargs)
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, thread_name_prefix="encode")
        helped(self._task, True)
        return self._beside.submit(self._returning, carried(fn), *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self._beside is not None:
            self._beside.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _returning(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return fn(*args, **kwargs)
        finally:
            helped(self._task, False)
            self._cores.give()


def pool_for(store: ObjectStore, threads: int, name: str) -> Executor:
    """An executor for work on `store`; the caller shuts it down."""
    return Inline() if in_memory(store) else ThreadPoolExecutor(threads, thread_name_prefix=name)


@contextmanager
def beside(store: ObjectStore) -> Iterator[Executor]:
    """For a task at work on `store`: for its length it holds a processor if one is free, and what it submits runs beside it where another
    is. Nothing runs any more on leaving.
    """
    if in_memory(store):
        yield Inline()
        return
    cores = offered()
    held = cores.take()
    helper = Helper(cores)
    try:
        yield helper
    finally:
        helper.shutdown()
        if held:
            cores.give()
