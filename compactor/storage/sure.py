"""A writer that finds out what became of an object whose completion failed: a reply may be lost after the store has it.

Only for keys that nobody else ever writes to. Stores publish objects whole or not at all, so one that is there with every byte that was
written is the one that was completed; of any other, or when the store does not tell, the failure stands.
"""

from __future__ import annotations

from contextlib import suppress

from compactor.errors import StorageError, StorageUnavailable
from compactor.storage.base import ObjectStore, ObjectWriter, StoreCopy


class SureWriter(ObjectWriter):
    """Writes to `key`, which must be unique to this writer."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        self._inner = store.open_writer(key)
        self._size = 0

    def write(self, data: bytes | memoryview) -> int:
        written = self._inner.write(data)
        self._size += written
        return written

    def copy_range(self, key: str, start: int, length: int) -> StoreCopy | None:
        copied = self._inner.copy_range(key, start, length)
        self._size += 0 if copied is None else length
        return copied

    def spares_sending(self, length: int) -> bool:
        return self._inner.spares_sending(length)

    def close(self) -> int:
        try:
            return self._inner.close()
        except StorageUnavailable:
            if self._landed():
                return self._size
            raise

    def _landed(self) -> bool:
        with suppress(StorageError):
            found = self._store.head(self._key)
            return found is not None and found.size_bytes == self._size
        return False

    def abort(self) -> None:
        self._inner.abort()
