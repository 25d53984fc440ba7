"""How a task's promised memory is divided between what it holds at once. Pure arithmetic; the promise itself is the planner's.

memory = fetched files + streamed column buffers + decoded rows that wait for a row group + what encoding them takes + upload buffers
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
_KEPT = 48 * MIB
_MOST_GATHERED = 32 * MIB
"""Decoded rows of a row group beyond which readers gain nothing, and each task holds two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds in bytes, of one task.

    fetch: whole files in flight or waiting; whole_file: larger files are streamed by ranges; batch: decoded rows handled at once;
    row_group: encoded rows that are merged to one row group, and at most the decoded rows that become one; stream: read buffers of all
    columns of a streamed file together; spare: what nothing else is planned for, so that a guess about one file may turn out that wrong.
    """

    fetch: int
    whole_file: int
    batch: int
    row_group: int
    stream: int
    spare: int = 0

    @property
    def gathered(self) -> int:
        """Decoded rows that become one row group; two are held: one is gathered while one is encoded."""
        return min(self.row_group, _MOST_GATHERED)


def divide(memory_bytes: int) -> Budget:
    """The division of `memory_bytes` less what allocators and threads keep. Upper limits are where more no longer buys speed."""
    usable = max(memory_bytes // 4, memory_bytes - _KEPT)
    fetch, row_group, stream = (_between(usable // part, 1 * MIB, most * MIB) for part, most in ((16, 16), (8, 32), (8, 64)))
    batch = _between(usable // 64, MIB // 4, 16 * MIB)
    held = max(fetch, stream) + 2 * batch + 4 * row_group
    return Budget(fetch=fetch, whole_file=fetch, batch=batch, row_group=row_group, stream=stream, spare=max(0, usable - held))


def _between(wanted: int, low: int, high: int) -> int:
    return max(low, min(wanted, high))
