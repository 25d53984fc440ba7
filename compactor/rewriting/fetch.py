"""Brings a task's input files in their order: small ones whole with one request each, ahead of use and bounded in bytes; large ones as
files that read ranges when asked. Never asks for a size that the log has told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from compactor.errors import ObjectMissing
from compactor.model.rewrite import InputFile
from compactor.rewriting.budget import Budget
from compactor.rewriting.pools import pool_for
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.together import can_read_together, read_together
from compactor.storage.base import ObjectStore, in_memory

FETCHES_IN_FLIGHT = 8
_MOST_TOGETHER = 1000

_Coming = Callable[[], bytes | memoryview]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An input and its bytes: all of them, or a file of ranges. `size_bytes` is the true size."""

    index: int
    input: InputFile
    size_bytes: int
    source: bytes | memoryview | RangedFile


class Fetcher:
    """Iterates over Fetched in order. `requests` and `bytes_read` grow as it goes; the whole files in flight stay under budget.fetch."""

    def __init__(self, inputs: Sequence[InputFile], store: ObjectStore, budget: Budget) -> None:
        self._waiting = deque(enumerate(inputs))
        self._store = store
        self.budget = budget
        self._ahead: deque[tuple[int, InputFile, int, _Coming | None]] = deque()
        self._bytes_ahead = 0
        self._ranged: list[RangedFile] = []
        self._requests = self._bytes = 0

    @property
    def requests(self) -> int:
        return self._requests + sum(file.requests for file in self._ranged)

    @property
    def bytes_read(self) -> int:
        return self._bytes + sum(file.bytes_read for file in self._ranged)

    def __iter__(self) -> Iterator[Fetched]:
        pool = pool_for(self._store, FETCHES_IN_FLIGHT, "fetch")
        try:
            while self._waiting or self._ahead:
                self._look_ahead(pool)
                yield self._next(pool)
                self._release()
        finally:
            self._release()
            pool.shutdown(wait=True, cancel_futures=True)

    def batches(self) -> Iterator[Sequence[Fetched]]:
        """As iterating, but small files that lie on this machine come many at once: they wait for each other anyway."""
        if not can_read_together(self._store):
            yield from ((fetched,) for fetched in self)
            return
        pool = pool_for(self._store, FETCHES_IN_FLIGHT, "fetch")
        try:
            while self._waiting:
                yield self._several() or (self._alone(pool),)
                self._release()
        finally:
            self._release()
            pool.shutdown(wait=True, cancel_futures=True)

    def _several(self) -> Sequence[Fetched]:
        """The next files that are read whole, as far as they fit the budget. None: the next one is not."""
        some: list[tuple[int, InputFile]] = []
        room = self.budget.fetch
        while self._waiting and len(some) < _MOST_TOGETHER:
            size = self._waiting[0][1].size_bytes
            if not 0 < size <= self.budget.whole_file or (some and size > room):
                break
            room -= size
            some.append(self._waiting.popleft())
        data = read_together(self._store, [file for _, file in some]) if some else []
        found = []
        for (index, file), brought in zip(some, data, strict=True):
            source = self._store.get(file.key) if brought is None else brought
            self._requests += 1
            self._bytes += len(source)
            found.append(Fetched(index=index, input=file, size_bytes=len(source), source=source))
        return found

    def _alone(self, pool: Executor) -> Fetched:
        """The next file, by itself."""
        index, file = self._waiting.popleft()
        size = self._size(file)
        self._ahead.append((index, file, size, self._begin(pool, file.key) if size <= self.budget.whole_file else None))
        self._bytes_ahead += size if size <= self.budget.whole_file else 0
        return self._next(pool)

    def _look_ahead(self, pool: Executor) -> None:
        """Start what fits: always one file, more while they fit the budget."""
        while self._waiting and len(self._ahead) < 2 * FETCHES_IN_FLIGHT:
            index, file = self._waiting[0]
            size = self._size(file)
            whole = size <= self.budget.whole_file
            if self._ahead and whole and self._bytes_ahead + size > self.budget.fetch:
                return
            self._waiting.popleft()
            self._bytes_ahead += size if whole else 0
            self._ahead.append((index, file, size, self._begin(pool, file.key) if whole else None))

    def _begin(self, pool: Executor, key: str) -> _Coming:
        """Have a whole object come: by the store itself where it can, else by a thread."""
        if self._store.read_soon(key):
            return lambda: self._store.get(key)
        return pool.submit(self._store.get, key).result

    def _release(self) -> None:
        if self._ranged:
            self._ranged[-1].release()

    def _next(self, pool: Executor) -> Fetched:
        index, file, size, coming = self._ahead.popleft()
        if coming is None:
            ranged = RangedFile(self._store, file.key, size, None if in_memory(self._store) else pool)
            self._ranged.append(ranged)
            return Fetched(index=index, input=file, size_bytes=size, source=ranged)
        data = coming()
        self._bytes_ahead -= size
        self._requests += 1
        self._bytes += len(data)
        return Fetched(index=index, input=file, size_bytes=len(data), source=data)

    def _size(self, file: InputFile) -> int:
        if file.size_bytes > 0:
            return file.size_bytes
        self._requests += 1
        found = self._store.head(file.key)
        if found is None:
            raise ObjectMissing(f"{self._store.uri}/{file.key} does not exist.")
        return found.size_bytes
