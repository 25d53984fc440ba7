"""A store that answers exclusive creations of log entries as networks do: replies lost before or after the store, rivals in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from compactor.errors import StorageUnavailable
from compactor.storage.base import CreateOutcome, Exists, Listing, ObjectMeta, ObjectStore, ObjectWriter, PutUnknown

LOST_AFTER = "lost-after"  # stored, then the reply was lost
LOST_BEFORE = "lost-before"  # never reached the store
RETRIED = "retried"  # stored, and a retry below us answered that it exists
DOWN = "down"  # known not to have been stored
LOST_THEN_DELAYED = "lost-then-delayed"  # reply lost, and stored only after the next look
Fault = str | Callable[[], None]


class FaultyStore:
    """`inner` with faults for the coming creations, in order (a callable runs before an ordinary creation), and for coming reads."""

    def __init__(self, inner: ObjectStore, faults: Iterable[Fault | None] = (), *, unreadable: int = 0) -> None:
        self.inner, self.faults, self.unreadable = inner, list(faults), unreadable
        self.creates: list[tuple[str, bytes]] = []
        self.uri = inner.uri
        self._delayed: tuple[str, bytes] | None = None

    def create(self, key: str, data: bytes) -> CreateOutcome:
        self.creates.append((key, data))
        fault = self.faults.pop(0) if self.faults else None
        if callable(fault):
            fault()
            fault = None
        if fault == LOST_BEFORE:
            return PutUnknown(why="The connection was reset.")
        if fault == DOWN:
            raise StorageUnavailable("The store is down.")
        if fault == LOST_THEN_DELAYED:
            self._delayed = (key, data)
            return PutUnknown(why="The reply timed out.")
        outcome = self.inner.create(key, data)
        if fault == LOST_AFTER:
            return PutUnknown(why="The reply was lost.")
        return Exists() if fault == RETRIED else outcome

    def get(self, key: str) -> bytes | memoryview:
        if self.unreadable and self.creates and key == self.creates[-1][0]:
            self.unreadable -= 1
            raise StorageUnavailable("The store does not answer.")
        try:
            return self.inner.get(key)
        finally:
            if self._delayed is not None:
                delayed, self._delayed = self._delayed, None
                self.inner.create(*delayed)

    def read_soon(self, key: str) -> bool:
        return self.inner.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        return self.inner.get_ranges(key, ranges)

    def put(self, key: str, data: bytes) -> None:
        self.inner.put(key, data)

    def open_writer(self, key: str) -> ObjectWriter:
        return self.inner.open_writer(key)

    def head(self, key: str) -> ObjectMeta | None:
        return self.inner.head(key)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        return self.inner.list(prefix, start_after)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        return self.inner.list_level(prefix, max_pages)

    def delete(self, keys: Iterable[str]) -> None:
        self.inner.delete(keys)

    def now_ms(self) -> int:
        return self.inner.now_ms()
