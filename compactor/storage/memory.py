"""A store in memory: deterministic, for tests and for the simulation. A wrapper of the port (faults, counting) sits on top of it.

Buckets are either made by the caller, with a clock of its own, or live in a process-wide registry so that `memory://name/…` opens them.
Stamps and etags come from the clock and a counter only: the same calls give the same store.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from compactor.ambient.ports import Clock
from compactor.ambient.system import SystemClock
from compactor.errors import ObjectMissing, StorageError
from compactor.storage.base import Created, CreateOutcome, Exists, Listing, ObjectMeta, ObjectWriter
from compactor.storage.keys import check_folder, check_key, check_ranges, order, too_short


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    data: bytes
    modified_ms: int
    etag: str


class MemoryBucket:
    """The objects that all MemoryStores of one name share."""

    def __init__(self, name: str = "memory", clock: Clock | None = None) -> None:
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self._objects: dict[str, _Stored] = {}
        self._lock = threading.Lock()
        self._puts = 0

    def put(self, name: str, data: bytes, *, only_if_absent: bool) -> str | None:
        """The etag, or None when something is there and must not be overwritten."""
        with self._lock:
            if only_if_absent and name in self._objects:
                return None
            self._puts += 1
            etag = f'"{self._puts}"'
            self._objects[name] = _Stored(data=data, modified_ms=self.clock.now_ms(), etag=etag)
            return etag

    def find(self, name: str) -> _Stored | None:
        with self._lock:
            return self._objects.get(name)

    def remove(self, name: str) -> None:
        with self._lock:
            self._objects.pop(name, None)

    def names(self, prefix: str) -> list[str]:
        """Names that start with `prefix`, in order."""
        with self._lock:
            found = [name for name in self._objects if name.startswith(prefix)]
        return sorted(found, key=order)


_REGISTRY: dict[str, MemoryBucket] = {}
_REGISTRY_LOCK = threading.Lock()


def memory_bucket(name: str, clock: Clock | None = None) -> MemoryBucket:
    """The process's bucket of this name; made, with `clock`, when it is not there yet."""
    with _REGISTRY_LOCK:
        return _REGISTRY.setdefault(name, MemoryBucket(name, clock))


def forget_bucket(name: str) -> None:
    """Take a bucket out of the registry; stores that hold it keep it."""
    with _REGISTRY_LOCK:
        _REGISTRY.pop(name, None)


class MemoryStore:
    """The objects of a bucket below `path`."""

    def __init__(self, bucket: MemoryBucket | None = None, path: str = "") -> None:
        self._bucket = bucket or MemoryBucket()
        self._root = f"{path.strip('/')}/" if path.strip("/") else ""
        self._uri = f"memory://{self._bucket.name}/{self._root}".rstrip("/")

    @property
    def uri(self) -> str:
        return self._uri

    def get(self, key: str) -> bytes | memoryview:
        stored = self._bucket.find(self._name(key))
        if stored is None:
            raise ObjectMissing(f"{self._uri}/{key} does not exist.")
        return stored.data

    def read_soon(self, key: str) -> bool:
        return True

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        check_ranges(key, self._uri, ranges)
        data = memoryview(self.get(key))
        for start, length in ranges:
            if start + length > len(data):
                raise too_short(key, self._uri, start, length)
        return [data[start : start + length] for start, length in ranges]

    def create(self, key: str, data: bytes) -> CreateOutcome:
        etag = self._bucket.put(self._name(key), bytes(data), only_if_absent=True)
        return Exists() if etag is None else Created(etag=etag)

    def put(self, key: str, data: bytes) -> None:
        self._bucket.put(self._name(key), bytes(data), only_if_absent=False)

    def open_writer(self, key: str) -> MemoryWriter:
        return MemoryWriter(self, check_key(key, self._uri))

    def head(self, key: str) -> ObjectMeta | None:
        stored = self._bucket.find(self._name(key))
        return None if stored is None else _meta(key, stored)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        after = None if start_after is None else order(start_after)
        for name in self._bucket.names(self._root + prefix):
            key = name[len(self._root) :]
            stored = self._bucket.find(name)
            if stored is not None and (after is None or order(key) > after):
                yield _meta(key, stored)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        check_folder(prefix, self._uri)
        folders: dict[str, None] = {}
        objects: list[ObjectMeta] = []
        for meta in self.list(prefix):
            first, slash, _ = meta.key[len(prefix) :].partition("/")
            if slash:
                folders[f"{prefix}{first}/"] = None
            else:
                objects.append(meta)
        return Listing(folders=tuple(folders), objects=tuple(objects))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._bucket.remove(self._name(key))

    def now_ms(self) -> int:
        return self._bucket.clock.now_ms()

    def _name(self, key: str) -> str:
        return self._root + check_key(key, self._uri)


class MemoryWriter(ObjectWriter):
    """Collects bytes and puts them at close()."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store, self._key = store, key
        self._buffer = bytearray()
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        if self.closed:
            raise StorageError(f"{self._store.uri}/{self._key} is already closed for writing.")
        view = memoryview(data).cast("B")
        self._buffer += view
        return view.nbytes

    def close(self) -> int:
        if not self.closed:
            self.closed = True
            self._store.put(self._key, bytes(self._buffer))
        return len(self._buffer)

    def abort(self) -> None:
        self.closed = True
        self._buffer.clear()


def _meta(key: str, stored: _Stored) -> ObjectMeta:
    return ObjectMeta(key=key, size_bytes=len(stored.data), modified_ms=stored.modified_ms, etag=stored.etag)
