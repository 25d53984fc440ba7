"""Threads that work ahead or behind: fetching inputs, encoding row groups. Order never depends on them, only who waits for whom.

A store in memory has nothing to wait for, and a simulation over it must make its calls in one order: there everything happens at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from compactor.storage.base import ObjectStore

P = ParamSpec("P")
T = TypeVar("T")


class Inline(Executor):
    """Does what it is given before it returns, in the caller's thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        return future


def pool_for(store: ObjectStore, threads: int, name: str) -> Executor:
    """An executor for work on `store`; the caller shuts it down."""
    return Inline() if store.uri.startswith("memory:") else ThreadPoolExecutor(threads, thread_name_prefix=name)
