"""A seekable read-only file over ranges of an object, for Parquet readers that stream. Counts what it reads.

The footer comes with the file's tail, which is kept; once it has been understood, column chunks may be read in blocks ahead of use
(ahead.py). Any other read is a range of its own.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from compactor.rewriting.ahead import Chunk, ReadAhead
from compactor.rewriting.problems import FileProblem
from compactor.storage.base import ObjectStore, file_paths

TAIL_BYTES = 256 * 1024


class RangedFile(io.RawIOBase):
    """An object of known size as a file. Raises StorageError from reads."""

    def __init__(self, store: ObjectStore, key: str, size_bytes: int, pool: Executor | None = None) -> None:
        """pool: threads that may read ahead; without any, nothing is read before it is asked for."""
        self._store, self._key, self._size = store, key, size_bytes
        self._pool = pool
        self._ahead: ReadAhead | None = None
        self._position = 0
        self._tail_start = max(0, size_bytes - TAIL_BYTES)
        self._tail: memoryview | None = None
        self._requests = self._bytes = 0
        self._counting = threading.Lock()

    @property
    def requests(self) -> int:
        return self._requests + (self._ahead.requests if self._ahead else 0)

    @property
    def bytes_read(self) -> int:
        return self._bytes + (self._ahead.bytes_read if self._ahead else 0)

    @property
    def reads_ahead(self) -> bool:
        """Whether it can: then its reader needs no large buffers of its own."""
        return self._pool is not None

    @property
    def path(self) -> str | None:
        """Where it is as a file of this machine; None where it is elsewhere."""
        paths = file_paths(self._store, [self._key])
        return None if paths is None else paths[0]

    def read_ahead(self, chunks: Sequence[Chunk], block_bytes: int, most_bytes: int) -> None:
        """From now on read these chunks in blocks, and no others, ahead of use where all of it stays within `most_bytes`."""
        if self._ahead is not None:
            self.count(self._ahead.requests, self._ahead.bytes_read)
            self._ahead.release()
            self._ahead = None
        if self._pool is not None:
            ends = ((chunk, min(chunk.length, self._tail_start - chunk.start)) for chunk in chunks)  # the tail is here
            chunks = [replace(chunk, length=length) for chunk, length in ends if length > 0]
            self._ahead = ReadAhead(chunks, block_bytes, most_bytes, self._pool, self._get)

    def release(self) -> None:
        """Nothing more will be read: let go of what is held. What was counted stays."""
        self._tail = None
        if self._ahead is not None:
            self._ahead.release()

    def range(self, start: int, length: int) -> bytes | memoryview:
        """These bytes, whatever is being read beside; in any thread. Raises FileProblem when they are not all there."""
        tail = self._tail
        if tail is not None and start >= self._tail_start and start + length <= self._size:
            return tail[start - self._tail_start : start - self._tail_start + length]
        return self._fetch(start, length)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def size(self) -> int:
        """Bytes of the object."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise FileProblem("corrupt-file", f"{self._key} points before its own beginning.")
        self._position = base + offset
        return self._position

    def read(self, length: int | None = -1) -> bytes | memoryview:
        rest = max(0, self._size - self._position)
        wanted = rest if length is None or length < 0 else min(length, rest)
        if wanted == 0:
            return b""
        before_tail = wanted if self._tail is None else min(wanted, max(0, self._tail_start - self._position))
        start, self._position = self._position, self._position + wanted
        if start >= self._tail_start:
            return self._from_tail(start, wanted)
        data = self._ahead.read(start, before_tail) if self._ahead is not None else None
        if data is None:
            data = self._fetch(start, before_tail)
        return data if before_tail == wanted else b"".join((data, self._from_tail(self._tail_start, wanted - before_tail)))

    def _from_tail(self, position: int, wanted: int) -> memoryview:
        if self._tail is None:
            self._tail = memoryview(self._fetch(self._tail_start, self._size - self._tail_start))
        start = position - self._tail_start
        return self._tail[start : start + wanted]

    def _fetch(self, start: int, length: int) -> bytes | memoryview:
        self.count(1, length)
        return self._get(start, length)

    def count(self, requests: int, size_bytes: int) -> None:
        """So much was read of it, here or by whoever reads it from where it is."""
        with self._counting:
            self._requests += requests
            self._bytes += size_bytes

    def _get(self, start: int, length: int) -> bytes | memoryview:
        (data,) = self._store.get_ranges(self._key, [(start, length)])
        if len(data) != length:
            raise FileProblem("corrupt-file", f"{self._key} ended before byte {start + length}.")
        return data
