"""Processors of this machine that tasks of a run may keep busy, counted in tokens, so that a task works ahead in a second thread only where
a processor would idle: more threads than processors take turns, and each turn finds the caches full of what another left there.

A task takes a token for itself and goes on without one if there is none: tokens decide who may use more, never who may work.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol


class Cores(Protocol):
    """A count of idle processors. Safe for threads."""

    def take(self) -> bool:
        """Take one if there is one; never waits."""
        ...

    def give(self) -> None:
        """Give back one that was taken."""
        ...


class ThreadCores:
    """The processors of a run whose tasks are threads of this process."""

    def __init__(self, processors: int) -> None:
        self._free = threading.Semaphore(processors)

    def take(self) -> bool:
        return self._free.acquire(blocking=False)

    def give(self) -> None:
        self._free.release()


class PipeCores:
    """The processors of a run whose tasks are processes: each token is a byte in a pipe that all of them share, as make's jobs do.

    A process that dies takes what it held with it, which only makes the others work ahead less.
    """

    def __init__(self, reader: int, writer: int) -> None:
        """The pipe's descriptors; the reader must not block."""
        self.reader, self.writer = reader, writer

    @classmethod
    def fresh(cls, processors: int) -> PipeCores:
        """A new pipe with a token for each processor."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.write(writer, b"+" * processors)
        return cls(reader, writer)

    def take(self) -> bool:
        try:
            return bool(os.read(self.reader, 1))
        except OSError:  # nothing there, or the pipe is closed
            return False

    def give(self) -> None:
        with suppress(OSError):
            os.write(self.writer, b"+")

    def close(self) -> None:
        """Close this process's ends."""
        for descriptor in (self.reader, self.writer):
            with suppress(OSError):
                os.close(descriptor)


class _NoCores:
    def take(self) -> bool:
        return False

    def give(self) -> None:
        raise AssertionError("nothing was taken")


_offered: Cores = _NoCores()
_helped: set[int] = set()
"""Threads of tasks beside which another thread writes what they made."""


def offer(cores: Cores) -> None:
    """From now on tasks of this process share these. Until then each keeps to its one thread."""
    global _offered
    _offered = cores


def offered() -> Cores:
    """What tasks of this process share."""
    return _offered


def helped(task: int, now: bool) -> None:
    """Whether a task, by the number of its thread, is helped by another thread from `now` on, which holds a processor meanwhile."""
    if now:
        _helped.add(task)
    else:
        _helped.discard(task)


@contextmanager
def threads_for(most: int) -> Iterator[int]:
    """How many threads may work beside each other, at most `most`: this one, and one for each processor that would idle.

    Also one for the processor of a thread that helps: it ends soon, and until the work in question does it would idle.
    """
    cores, taken = offered(), 0
    while taken + 1 < most and cores.take():
        taken += 1
    helpers = int(taken + 1 < most and threading.get_ident() in _helped)
    try:
        yield taken + helpers + 1
    finally:
        for _ in range(taken):
            cores.give()
