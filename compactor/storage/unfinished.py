"""Objects that were begun and never published: temporary files of a disk, multipart uploads of S3. No listing of objects shows them.

Stores that can tell have a method `unfinished`; of the others, and of wrappers, nothing is known here, and nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from compactor.storage.base import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Something begun. `key`: of the object it would have become (the beginning of it, where names are cut); started_ms by the store."""

    key: str
    started_ms: int
    size_bytes: int
    discard: Callable[[], None]


@runtime_checkable
class _Tells(Protocol):
    def unfinished(self, prefix: str) -> Iterator[Unfinished]: ...


def unfinished(store: ObjectStore, prefix: str) -> Iterator[Unfinished]:
    """What was begun under keys that start with `prefix`. Raises StorageError."""
    if isinstance(store, _Tells):
        yield from store.unfinished(prefix)
