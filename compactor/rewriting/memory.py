"""How much memory a task really took, to be compared with what was promised, and held to it.

Looks at Arrow's allocator, and at what the native kernels hold and have held since the look before: together nearly all of it, but for the
bytes of whole files while the store's client holds them. Both belong to the process: tasks beside each other in threads of one
process count each other's, so it is their promises together that are held.
"""

from __future__ import annotations

import threading

import pyarrow as pa

from compactor.rewriting import native
from compactor.units import format_bytes

_SLACK_BYTES = 64 * 1024 * 1024
_lock = threading.Lock()


class MemoryMeter:
    """The largest growth of Arrow's and the kernels' memory since the meter was made."""

    def __init__(self, promised_bytes: int = 0) -> None:
        """`promised_bytes`: what the task may use; 0: it is not held to anything."""
        self.promised_bytes = promised_bytes
        self.peak_bytes = 0
        with _lock:
            _process.look()
            self.base_bytes = _process.now_bytes
            _process.at_work.append(self)

    def close(self) -> None:
        """The task is no longer at work."""
        with _lock:
            _process.at_work.remove(self)
            if not _process.at_work and native.KERNELS is not None:
                native.KERNELS.let_go()

    def sample(self) -> None:
        """Look now. Raises MemoryError when the tasks of this process hold, or held since the last look, more than all of them may."""
        with _lock:
            _process.look()
            promised = [meter.promised_bytes for meter in _process.at_work]
            kernels = _process.kernel_bytes
        allowed = sum(promised) + _SLACK_BYTES if self.promised_bytes and all(promised) else None
        if allowed is not None and self.peak_bytes > allowed:
            most, limit = format_bytes(self.peak_bytes), format_bytes(allowed)
            raise MemoryError(f"{most} were allocated where {limit} may be; the native kernels hold {format_bytes(kernels)} now.")


class _Process:
    """What the process held when it was looked at, and the meters that are told."""

    def __init__(self) -> None:
        self.at_work: list[MemoryMeter] = []
        self.now_bytes = self.kernel_bytes = self._arrow_bytes = 0

    def look(self) -> None:
        """Tell every meter. The kernels' most was held beside no less than Arrow held at this look and the one before, whichever is less:
        to add it to what Arrow holds now would hold a task to memory that was never taken at once."""
        arrow = pa.total_allocated_bytes()
        kernels, most = (0, 0) if native.KERNELS is None else native.KERNELS.held_bytes()
        held = max(arrow + kernels, min(arrow, self._arrow_bytes) + most)
        self._arrow_bytes, self.kernel_bytes, self.now_bytes = arrow, kernels, arrow + kernels
        for meter in self.at_work:
            meter.peak_bytes = max(meter.peak_bytes, held - meter.base_bytes)


_process = _Process()
