"""How much memory a task really took, to be compared with what was promised, and held to it.

Samples Arrow's allocator, which holds nearly all of it. The allocator belongs to the process: tasks beside each other in threads of one
process count each other's, so it is their promises together that are held.
"""

from __future__ import annotations

import threading

import pyarrow as pa

_SLACK_BYTES = 64 * 1024 * 1024
_lock = threading.Lock()
_promised: list[int] = []
"""What the tasks at work in this process may use, one element a task."""


class MemoryMeter:
    """The largest growth of Arrow's memory since the meter was made."""

    def __init__(self, promised_bytes: int = 0) -> None:
        """`promised_bytes`: what the task may use; 0: it is not held to anything."""
        self._base = pa.total_allocated_bytes()
        self._promise = promised_bytes
        self.peak_bytes = 0
        with _lock:
            _promised.append(promised_bytes)

    def close(self) -> None:
        """The task is no longer at work."""
        with _lock:
            _promised.remove(self._promise)

    def sample(self) -> None:
        """Look now. Raises MemoryError when the tasks of this process hold more than all of them may."""
        allocated = pa.total_allocated_bytes()
        self.peak_bytes = max(self.peak_bytes, allocated - self._base)
        with _lock:
            allowed = sum(_promised) + _SLACK_BYTES if self._promise and all(_promised) else None
        if allowed is not None and self.peak_bytes > allowed:
            raise MemoryError(f"{self.peak_bytes} bytes were allocated where {allowed} may be.")
