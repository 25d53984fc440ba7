"""Fingerprints of rows: what a proof compares. See model/fingerprint.py for what they are and lane_values.py for which values are equal.

Every value of a row is bound to its column by name, and all of them to each other, before rows are added up: swapped, doubled, lost or
re-paired rows and values change the sum. It does not depend on how rows are batched, chunked, sliced or encoded in memory. It guards
against faults, not against somebody who chooses rows to deceive it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint
from compactor.rewriting.lane_values import Key, add_values
from compactor.rewriting.lanes import Lanes

_ROWS = 32_768
"""Rows taken at once: their lanes stay in the cache while column after column is added."""
_FEW_ROWS = 24_576
_FEW_BYTES = 8 * 1024 * 1024
"""Tables smaller than this wait for others: a column of a few rows costs as much as one of many."""


class Fingerprinter:
    """Adds up the rows of tables of one logical schema (dictionaries and layouts may differ). Not thread-safe."""

    def __init__(self) -> None:
        self._root = Key(FINGERPRINT_ALGORITHM)
        self._lanes = Lanes.zeros(_ROWS)
        self._sum = 0
        self._rows = 0
        self._few: list[pa.Table] = []
        self._few_rows = self._few_bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Add these rows. Small tables are kept for a moment, until there are enough of them or the result is asked for."""
        if rows.num_rows >= _FEW_ROWS:
            for start in range(0, rows.num_rows, _ROWS):
                self._take([rows.slice(start, _ROWS)])
            return
        if self._few and (self._few_rows + rows.num_rows > _ROWS or not rows.schema.equals(self._few[0].schema)):
            self._take_few()
        self._few.append(rows)
        self._few_rows += rows.num_rows
        self._few_bytes += rows.get_total_buffer_size()
        if self._few_rows >= _FEW_ROWS or self._few_bytes >= _FEW_BYTES:
            self._take_few()

    def result(self) -> Fingerprint:
        """Of all rows added so far."""
        self._take_few()
        return Fingerprint(sum=self._sum, rows=self._rows)

    def _take_few(self) -> None:
        tables, self._few = self._few, []
        together = self._few_bytes <= 2 * _FEW_BYTES
        self._few_rows = self._few_bytes = 0
        for block in [tables] if together and tables else [[table] for table in tables]:
            self._take(block)

    def _take(self, tables: Sequence[pa.Table]) -> None:
        """The rows of some tables of one schema, few enough for one block."""
        block = tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()
        lanes = self._lanes.slice(0, block.num_rows)
        lanes.clear()
        for name, column in zip(block.column_names, block.columns, strict=True):
            key, start = self._root.child(name), 0
            for chunk in column.chunks:
                add_values(chunk, key, lanes.slice(start, start + len(chunk)))
                start += len(chunk)
        lanes.finish(self._root.finish)
        self._sum = (self._sum + lanes.total()) % (1 << 128)
        self._rows += block.num_rows


def fingerprint(rows: pa.Table) -> Fingerprint:
    """Of the rows of one table."""
    fingerprinter = Fingerprinter()
    fingerprinter.add(rows)
    return fingerprinter.result()
