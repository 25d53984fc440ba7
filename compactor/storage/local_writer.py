"""Writes one file under a temporary name and gives it its real name at the end. What is visible is always whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compactor.errors import StorageError
from compactor.storage.base import ObjectWriter, StoreCopy
from compactor.storage.local_errors import disk_error, no_place

_BUFFER_BYTES = 1024 * 1024
_FLUSH_BYTES = 8 * 1024 * 1024
_NO_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM}


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
        """The kernel copies from file to file; on file systems that can, blocks are shared and nothing is copied at all."""
        if self._path_of is None or not hasattr(os, "copy_file_range") or self.closed:
            return None
        try:
            source = os.open(self._path_of(key), os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, StorageError):
            return None  # the caller reads it, and says what is wrong
        try:
            self._file.flush()
            copied = self._copy_from(source, start, length)
        except OSError as error:
            raise disk_error(error, self._target.name) from error
        finally:
            os.close(source)
        if copied:
            self._size += length
            self._start_flushing()
        return StoreCopy(size_bytes=length) if copied else None

    def _copy_from(self, source: int, start: int, length: int) -> bool:
        """Whether it could be done at all. Raises OSError when it fails in the middle."""
        done = 0
        while done < length:
            try:
                found = os.copy_file_range(source, self._file.fileno(), length - done, start + done)
            except OSError as error:
                if not done and error.errno in _NO_COPY:
                    return False
                raise
            if not found:
                raise OSError(errno.EIO, "it ended too early")
            done += found
        return True

    def flush_to_disk(self) -> None:
        """All bytes on the disk, still under the temporary name."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error, self._target.name) from error

    def _start_flushing(self) -> None:
        """Have the disk take what was written while more is being made, so that the flush at the end has little to wait for.

        POSIX_FADV_DONTNEED makes Linux begin to write the range, and forget what is on the disk already, which none of it is.
        """
        ready = self._size - self._size % _FLUSH_BYTES
        if ready > self._flushing and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._file.fileno(), self._flushing, ready - self._flushing, os.POSIX_FADV_DONTNEED)
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
