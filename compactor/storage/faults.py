"""A wrapper that fails as it is told, for tests and for the simulation. Deterministic: it counts calls and knows no chance.

A fault in words: `operation glob [nth] before|after effect`, for example

    create _delta_log/*.json 2 after lost     the second creation of an entry takes effect, but its reply is lost
    get *.parquet every before error          every read of a data file fails for a passing reason
    close part-*.parquet 1 before error       the first output cannot be completed

operation: a method of the port, or `write` and `close` of its writers, or `*`. nth: `3`, `3+` (from the third on) or `every`; 1 by default.
effect: `error` (StorageUnavailable), `denied` (AccessDenied), `missing` (ObjectMissing), `lost` (create answers PutUnknown, anything else
StorageUnavailable), `truncated` (a read answers half of the bytes; after only).
"""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from compactor.errors import AccessDenied, ObjectMissing, StorageError, StorageUnavailable, UsageError
from compactor.storage.base import CreateOutcome, Listing, ObjectMeta, ObjectStore, ObjectWriter, PutUnknown

Effect = Literal["error", "denied", "missing", "lost", "truncated"]
OPERATIONS = frozenset(
    {"get", "get_ranges", "create", "put", "open_writer", "write", "close", "head", "list", "list_level", "delete", "now_ms", "*"}
)
_WORDS = re.compile(r"(\S+) (\S+)(?: (\d+\+?|every))? (before|after) (error|denied|missing|lost|truncated)")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """See the module. Counts the calls that match; hits those from `nth` on, `times` of them (None: all)."""

    operation: str
    key: str
    nth: int = 1
    times: int | None = 1
    when: Literal["before", "after"]
    effect: Effect

    @staticmethod
    def parse(text: str) -> Fault:
        """A fault in the module's language. Raises UsageError."""
        match = _WORDS.fullmatch(" ".join(text.split()))
        if match is None or match[1] not in OPERATIONS or (match[5] == "truncated" and match[4] == "before"):
            raise UsageError(f'"{text}" is not a fault; write `operation glob [nth] before|after effect`.')
        nth = match[3] or "1"
        first = 1 if nth == "every" else int(nth.rstrip("+"))
        when: Literal["before", "after"] = "before" if match[4] == "before" else "after"
        effect: Effect = match[5]  # type: ignore[assignment]
        return Fault(operation=match[1], key=match[2], nth=first, times=1 if nth.isdigit() else None, when=when, effect=effect)


class FaultyStore:
    """A store that passes everything on but what its faults hit. `hits` tells which calls were hit, in order: `operation key`."""

    def __init__(self, inner: ObjectStore, faults: Sequence[Fault | str] = ()) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._faults = [(fault if isinstance(fault, Fault) else Fault.parse(fault)) for fault in faults]
        self._seen = [0] * len(self._faults)
        self.hits: list[str] = []

    @property
    def uri(self) -> str:
        return self._inner.uri

    def add(self, fault: Fault | str) -> None:
        """Another fault, counting from now on."""
        with self._lock:
            self._faults.append(fault if isinstance(fault, Fault) else Fault.parse(fault))
            self._seen.append(0)

    def get(self, key: str) -> bytes | memoryview:
        data, cut = self._call("get", key, lambda: self._inner.get(key))
        return memoryview(data)[: len(data) // 2] if cut else data

    def read_soon(self, key: str) -> bool:
        return self._inner.read_soon(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes | memoryview]:
        parts, cut = self._call("get_ranges", key, lambda: self._inner.get_ranges(key, ranges))
        if cut:
            raise StorageError(f"{self.uri}/{key} ends too early: it is shorter than what refers to it says.")
        return parts

    def create(self, key: str, data: bytes) -> CreateOutcome:
        try:
            return self._call("create", key, lambda: self._inner.create(key, data))[0]
        except _Lost:
            return PutUnknown(why=f"The reply about {self.uri}/{key} was lost.")

    def put(self, key: str, data: bytes) -> None:
        self._call("put", key, lambda: self._inner.put(key, data))

    def open_writer(self, key: str) -> ObjectWriter:
        return _FaultyWriter(self, self._call("open_writer", key, lambda: self._inner.open_writer(key))[0], key)

    def head(self, key: str) -> ObjectMeta | None:
        return self._call("head", key, lambda: self._inner.head(key))[0]

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        yield from self._call("list", prefix, lambda: self._inner.list(prefix, start_after))[0]

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        return self._call("list_level", prefix, lambda: self._inner.list_level(prefix, max_pages))[0]

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._call("delete", key, lambda key=key: self._inner.delete([key]))  # type: ignore[misc]

    def now_ms(self) -> int:
        return self._call("now_ms", "", self._inner.now_ms)[0]

    def _call(self, operation: str, key: str, effect: Callable[[], _T]) -> tuple[_T, bool]:
        """What the effect returned, and whether it is to be cut short. Raises what a fault says."""
        due = self._due(operation, key)
        for fault in due:
            if fault.when == "before":
                raise self._failure(fault, key)
        result = effect()
        for fault in due:
            if fault.effect != "truncated":
                raise self._failure(fault, key)
        return result, bool(due)

    def _due(self, operation: str, key: str) -> Sequence[Fault]:
        due: list[Fault] = []
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.operation in ("*", operation) and fnmatch.fnmatchcase(key, fault.key):
                    self._seen[index] += 1
                    past = self._seen[index] - fault.nth
                    if past >= 0 and (fault.times is None or past < fault.times):
                        due.append(fault)
            if due:
                self.hits.append(f"{operation} {key}")
        return due

    def _failure(self, fault: Fault, key: str) -> StorageError:
        name = f"{self.uri}/{key}"
        if fault.effect == "denied":
            return AccessDenied(f"Access to {name} was denied.")
        if fault.effect == "missing":
            return ObjectMissing(f"{name} does not exist.")
        if fault.effect == "lost":
            return _Lost(f"The reply about {name} was lost.")
        return StorageUnavailable(f"The store of {name} is failing.")


class _Lost(StorageUnavailable):
    """A reply that was lost; create turns it into PutUnknown."""


class _FaultyWriter(ObjectWriter):
    """A writer whose write and close may be hit. A close that is hit before its effect aborts, as a real one would."""

    def __init__(self, store: FaultyStore, inner: ObjectWriter, key: str) -> None:
        self._store, self._inner, self._key = store, inner, key
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        return self._store._call("write", self._key, lambda: self._inner.write(data))[0]

    def close(self) -> int:
        if self.closed:
            return self._inner.close()
        self.closed = True
        try:
            return self._store._call("close", self._key, self._inner.close)[0]
        except StorageError:
            self._inner.abort()
            raise

    def abort(self) -> None:
        self.closed = True
        self._inner.abort()
