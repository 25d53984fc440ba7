"""Adds up rows with numpy: column after column of a block of rows into lanes. What lanes are says lanes.py."""

from __future__ import annotations

import pyarrow as pa

from compactor.rewriting.lane_values import Key, add_values
from compactor.rewriting.lanes import Lanes

ROWS = 32_768
"""Rows taken at once: their lanes stay in the cache while column after column is added."""


class LaneRows:
    """Adds up the rows of tables of one logical schema. Not thread-safe."""

    few_rows = 24_576
    """Smaller tables wait for others: a column of a few rows costs as much as one of many."""

    def __init__(self, algorithm: str) -> None:
        self._root = Key(algorithm)
        self._lanes = Lanes.zeros(ROWS)

    def sum_of(self, rows: pa.Table) -> int:
        """The sum of these rows modulo 2^128. Raises IndexError or ValueError when an array contradicts itself, TypeError for a type that
        no table has."""
        return sum(self._sum_of_block(rows.slice(start, ROWS)) for start in range(0, rows.num_rows, ROWS)) % (1 << 128)

    def _sum_of_block(self, block: pa.Table) -> int:
        lanes = self._lanes.slice(0, block.num_rows)
        lanes.clear()
        for name, column in zip(block.column_names, block.columns, strict=True):
            key, start = self._root.child(name), 0
            for chunk in column.chunks:
                add_values(chunk, key, lanes.slice(start, start + len(chunk)))
                start += len(chunk)
        lanes.finish(self._root.finish)
        return lanes.total()
