"""The store as one actor sees it: every call is a turning point, is written into the trace, and fails for ever once the actor crashed."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from compactor.errors import ObjectMissing, StorageError, StorageUnavailable
from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter, PutUnknown

T = TypeVar("T")

_MEASURED = re.compile(rb'"peak_memory_bytes":\d+')
"""What is measured on the machine and not decided by the seed."""


UNKNOWN_CREATES = 3
"""So many creates in a row whose end nobody knows are a failure of the store, as records are created (coordination/documents.py)."""


class Crash(BaseException):
    """The process of the actor is gone: nothing it does from now on has an effect."""


class Trace:
    """What happened, in order: one line a call of an actor's own thread. Two runs of one seed have the same digest."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


@dataclass(frozen=True)
class Cut:
    """The network is gone for a while: call number `at` of those whose words begin with `of` takes effect but its reply is lost, and the
    `calls` after it never arrive."""

    of: str
    at: int
    calls: int


class SteppedStore:
    """Passes calls on to `inner`. `step()` is called before each; `crash_at` counts them, and from that one on they raise Crash."""

    def __init__(
        self,
        name: str,
        inner: ObjectStore,
        trace: Trace,
        step: Callable[[], None],
        *,
        crash_at: int | None = None,
        cut: Cut | None = None,
    ) -> None:
        self._name = name
        self._inner = inner
        self._trace = trace
        self._step = step
        self._crash_at = crash_at
        self._cut = cut
        self._calls = 0
        self._until_cut = 0 if cut is None else cut.at
        self._cut_at: int | None = None
        self.owner: threading.Thread | None = None
        self.failures = 0
        """Calls that failed for its user, as a real store does once its retries are used up; a create of which nobody knows is none, but
        the third in a row is: whoever creates what he must create gives up then."""
        self._unknown = 0
        self.outputs: dict[str, int] = {}
        """Bytes of every file of a table that was completed through it, whether or not that was told."""

    def kill(self) -> None:
        """From here on as if `crash_at` had come."""
        self._crash_at = self._calls

    @property
    def crashed(self) -> bool:
        return self._crash_at is not None and self._calls >= self._crash_at

    @property
    def uri(self) -> str:
        return self._inner.uri

    def call(self, words: str, data: bytes | memoryview | None, act: Callable[[], T]) -> T:
        """A turning point, then the call. Threads that are not the actor's own leave no trace, count for nothing and meet no cut."""
        if not (creates := words.startswith("create ")):
            self._unknown = 0
        try:
            return self._called(words, data, act)
        except ObjectMissing:
            raise
        except StorageError:
            self.failures += not creates
            raise

    def _called(self, words: str, data: bytes | memoryview | None, act: Callable[[], T]) -> T:
        if threading.current_thread() is not self.owner:
            if self.crashed:
                raise Crash
            return act()
        self._step()
        self._calls += 1
        if self.crashed:
            raise Crash
        size = "" if data is None else f" {hashlib.sha256(_MEASURED.sub(b'', data)).hexdigest()[:16]}"
        self._trace.lines.append(f"{self._name} {words}{size}")
        if self._cut is None:
            return act()
        if self._cut_at is not None and self._calls <= self._cut_at + self._cut.calls:
            raise StorageUnavailable(f"{words}: the network is gone.")
        result = act()
        self._until_cut -= words.startswith(self._cut.of)
        if self._cut_at is None and self._until_cut == 0:
            self._cut_at = self._calls
            raise StorageUnavailable(f"{words}: the reply was lost.")
        return result

    def get(self, key: str) -> bytes | memoryview:
        return self.call(f"get {key}", None, lambda: self._inner.get(key))

    def read_soon(self, key: str) -> bool:
        return self._inner.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        return self.call(f"get_ranges {key} {list(ranges)}", None, lambda: self._inner.get_ranges(key, ranges))

    def create(self, key: str, data: bytes) -> CreateOutcome:
        try:
            outcome = self.call(f"create {key}", data, lambda: self._inner.create(key, data))
        except StorageUnavailable as error:
            outcome = PutUnknown(why=str(error))
        self._unknown = self._unknown + 1 if isinstance(outcome, PutUnknown) else 0
        self.failures += self._unknown == UNKNOWN_CREATES
        return outcome

    def put(self, key: str, data: bytes) -> None:
        self.wrote(key, len(data))
        self.call(f"put {key}", data, lambda: self._inner.put(key, data))

    def open_writer(self, key: str) -> ObjectWriter:
        return _SteppedWriter(self, key, self.call(f"open_writer {key}", None, lambda: self._inner.open_writer(key)))

    def wrote(self, key: str, size_bytes: int) -> None:
        """Note a file of a table that is about to be completed."""
        if key.endswith((".parquet", ".bin")) and not self.crashed:
            self.outputs[key] = size_bytes

    def head(self, key: str) -> ObjectMeta | None:
        return self.call(f"head {key}", None, lambda: self._inner.head(key))

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        return iter(self.call(f"list {prefix} after {start_after}", None, lambda: [*self._inner.list(prefix, start_after)]))

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        return self.call(f"list_level {prefix}", None, lambda: self._inner.list_level(prefix, max_pages))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.call(f"delete {key}", None, partial(self._inner.delete, [key]))

    def now_ms(self) -> int:
        return self.call("now_ms", None, self._inner.now_ms)


class _SteppedWriter:
    """Publishing is the point that matters; a writer whose actor crashed publishes nothing."""

    def __init__(self, store: SteppedStore, key: str, inner: ObjectWriter) -> None:
        self._store, self._key, self._inner = store, key, inner
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def write(self, data: bytes | memoryview) -> int:
        self._digest.update(data)
        self._size_bytes += len(data)
        return self._inner.write(data)

    def close(self) -> int:
        self._store.wrote(self._key, self._size_bytes)
        return self._store.call(f"close {self._key}", self._digest.digest(), self._inner.close)

    def abort(self) -> None:
        self._inner.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close() if kind is None else self.abort()
