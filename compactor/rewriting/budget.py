"""How a task's promised memory is divided between what it holds at once. Pure arithmetic; the promise itself is the planner's.

memory = fetched files + streamed column buffers + decoded rows that wait for a row group + what encoding them takes + upload buffers
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds in bytes, of one task.

    fetch: whole files in flight or waiting; whole_file: larger files are streamed by ranges; batch: decoded rows handled at once;
    row_group: decoded rows that become one row group (two are held: one is
    gathered while one is encoded); stream: read buffers of all columns of a streamed file together.
    """

    fetch: int
    whole_file: int
    batch: int
    row_group: int
    stream: int


def divide(memory_bytes: int) -> Budget:
    """The division of `memory_bytes`. Upper limits are where more memory no longer buys speed."""
    fetch = _between(memory_bytes // 16, 1 * MIB, 16 * MIB)
    return Budget(
        fetch=fetch,
        whole_file=_between(memory_bytes // 16, 1 * MIB, 16 * MIB),
        batch=_between(memory_bytes // 64, MIB // 4, 16 * MIB),
        row_group=_between(memory_bytes // 8, 1 * MIB, 48 * MIB),
        stream=_between(memory_bytes // 8, 1 * MIB, 64 * MIB),
    )


def _between(wanted: int, low: int, high: int) -> int:
    return max(low, min(wanted, high))
