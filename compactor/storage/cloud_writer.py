"""Writes one object through obstore's buffered writer: one PUT below PART_BYTES, else parts. Every failure aborts the upload."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from compactor.errors import StorageError
from compactor.storage.base import ObjectWriter
from compactor.storage.obstore_reads import FAILURES, obstore_error

PART_BYTES = 8 * 1024 * 1024
IN_FLIGHT = 4


class CloudWriter(ObjectWriter):
    """An ObjectWriter. `start` opens obstore's writer; nothing of it is visible before close()."""

    def __init__(self, start: Callable[[], Any], uri: str) -> None:
        self._uri, self._size = uri, 0
        self._inner = start()
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        if self.closed:
            raise StorageError(f"{self._uri} is already closed for writing.")
        view = memoryview(data).cast("B")
        try:
            self._inner.write(view)
        except FAILURES as error:
            self.abort()
            raise obstore_error(error, self._uri) from None
        self._size += view.nbytes
        return view.nbytes

    def close(self) -> int:
        if self.closed:
            return self._size
        try:
            self._inner.close()
            self.closed = True
        except FAILURES as error:
            raise obstore_error(error, self._uri) from None
        finally:
            self.abort()
        return self._size

    def abort(self) -> None:
        if self.closed:
            return
        self.closed = True
        with contextlib.suppress(*FAILURES):
            self._inner.__exit__(RuntimeError, RuntimeError("aborted"), None)
