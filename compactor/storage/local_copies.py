"""Copies ranges of other files into a file that is being written, beside its writer, which meanwhile looks at what comes next.

Places are given out before anything is there, so whoever publishes the file must settle first. The kernel copies from file to file; on file
systems that can, blocks are shared and nothing is copied at all, and where it knows no such thing the bytes come through this process.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import BinaryIO

FLUSH_BYTES = 8 * 1024 * 1024
_BUFFER_BYTES = 256 * 1024
"""What stays in a processor's cache between being read and being written."""
_THREADS = 2
_MOST_WAITING = 64
_NO_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM}


class LocalCopies:
    """Copies into one open file. One thread asks."""

    def __init__(self, target: BinaryIO) -> None:
        """target: must stay open until everything has settled or was cancelled."""
        self._target = target
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[tuple[Future[None], int | None]] = deque()
        """Pieces in order, the last one of each source with the descriptor that nobody needs then."""
        self._sources: set[int] = set()
        self._failure: OSError | None = None

    def add(self, path: str, start: int, length: int, place: int) -> None:
        """Have these bytes of another file come to `place`. Raises OSError: when they are not there, or when an earlier copy failed."""
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._sources.add(source)
        if os.fstat(source).st_size < start + length:
            raise _too_early()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="copy")
        for done in range(0, length, FLUSH_BYTES):
            size = min(FLUSH_BYTES, length - done)
            piece = self._pool.submit(_copy, source, self._target, start + done, place + done, size)
            self._waiting.append((piece, source if done + size == length else None))
            if len(self._waiting) > _MOST_WAITING:
                self._settle_first()
        self._raise_failure()

    def settle(self) -> None:
        """Wait until everything is there. Raises OSError when something could not be copied, again whenever asked."""
        while self._waiting:
            self._settle_first()
        self._end()
        self._raise_failure()

    def cancel(self) -> None:
        """Nothing is copied any more when this returns. Never raises."""
        for piece, _ in self._waiting:
            piece.cancel()
        wait([piece for piece, _ in self._waiting])
        self._waiting.clear()
        self._end()

    def _settle_first(self) -> None:
        piece, source = self._waiting.popleft()
        try:
            piece.result()
        except OSError as error:
            self._failure = self._failure or error
        if source is not None:
            self._sources.remove(source)
            os.close(source)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        while self._sources:
            os.close(self._sources.pop())


def _copy(source: int, file: BinaryIO, start: int, place: int, length: int) -> None:
    target, done = file.fileno(), 0
    while done < length:
        found = _some(source, target, start + done, place + done, length - done)
        if not found:
            raise _too_early()
        done += found
    start_flushing(target, place, length)


def _some(source: int, target: int, start: int, place: int, most: int) -> int:
    """Copy bytes at once, and tell how many; 0 when the source ends before them. Raises OSError."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, most, start, place)
        except OSError as error:
            if error.errno not in _NO_COPY:
                raise
    data = memoryview(os.pread(source, min(most, _BUFFER_BYTES), start))
    done = 0
    while done < len(data):
        done += os.pwrite(target, data[done:], place + done)
    return done


def _too_early() -> OSError:
    return OSError(errno.EIO, "it ended too early")


def start_flushing(fd: int, start: int, length: int) -> None:
    """Have the disk take bytes that were written, while more is being made, so that the flush at the end has little to wait for.

    POSIX_FADV_DONTNEED makes Linux begin to write the range, and forget what is on the disk already, which none of it is.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, start, length, os.POSIX_FADV_DONTNEED)
