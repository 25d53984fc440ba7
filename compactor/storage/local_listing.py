"""Lists a directory tree in the order of an object store: ascending UTF-8 bytes of the whole key, lazily, skipping what lies before.

Sorting each directory's names is enough when a folder's name is compared with its slash: `a.b` < `a/x` < `a0`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from compactor.storage.base import ObjectMeta
from compactor.storage.keys import order

TEMPORARY_SUFFIX = ".compactor-tmp"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a directory: a folder, or a file whose description is read when it is asked for."""

    key: str
    path: str
    is_folder: bool

    @staticmethod
    def of(key: str, path: str) -> Entry | None:
        """The regular file at `path`, None for anything else. Raises OSError."""
        return Entry(key, path, False) if stat.S_ISREG(os.stat(path).st_mode) else None

    @property
    def meta(self) -> ObjectMeta:
        """Raises OSError when the file is gone."""
        found = os.stat(self.path)
        etag = f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'
        return ObjectMeta(key=self.key, size_bytes=found.st_size, modified_ms=found.st_mtime_ns // 1_000_000, etag=etag)

    def stat(self) -> ObjectMeta | None:
        """The description, or None when the file went away since it was listed, or is a dangling link."""
        try:
            return self.meta
        except FileNotFoundError:
            return None


def entries(root: str, folder: str) -> list[Entry]:
    """Folders and files directly in `folder` (empty or ending in `/`), in key order. Empty when there is no such folder. Raises OSError."""
    path = os.path.join(root, folder)
    try:
        with os.scandir(path) as scan:
            found = [Entry(folder + item.name, item.path, item.is_dir()) for item in scan if _wanted(item)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found.sort(key=lambda entry: order(entry.key + "/" if entry.is_folder else entry.key))
    return found


def temporaries(path: str) -> list[str]:
    """Names of temporary files of ours in a folder. Empty when there is no such folder. Raises OSError."""
    try:
        return sorted(name for name in os.listdir(path) if name.startswith(".") and name.endswith(TEMPORARY_SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []


def walk(root: str, prefix: str, start_after: str | None) -> Iterator[ObjectMeta]:
    """Files below `root` whose key starts with `prefix` and comes after `start_after`. Raises OSError."""
    folder = prefix.rpartition("/")[0]
    after = None if start_after is None else order(start_after)
    yield from _walk(root, f"{folder}/" if folder else "", prefix, after)


def _walk(root: str, folder: str, prefix: str, after: bytes | None) -> Iterator[ObjectMeta]:
    for entry in entries(root, folder):
        name = f"{entry.key}/" if entry.is_folder else entry.key
        if not name.startswith(prefix):
            continue
        if entry.is_folder:
            # Everything below is before `after` unless `after` itself is below, or sorts before the folder.
            if (after is None or order(name) > after or after.startswith(order(name))) and not _loops(entry.path):
                yield from _walk(root, name, prefix, after)
        elif (after is None or order(entry.key) > after) and (meta := entry.stat()):
            yield meta


def _wanted(item: os.DirEntry[str]) -> bool:
    if item.name.startswith(".") and item.name.endswith(TEMPORARY_SUFFIX):
        return False
    try:
        return item.is_dir() or item.is_file()
    except OSError:
        return False


def _loops(path: str) -> bool:
    """Whether a folder is a link to one of its own ancestors."""
    if not os.path.islink(path):
        return False
    real, parent = os.path.realpath(path), os.path.realpath(os.path.dirname(path))
    return parent == real or parent.startswith(real + "/")
