"""A store that also reads objects elsewhere: a key that is a whole URI or an absolute path is looked up there, all others at the root.

For files of tables that the log names outside the table's folder (shallow clones), where the user has allowed it. Everything that writes,
lists or deletes stays at the root: what lies elsewhere belongs to another table.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from compactor.model.storage import StorageOptions
from compactor.storage import open_store
from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter
from compactor.storage.uris import locate


def is_external(key: str) -> bool:
    """Whether a key names an object outside the root: keys below it never begin like a URI or an absolute path."""
    return key.startswith("/") or "://" in key


class ExternalReads:
    """See the module. Thread-safe; stores of other places are opened when first needed."""

    def __init__(self, inner: ObjectStore, options: StorageOptions) -> None:
        self._inner, self._options = inner, options
        self._elsewhere: dict[str, ObjectStore] = {}
        self._lock = threading.Lock()

    @property
    def uri(self) -> str:
        return self._inner.uri

    def get(self, key: str) -> bytes | memoryview:
        store, key = self._where(key)
        return store.get(key)

    def read_soon(self, key: str) -> bool:
        store, key = self._where(key)
        return store.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        store, key = self._where(key)
        return store.get_ranges(key, ranges)

    def head(self, key: str) -> ObjectMeta | None:
        store, key = self._where(key)
        return store.head(key)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        return self._inner.create(_inside(key), data)

    def put(self, key: str, data: bytes) -> None:
        self._inner.put(_inside(key), data)

    def open_writer(self, key: str) -> ObjectWriter:
        return self._inner.open_writer(_inside(key))

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        return self._inner.list(prefix, start_after)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        return self._inner.list_level(prefix, max_pages)

    def delete(self, keys: Iterable[str]) -> None:
        self._inner.delete([_inside(key) for key in keys])

    def now_ms(self) -> int:
        return self._inner.now_ms()

    def _where(self, key: str) -> tuple[ObjectStore, str]:
        if not is_external(key):
            return self._inner, key
        folder, _, name = key.rpartition("/")
        root = folder if "://" not in folder else locate(folder).uri
        with self._lock:
            if root not in self._elsewhere:
                self._elsewhere[root] = open_store(root, self._options)
            return self._elsewhere[root], name


def _inside(key: str) -> str:
    if is_external(key):
        raise ValueError(f"{key} lies outside the root and is never written")
    return key
