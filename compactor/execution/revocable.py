"""A store whose permission to be used can be taken back: how a thread, which cannot be killed, is stopped.

Every call asks first; after `revoke()` calls raise Interrupted, and writers that are open abort instead of publishing. What a revoked
attempt was doing can therefore never become visible later. Adds nothing else to the store it wraps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from compactor.errors import Interrupted
from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter, StoreCopy, file_paths


class RevocableStore:
    """The store given to one attempt."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._revoked = threading.Event()

    def revoke(self) -> None:
        """From now on every call fails. Thread-safe; a call that has passed the check already ends as it will."""
        self._revoked.set()

    def check(self) -> None:
        """Raises Interrupted once revoked."""
        if self._revoked.is_set():
            raise Interrupted("The attempt was stopped.")

    @property
    def uri(self) -> str:
        return self._inner.uri

    def get(self, key: str) -> bytes | memoryview:
        self.check()
        return self._inner.get(key)

    def file_paths(self, keys: Sequence[str]) -> Sequence[str] | None:
        """See storage/base.py."""
        self.check()
        return file_paths(self._inner, keys)

    def read_soon(self, key: str) -> bool:
        return self._inner.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        self.check()
        return self._inner.get_ranges(key, ranges)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        self.check()
        return self._inner.create(key, data)

    def put(self, key: str, data: bytes) -> None:
        self.check()
        self._inner.put(key, data)

    def open_writer(self, key: str) -> ObjectWriter:
        self.check()
        return _RevocableWriter(self, self._inner.open_writer(key))

    def head(self, key: str) -> ObjectMeta | None:
        self.check()
        return self._inner.head(key)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        self.check()
        return self._inner.list(prefix, start_after)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        self.check()
        return self._inner.list_level(prefix, max_pages)

    def delete(self, keys: Iterable[str]) -> None:
        self.check()
        self._inner.delete(keys)

    def now_ms(self) -> int:
        self.check()
        return self._inner.now_ms()


class _RevocableWriter(ObjectWriter):
    """A writer that publishes only while its attempt may."""

    def __init__(self, permission: RevocableStore, inner: ObjectWriter) -> None:
        self._permission = permission
        self._inner = inner

    def write(self, data: bytes | memoryview) -> int:
        self._permission.check()
        return self._inner.write(data)

    def copy_range(self, key: str, start: int, length: int) -> StoreCopy | None:
        self._permission.check()
        return self._inner.copy_range(key, start, length)

    def spares_sending(self, length: int) -> bool:
        return self._inner.spares_sending(length)

    def close(self) -> int:
        try:
            self._permission.check()
        except Interrupted:
            self._inner.abort()
            raise
        return self._inner.close()

    def abort(self) -> None:
        self._inner.abort()
