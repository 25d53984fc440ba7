"""Which keys are allowed, and how they are ordered. Pure; shared by every adapter so that all of them agree.

A key is refused rather than repaired: `a//b` and `a/b` are two different objects on S3, and a key with `..` could leave a folder on disk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compactor.errors import ObjectTooShort, StorageError

_CONTROL = re.compile("[\x00-\x1f\x7f]")


def check_key(key: str, uri: str) -> str:
    """The key itself, when it names an object below a root. Raises StorageError for empty, `.`, `..` segments and control characters."""
    if not key or "\x00" in key or any(part in ("", ".", "..") for part in key.split("/")) or not _printable(key):
        raise StorageError(f'"{_shown(key)}" is not a usable object name below {uri}.')
    return key


def check_folder(prefix: str, uri: str) -> str:
    """A folder prefix for list_level: empty or ending in `/`. Raises StorageError otherwise."""
    if prefix:
        if not prefix.endswith("/"):
            raise StorageError(f'"{_shown(prefix)}" is not a folder below {uri}: it must end in "/".')
        check_key(prefix[:-1], uri)
    return prefix


def order(key: str) -> bytes:
    """What keys are sorted by: their UTF-8 bytes (which is not the order of UTF-16, and is the order of S3)."""
    return key.encode("utf-8", "surrogateescape")


def check_ranges(key: str, uri: str, ranges: Sequence[tuple[int, int]]) -> None:
    """Raises StorageError for a negative start or length: a caller's arithmetic went wrong, and no store should be asked."""
    for start, length in ranges:
        if start < 0 or length < 0:
            raise StorageError(f"The byte range ({start}, {length}) of {uri}/{key} is impossible.")


def too_short(key: str, uri: str, start: int, length: int) -> ObjectTooShort:
    """The error for an object that ends before a range does."""
    return ObjectTooShort(f"{uri}/{key} ends before byte {start + length}: it is shorter than what refers to it says.")


def _printable(key: str) -> bool:
    return _CONTROL.search(key) is None


def _shown(key: str) -> str:
    return key if len(key) <= 200 else key[:200] + "…"
