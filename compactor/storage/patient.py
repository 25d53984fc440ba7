"""A store that is asked again, for some seconds, when a call failed for a passing reason: for when giving up would throw away
finished work. Adapters have tried again by themselves before.

Pauses double and are drawn from chance, so that many who failed together do not come back together. An exclusive create is never repeated
here: who creates must find out what became of it. Other failures (access, a missing object) pass through at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from compactor.ambient.ports import Ambient
from compactor.errors import StorageUnavailable
from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter

TRIES = 6
FIRST_PAUSE_S = 0.5
"""The longest the first pause may be; half of it at least. All pauses together are at most 15.5 s."""
_T = TypeVar("_T")


class PatientStore:
    """Passes calls on to `inner`, each up to TRIES times."""

    def __init__(self, inner: ObjectStore, ambient: Ambient) -> None:
        self._inner, self._ambient = inner, ambient

    @property
    def uri(self) -> str:
        return self._inner.uri

    def get(self, key: str) -> bytes | memoryview:
        return self._patiently(lambda: self._inner.get(key))

    def read_soon(self, key: str) -> bool:
        return self._inner.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        return self._patiently(lambda: self._inner.get_ranges(key, ranges))

    def create(self, key: str, data: bytes) -> CreateOutcome:
        return self._inner.create(key, data)

    def put(self, key: str, data: bytes) -> None:
        self._patiently(lambda: self._inner.put(key, data))

    def open_writer(self, key: str) -> ObjectWriter:
        return self._inner.open_writer(key)

    def head(self, key: str) -> ObjectMeta | None:
        return self._patiently(lambda: self._inner.head(key))

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """A listing that breaks off goes on behind the last key that it told."""
        last = start_after
        for attempt in range(TRIES):
            try:
                for item in self._inner.list(prefix, last):
                    last = item.key
                    yield item
                return
            except StorageUnavailable:
                if attempt == TRIES - 1:
                    raise
                self._pause(attempt)

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        return self._patiently(lambda: self._inner.list_level(prefix, max_pages))

    def delete(self, keys: Iterable[str]) -> None:
        doomed = list(keys)
        self._patiently(lambda: self._inner.delete(doomed))

    def now_ms(self) -> int:
        return self._patiently(self._inner.now_ms)

    def _patiently(self, call: Callable[[], _T]) -> _T:
        for attempt in range(TRIES - 1):
            try:
                return call()
            except StorageUnavailable:
                self._pause(attempt)
        return call()

    def _pause(self, attempt: int) -> None:
        longest = FIRST_PAUSE_S * 2**attempt
        self._ambient.clock.sleep(self._ambient.randomness.uniform(longest / 2, longest))
