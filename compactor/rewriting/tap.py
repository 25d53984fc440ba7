"""What Arrow's writer writes to: passes bytes on to an object in which they are not the first, and can hold back what it writes last.

A writer that begins in the middle of an object believes to be at its beginning: its first bytes, which mark a file, are dropped there, and
`shift` says how its offsets become those of the object. Closing the tap does not publish the object: Arrow closes its files also when it
gives up.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from compactor.ambient.stopwatch import stage
from compactor.storage.base import ObjectWriter


class Tap:
    """A file for one writer after the other. `position`: bytes of the object so far."""

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer = writer
        self.position = 0
        self.shift = 0
        self.shut = False
        self.closed = False
        self._told = 0
        self._drop = 0
        self._held: io.BytesIO | None = None

    def begin_part(self, mark_bytes: int) -> None:
        """A writer begins; its first `mark_bytes` are dropped where the object has begun already."""
        self.closed, self._told = False, 0
        self._drop = mark_bytes if self.position else 0
        self.shift = self.position - self._drop

    @contextmanager
    def holding_back(self) -> Iterator[io.BytesIO]:
        """What the writer writes from here on goes into memory instead."""
        self._held = io.BytesIO()
        try:
            yield self._held
        finally:
            self._held = None

    def put(self, data: bytes | memoryview) -> None:
        """Bytes that no writer has made."""
        if not self.shut:
            with stage("write"):
                self._writer.write(data)
        self.position += len(data)

    def write(self, data: bytes | memoryview) -> int:
        self._told += len(data)
        if self._held is not None:
            return self._held.write(data)
        dropped = min(self._drop, len(data))
        self._drop -= dropped
        if dropped < len(data):
            self.put(memoryview(data)[dropped:] if dropped else data)
        return len(data)

    def tell(self) -> int:
        """The writer's own counting."""
        return self._told

    def flush(self) -> None:
        """Nothing to do: the object's own buffers end when it is published."""

    def close(self) -> None:
        self.closed = True
