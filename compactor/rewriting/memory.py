"""How much memory a task really took, to be compared with what was promised.

Samples Arrow's allocator, which holds nearly all of it. The allocator belongs to the process: tasks beside each other in threads of one
process count each other's.
"""

from __future__ import annotations

import pyarrow as pa


class MemoryMeter:
    """The largest growth of Arrow's memory since the meter was made."""

    def __init__(self) -> None:
        self._base = pa.total_allocated_bytes()
        self.peak_bytes = 0

    def sample(self) -> None:
        """Look now."""
        self.peak_bytes = max(self.peak_bytes, pa.total_allocated_bytes() - self._base)
