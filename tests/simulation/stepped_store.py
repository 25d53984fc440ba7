"""The store as one actor sees it: every call is a turning point, is written into the trace, and fails for ever once the actor crashed."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter

_MEASURED = re.compile(rb'"peak_memory_bytes":\d+')
"""What is measured on the machine and not decided by the seed."""


class Crash(BaseException):
    """The process of the actor is gone: nothing it does from now on has an effect."""


class Trace:
    """What happened, in order: one line a call of an actor's own thread. Two runs of one seed have the same digest."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


class SteppedStore:
    """Passes calls on to `inner`. `step()` is called before each; `crash_at` counts them, and from that one on they raise Crash."""

    def __init__(self, name: str, inner: ObjectStore, trace: Trace, step: Callable[[], None], crash_at: int | None = None) -> None:
        self._name = name
        self._inner = inner
        self._trace = trace
        self._step = step
        self._crash_at = crash_at
        self._calls = 0
        self.owner: threading.Thread | None = None

    def call(self, operation: str, key: str, data: bytes | memoryview | None = None) -> None:
        """A turning point. Threads that are not the actor's own leave no trace and count for nothing."""
        if threading.current_thread() is not self.owner:
            if self.crashed:
                raise Crash
            return
        self._step()
        self._calls += 1
        if self.crashed:
            raise Crash
        size = "" if data is None else f" {hashlib.sha256(_MEASURED.sub(b'', data)).hexdigest()[:16]}"
        self._trace.lines.append(f"{self._name} {operation} {key}{size}")

    @property
    def crashed(self) -> bool:
        return self._crash_at is not None and self._calls >= self._crash_at

    @property
    def uri(self) -> str:
        return self._inner.uri

    def get(self, key: str) -> bytes | memoryview:
        self.call("get", key)
        return self._inner.get(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        self.call("get_ranges", f"{key} {list(ranges)}")
        return self._inner.get_ranges(key, ranges)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        self.call("create", key, data)
        return self._inner.create(key, data)

    def put(self, key: str, data: bytes) -> None:
        self.call("put", key, data)
        self._inner.put(key, data)

    def open_writer(self, key: str) -> ObjectWriter:
        self.call("open_writer", key)
        return _SteppedWriter(self, key, self._inner.open_writer(key))

    def head(self, key: str) -> ObjectMeta | None:
        self.call("head", key)
        return self._inner.head(key)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        self.call("list", f"{prefix} after {start_after}")
        return iter(list(self._inner.list(prefix, start_after)))

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        self.call("list_level", prefix)
        return self._inner.list_level(prefix, max_pages)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.call("delete", key)
            self._inner.delete([key])

    def now_ms(self) -> int:
        self.call("now_ms", "")
        return self._inner.now_ms()


class _SteppedWriter:
    """Publishing is the point that matters; a writer whose actor crashed publishes nothing."""

    def __init__(self, store: SteppedStore, key: str, inner: ObjectWriter) -> None:
        self._store, self._key, self._inner = store, key, inner
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self._digest.update(data)
        return self._inner.write(data)

    def close(self) -> int:
        self._store.call("close", self._key, self._digest.digest())
        return self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close() if kind is None else self.abort()
