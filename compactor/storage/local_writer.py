"""Writes one file under a temporary name and gives it its real name at the end. What is visible is always whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compactor.errors import StorageError
from compactor.storage.base import ObjectWriter, StoreCopy
from compactor.storage.local_copies import FLUSH_BYTES, LocalCopies, start_flushing
from compactor.storage.local_errors import disk_error, no_place

_BUFFER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a file will be, the name it has until then (same folder), and what messages call it."""

    path: Path
    temporary: Path
    name: str


class LocalWriter(ObjectWriter):
    """An ObjectWriter. Opens its temporary file at once, so that a folder that cannot be written is reported before any work."""

    def __init__(self, target: Target, path_of: Callable[[str], str] | None = None) -> None:
        """path_of: where an object of the store is; without it nothing is copied from others."""
        self._target, self._path_of = target, path_of
        self._size = self._flushing = 0
        self.closed = False
        try:
            self._file = _open_new(target.temporary)
        except OSError as error:
            raise no_place(error, target.name) from error
        self._copies = LocalCopies(self._file)

    def write(self, data: bytes | memoryview) -> int:
        if self.closed:
            raise StorageError(f"{self._target.name} is already closed for writing.")
        try:
            written = self._file.write(data)
        except OSError as error:
            raise disk_error(error, self._target.name) from error
        self._size += written
        self._start_flushing()
        return written

    def copy_range(self, key: str, start: int, length: int) -> StoreCopy | None:
        """See local_copies.py: it is given its place now, and is there when the file is closed."""
        if self._path_of is None or self.closed:
            return None
        try:
            path = self._path_of(key)
        except StorageError:
            return None  # the caller reads it, and says what is wrong
        try:
            self._file.flush()
            self._copies.add(path, start, length, self._size)
            self._file.seek(length, os.SEEK_CUR)
        except (FileNotFoundError, PermissionError):
            return None
        except OSError as error:
            raise disk_error(error, self._target.name) from error
        self._size += length
        self._flushing = self._size
        return StoreCopy(size_bytes=length)

    def flush_to_disk(self) -> None:
        """All bytes on the disk, still under the temporary name."""
        try:
            self._copies.settle()
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error, self._target.name) from error

    def _start_flushing(self) -> None:
        ready = self._size - self._size % FLUSH_BYTES
        if ready > self._flushing:
            start_flushing(self._file.fileno(), self._flushing, ready - self._flushing)
            self._flushing = ready

    def has_second_name(self) -> bool:
        """Whether the file got its real name too, whatever link(2) answered."""
        try:
            return os.fstat(self._file.fileno()).st_nlink > 1
        except OSError:
            return False

    def close(self) -> int:
        if self.closed:
            return self._size
        try:
            self.flush_to_disk()
            self._file.close()
            self._target.temporary.replace(self._target.path)
            self.closed = True
            flush_folder(self._target.path.parent)
        except OSError as error:
            raise disk_error(error, self._target.name) from error
        finally:
            if not self.closed:
                self.abort()
        return self._size

    def abort(self) -> None:
        if self.closed:
            return
        self._copies.cancel()
        with contextlib.suppress(OSError):
            self._target.temporary.unlink()
        self.closed = True  # only now: an abort that a signal cuts short can be asked for again
        # A buffer that could not be flushed makes close() fail; its descriptor is closed all the same.
        with contextlib.suppress(OSError):
            self._file.close()


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open_new(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o666)
    except FileNotFoundError:
        _make_folder(path.parent)
        fd = os.open(path, flags, 0o666)
    return os.fdopen(fd, "wb", buffering=_BUFFER_BYTES)


def _make_folder(folder: Path) -> None:
    """The folder and its parents, each made durable in its own parent."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        flush_folder(path.parent)
