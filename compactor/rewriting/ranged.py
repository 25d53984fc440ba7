"""A seekable read-only file over ranges of an object, for Parquet readers that stream. Counts what it reads.

Neighbouring small reads (a reader that walks through pages) are answered from one larger range per caller buffer; this class itself keeps
only the file's tail, where the footer is.
"""

from __future__ import annotations

import io

from compactor.rewriting.problems import FileProblem
from compactor.storage.base import ObjectStore

TAIL_BYTES = 256 * 1024


class RangedFile(io.RawIOBase):
    """An object of known size as a file. Raises StorageError from reads."""

    def __init__(self, store: ObjectStore, key: str, size_bytes: int) -> None:
        self._store, self._key, self._size = store, key, size_bytes
        self._position = 0
        self._tail_start = max(0, size_bytes - TAIL_BYTES)
        self._tail: memoryview | None = None
        self.requests = 0
        self.bytes_read = 0

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
        data = self._from_tail(wanted) if self._position >= self._tail_start else self._fetch(self._position, wanted)
        self._position += wanted
        return data

    def _from_tail(self, wanted: int) -> memoryview:
        if self._tail is None:
            self._tail = memoryview(self._fetch(self._tail_start, self._size - self._tail_start))
        start = self._position - self._tail_start
        return self._tail[start : start + wanted]

    def _fetch(self, start: int, length: int) -> bytes | memoryview:
        self.requests += 1
        self.bytes_read += length
        (data,) = self._store.get_ranges(self._key, [(start, length)])
        if len(data) != length:
            raise FileProblem("corrupt-file", f"{self._key} ended before byte {start + length}.")
        return data
