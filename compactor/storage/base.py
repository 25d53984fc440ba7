"""The storage port: objects at keys below a root. Every adapter passes tests/conformance/test_storage.py.

Keys are relative to the store's root, use `/`, have no leading slash and are the object's real name (never percent-encoded).
All methods are thread-safe and raise the StorageError family of compactor/errors.py, in one sentence that names the object.
Reads, lists, deletes and overwrites may be retried inside an adapter; an exclusive create never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """An object as the store lists it. `modified_ms` is by the store's own clock."""

    key: str
    size_bytes: int
    modified_ms: int
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The object did not exist before and now holds exactly the bytes that were put."""

    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """An object is already there (perhaps our own, from an attempt whose reply was lost); it was not changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutUnknown:
    """It is not known whether the object was created: reply lost, time-out, 5xx. Look before acting on it."""

    why: str


CreateOutcome = Created | Exists | PutUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One level of a hierarchy: sub-folders (ending in `/`) and objects directly in it. `complete` is False when max_pages cut it short."""

    folders: tuple[str, ...]
    objects: tuple[ObjectMeta, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCopy:
    """Of appended bytes, those that the store copied by itself, and the requests that this took."""

    size_bytes: int
    requests: int = 0


class ObjectWriter(Protocol):
    """A new object being written in order. Nothing is visible before close(); abort() leaves nothing behind. Writers inherit from it."""

    def write(self, data: bytes | memoryview) -> int: ...
    def copy_range(self, key: str, start: int, length: int) -> StoreCopy | None:
        """Append these bytes of another object of the store, most of them copied by the store itself.

        None: that cannot be done, none were appended, and the caller brings them. Raises StorageError.
        """
        return None

    def spares_sending(self, length: int) -> bool:
        """Whether copy_range of so many bytes, asked for next, would spare sending them although they are here."""
        return False

    def close(self) -> int:
        """Publish the object; returns its size in bytes. Raises StorageError when it could not be stored whole."""
        ...

    def abort(self) -> None:
        """Give up: abort a multipart upload, remove a temporary file. Never raises."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Close on success, abort on error."""
        if kind is None:
            self.close()
        else:
            self.abort()


class ObjectStore(Protocol):
    """Objects at keys below `uri`."""

    @property
    def uri(self) -> str: ...

    def get(self, key: str) -> bytes | memoryview:
        """The whole object in one request. Raises ObjectMissing, ObjectArchived, AccessDenied, …"""
        ...

    def read_soon(self, key: str) -> bool:
        """A hint that the whole object will be asked for soon. True: getting it then waits for nothing worth a thread; False: it may."""
        ...

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        """The byte ranges (start, length) of an object, in order; neighbouring ranges may be fetched together.

        Raises StorageError when the object is shorter than a range says.
        """
        ...

    def create(self, key: str, data: bytes) -> CreateOutcome:
        """Put if absent, atomically and exactly once: no retry inside. A reader sees all of the bytes or no object.

        Raises only what is known to have stored nothing (AccessDenied, CredentialsMissing, …).
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Put, overwriting; retried inside. A reader sees all of the old or all of the new bytes."""
        ...

    def open_writer(self, key: str) -> ObjectWriter:
        """A streaming writer (multipart on object stores). For new, uniquely named keys only."""
        ...

    def head(self, key: str) -> ObjectMeta | None:
        """The object's description, or None when it does not exist."""
        ...

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """Objects whose key starts with `prefix`, in ascending order of UTF-8 bytes of the key, those after `start_after` only; lazily."""
        ...

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        """One level: what lies directly below folder `prefix` (empty, or ending in `/`)."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that do not exist are passed over."""
        ...

    def now_ms(self) -> int:
        """The store's own clock (S3, GCS, Azure: the Date header of a reply; a disk: the machine's)."""
        ...


def file_paths(store: ObjectStore, keys: Sequence[str]) -> Sequence[str] | None:
    """Where these objects are as files of this machine, for whoever reads many at once; None where the store has no such place, or wants
    to be asked for each. What is wrong with one of them, the store itself tells when it is asked for it."""
    tell = getattr(store, "file_paths", None)
    return None if tell is None else tell(keys)


def in_memory(store: ObjectStore) -> bool:
    """Whether there is nothing to wait for in this store, so that threads would only take the order from a simulation's calls."""
    return store.uri.startswith("memory:")
