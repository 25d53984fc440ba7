"""Fingerprints of rows: what a proof compares. See model/fingerprint.py for what they are and lane_values.py for which values are equal.

Every value of a row is bound to its column by name, and all of them to each other, before rows are added up: swapped, doubled, lost or
re-paired rows and values change the sum. It does not depend on how rows are batched, chunked, sliced or encoded in memory. It guards
against faults, not against somebody who chooses rows to deceive it.
"""

from __future__ import annotations

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
        self._sum = 0
        self._rows = 0
        self._few: list[pa.Table] = []
        self._few_rows = self._few_bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Add these rows. Small tables are kept for a moment, until there are enough of them or the result is asked for."""
        if rows.num_rows >= _FEW_ROWS:
            self._take(rows)
            return
        self._few.append(rows)
        self._few_rows += rows.num_rows
        self._few_bytes += rows.nbytes
        if self._few_rows >= _FEW_ROWS or self._few_bytes >= _FEW_BYTES:
            self._take_few()

    def result(self) -> Fingerprint:
        """Of all rows added so far."""
        self._take_few()
        return Fingerprint(sum=self._sum, rows=self._rows)

    def _take_few(self) -> None:
        tables, self._few = self._few, []
        large = self._few_bytes > 2 * _FEW_BYTES
        self._few_rows = self._few_bytes = 0
        if len(tables) > 1 and not large and all(table.schema.equals(tables[0].schema) for table in tables):
            tables = [pa.concat_tables(tables).combine_chunks()]
        for table in tables:
            self._take(table)

    def _take(self, rows: pa.Table) -> None:
        for start in range(0, rows.num_rows, _ROWS):
            self._take_block(rows.slice(start, _ROWS))

    def _take_block(self, rows: pa.Table) -> None:
        lanes = Lanes.zeros(rows.num_rows)
        for field, column in zip(rows.schema, rows.columns, strict=True):
            key = self._root.child(field.name)
            start = 0
            for chunk in column.chunks:
                add_values(chunk, key, lanes.slice(start, start + len(chunk)))
                start += len(chunk)
        self._sum = (self._sum + lanes.finished(self._root.finish).total()) % (1 << 128)
        self._rows += rows.num_rows


def fingerprint(rows: pa.Table) -> Fingerprint:
    """Of the rows of one table."""
    fingerprinter = Fingerprinter()
    fingerprinter.add(rows)
    return fingerprinter.result()
