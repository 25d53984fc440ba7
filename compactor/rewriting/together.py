"""Reads many small files of this machine at once, without the interpreter in between, where the native package is and the store has files.

Never says what is wrong with a file: what could not be read here as the log says is asked of the store by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from compactor.model.rewrite import InputFile
from compactor.rewriting import native
from compactor.storage.base import ObjectStore, file_paths

READS_IN_FLIGHT = 2


def can_read_together(store: ObjectStore) -> bool:
    """Whether files of this store can be read at once."""
    return native.KERNELS is not None and file_paths(store, ()) is not None


def read_together(store: ObjectStore, files: Sequence[InputFile]) -> list[memoryview | None]:
    """The bytes of each file; None of one that is not there, or not as large as the log says. Raises StorageError."""
    assert native.KERNELS is not None
    paths = file_paths(store, [file.key for file in files])
    assert paths is not None
    sizes = [file.size_bytes for file in files]
    files_read, wholes = native.KERNELS.read_files(list(zip(paths, sizes, strict=True)), READS_IN_FLIGHT)
    shown, start = memoryview(files_read), 0
    found: list[memoryview | None] = []
    for size, whole in zip(sizes, wholes, strict=True):
        found.append(shown[start : start + size] if whole else None)
        start += size + 1
    return found
