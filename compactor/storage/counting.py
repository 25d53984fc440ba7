"""A wrapper that counts what is asked of a store: calls and bytes by operation, for reports, benchmarks and tests.

It counts calls of the port, not the requests they become inside an adapter (pages of a listing, parts of an upload, retries).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter, StoreCopy


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Calls of one operation, and the bytes they moved. For `delete` the keys are counted as calls, for `write` the closed writers."""

    calls: int = 0
    bytes: int = 0


class CountingStore:
    """A store that counts and passes on. Thread-safe."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._counts: dict[str, Count] = {}

    @property
    def uri(self) -> str:
        return self._inner.uri

    def counts(self) -> Mapping[str, Count]:
        """What was counted so far, by the name of the operation."""
        with self._lock:
            return dict(self._counts)

    def add(self, operation: str, size_bytes: int = 0) -> None:
        """Count one call."""
        with self._lock:
            seen = self._counts.get(operation, Count())
            self._counts[operation] = Count(calls=seen.calls + 1, bytes=seen.bytes + size_bytes)

    def get(self, key: str) -> bytes | memoryview:
        data = self._inner.get(key)
        self.add("get", len(data))
        return data

    def read_soon(self, key: str) -> bool:
        return self._inner.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        parts = self._inner.get_ranges(key, ranges)
        self.add("get_ranges", sum(map(len, parts)))
        return parts

    def create(self, key: str, data: bytes) -> CreateOutcome:
        self.add("create", len(data))
        return self._inner.create(key, data)

    def put(self, key: str, data: bytes) -> None:
        self.add("put", len(data))
        self._inner.put(key, data)

    def open_writer(self, key: str) -> ObjectWriter:
        return _CountingWriter(self, self._inner.open_writer(key))

    def head(self, key: str) -> ObjectMeta | None:
        self.add("head")
        return self._inner.head(key)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        self.add("list")
        return self._inner.list(prefix, start_after)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        self.add("list_level")
        return self._inner.list_level(prefix, max_pages)

    def delete(self, keys: Iterable[str]) -> None:
        self._inner.delete(self._counted(keys))

    def now_ms(self) -> int:
        self.add("now_ms")
        return self._inner.now_ms()

    def _counted(self, keys: Iterable[str]) -> Iterator[str]:
        for key in keys:
            self.add("delete")
            yield key


class _CountingWriter(ObjectWriter):
    def __init__(self, store: CountingStore, inner: ObjectWriter) -> None:
        self._store, self._inner = store, inner
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        return self._inner.write(data)

    def copy_range(self, key: str, start: int, length: int) -> StoreCopy | None:
        copied = self._inner.copy_range(key, start, length)
        if copied is not None:
            self._store.add("copy_range", copied.size_bytes)
        return copied

    def spares_sending(self, length: int) -> bool:
        return self._inner.spares_sending(length)

    def close(self) -> int:
        size = self._inner.close()
        if not self.closed:
            self._store.add("write", size)
        self.closed = True
        return size

    def abort(self) -> None:
        self.closed = True
        self._inner.abort()
