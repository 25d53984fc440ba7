"""A local or mounted disk, by plain system calls.

An exclusive create writes a temporary file, flushes it, and gives it its name with link(2), which fails when the name is taken: a reader
sees all bytes or no file, and of many creators one wins, also across processes. Writers rename. The directory is flushed after each
change, so that what was reported as stored survives a power cut. Temporary names start with a dot, go on with (the beginning of) the name
to be, and end in `.compactor-tmp`; no listing shows them, and other engines ignore them too. No key leads out of the root.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from compactor.ambient.ports import Clock, Ids
from compactor.ambient.system import SystemClock, SystemIds
from compactor.errors import ObjectMissing, StorageError
from compactor.storage.base import Created, CreateOutcome, Exists, Listing, ObjectMeta, PutUnknown
from compactor.storage.keys import check_folder, check_key, check_ranges, too_short
from compactor.storage.local_errors import disk_error
from compactor.storage.local_listing import TEMPORARY_SUFFIX, Entry, entries, temporaries, walk
from compactor.storage.local_writer import LocalWriter, Target, flush_folder
from compactor.storage.unfinished import Unfinished

_BEGUN_BYTES = 120  # of the name to be, in a temporary name: file systems take 255 bytes in all
_READ_LIMIT = 0x7FFFF000  # what one read(2) returns at most on Linux
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_UNSURE = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.EHOSTDOWN}


class LocalStore:
    """The files below `root`, which need not exist yet."""

    def __init__(self, root: str, *, ids: Ids | None = None, clock: Clock | None = None) -> None:
        self._root = root.rstrip("/") or "/"
        self._ids: Ids = ids or SystemIds()
        self._clock: Clock = clock or SystemClock()

    @property
    def uri(self) -> str:
        return self._root

    def get(self, key: str) -> bytes | memoryview:
        with self._opened(key) as fd:
            return _read_whole(fd)

    def file_paths(self, keys: Sequence[str]) -> Sequence[str] | None:
        """See storage/base.py."""
        return [self._path(key) for key in keys]

    def read_soon(self, key: str) -> bool:
        if not hasattr(os, "posix_fadvise"):
            return False
        with contextlib.suppress(StorageError), self._opened(key) as fd:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
        return True

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        check_ranges(key, self._root, ranges)
        found: list[bytes | memoryview] = []
        with self._opened(key) as fd:
            for start, length in ranges:
                data = _read_at(fd, start, length)
                if len(data) < length:
                    raise too_short(key, self._root, start, length)
                found.append(data)
        return found

    def create(self, key: str, data: bytes) -> CreateOutcome:
        target = self._target(key)
        with contextlib.suppress(OSError):  # the common loser needs no temporary file; the link below is what decides
            if target.path.lstat():
                return Exists()
        temporary = LocalWriter(target)
        try:
            temporary.write(data)
            temporary.flush_to_disk()
            return _link(temporary, target)
        finally:
            try:
                temporary.abort()
            except KeyboardInterrupt:  # a signal comes once: what it cut short is done now, so that no temporary file stays
                temporary.abort()
                raise

    def put(self, key: str, data: bytes) -> None:
        with LocalWriter(self._target(key)) as writer:
            writer.write(data)

    def open_writer(self, key: str) -> LocalWriter:
        return LocalWriter(self._target(key), self._path)

    def head(self, key: str) -> ObjectMeta | None:
        try:
            entry = Entry.of(key, self._path(key))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise disk_error(error, f"{self._root}/{key}") from error
        return None if entry is None else entry.meta

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectMeta]:
        folder = prefix.rpartition("/")[0]
        if folder:
            check_key(folder, self._root)
        try:
            yield from walk(self._root, prefix, start_after)
        except OSError as error:
            raise disk_error(error, f"{self._root}/{prefix}") from error

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        check_folder(prefix, self._root)
        folders: list[str] = []
        objects: list[ObjectMeta] = []
        try:
            for entry in entries(self._root, prefix):
                if entry.is_folder:
                    folders.append(f"{entry.key}/")
                elif meta := entry.stat():
                    objects.append(meta)
        except OSError as error:
            raise disk_error(error, f"{self._root}/{prefix}") from error
        return Listing(folders=tuple(folders), objects=tuple(objects))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                os.unlink(self._path(key))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise disk_error(error, f"{self._root}/{key}") from error

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """See storage/unfinished.py: temporary files of writers and creations, some of which may still be at work."""
        folder, _, start = prefix.rpartition("/")
        for name in temporaries(os.path.join(self._root, folder)):
            begun = name[1 : -len(TEMPORARY_SUFFIX)].rpartition(".")[0]
            path = os.path.join(self._root, folder, name)
            if not begun.startswith(start[:_BEGUN_BYTES]):
                continue
            with contextlib.suppress(OSError):
                found = os.stat(path)
                yield Unfinished(
                    key=f"{folder}/{begun}" if folder else begun,
                    started_ms=found.st_mtime_ns // 1_000_000,
                    size_bytes=found.st_size,
                    discard=functools.partial(_remove, path),
                )

    def _path(self, key: str) -> str:
        return os.path.join(self._root, check_key(key, self._root))

    def _target(self, key: str) -> Target:
        path = Path(self._path(key))
        begun = os.fsdecode(os.fsencode(path.name)[:_BEGUN_BYTES])
        return Target(path=path, temporary=path.parent / f".{begun}.{self._ids.new()}{TEMPORARY_SUFFIX}", name=f"{self._root}/{key}")

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        path = self._path(key)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectMissing(f"{path} does not exist.") from None
        except OSError as error:
            raise disk_error(error, path) from error


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        try:
            os.unlink(path)
        except PermissionError as error:
            raise disk_error(error, path) from error


def _link(temporary: LocalWriter, target: Target) -> CreateOutcome:
    try:
        os.link(target.temporary, target.path)
    except OSError as error:
        # On NFS the reply to a link that succeeded can be lost and its repetition answered with EEXIST: the link count tells.
        if not temporary.has_second_name():
            return _not_linked(error, target)
    try:
        flush_folder(target.path.parent)
    except OSError as error:
        return PutUnknown(why=f"{target.name} was stored, but its folder could not be flushed to disk ({error.strerror}).")
    return Created()


def _not_linked(error: OSError, target: Target) -> CreateOutcome:
    if error.errno == errno.EEXIST:
        return Exists()
    if error.errno in _UNSURE:
        return PutUnknown(why=f"The disk failed while {target.name} was given its name ({error.strerror}).")
    if error.errno in _NO_LINKS:
        raise StorageError(f"The file system of {target.name} has no hard links, which exclusive creation needs.") from error
    raise disk_error(error, target.name) from error


def _read_whole(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    data = os.read(fd, min(size, _READ_LIMIT) + 1)
    if len(data) <= size <= _READ_LIMIT:
        return data
    return data + _read_at(fd, len(data), max(0, size - len(data)))


def _read_at(fd: int, start: int, length: int) -> bytes:
    data = os.pread(fd, min(length, _READ_LIMIT), start)
    if len(data) == length or not data:
        return data
    chunks = [data]
    while (got := sum(map(len, chunks))) < length and (more := os.pread(fd, min(length - got, _READ_LIMIT), start + got)):
        chunks.append(more)
    return b"".join(chunks)
