"""Fingerprints of rows: what a proof compares. See model/fingerprint.py for what they are and lane_values.py for which values are equal.

Every value of a row is bound to its column by name, and all of them to each other, before rows are added up: swapped, doubled, lost or
re-paired rows and values change the sum. It does not depend on how rows are batched, chunked, sliced or encoded in memory. It guards
against faults, not against somebody who chooses rows to deceive it.
"""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint
from compactor.rewriting import native
from compactor.rewriting.lane_rows import ROWS, LaneRows
from compactor.rewriting.native_rows import NativeRows

_ENOUGH_ROWS = 24_576
_ENOUGH_BYTES = 8 * 1024 * 1024
"""Tables that wait for each other are added up when they are so many."""


class _Rows(Protocol):
    """An implementation of the algorithm. few_rows: smaller tables cost as much as ones of so many rows, and wait for others."""

    few_rows: int

    def sum_of(self, rows: pa.Table) -> int: ...


def _implementation() -> _Rows:
    """The native one where it is installed: it says the same, faster."""
    return LaneRows(FINGERPRINT_ALGORITHM) if native.KERNELS is None else NativeRows(native.KERNELS, FINGERPRINT_ALGORITHM)


class Fingerprinter:
    """Adds up the rows of tables of one logical schema (dictionaries and layouts may differ). Not thread-safe."""

    def __init__(self) -> None:
        self._implementation = _implementation()
        self._sum = 0
        self._rows = 0
        self._few: list[pa.Table] = []
        self._few_rows = self._few_bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Add these rows. Small tables are kept for a moment, until there are enough of them or the result is asked for."""
        if rows.num_rows >= self._implementation.few_rows:
            self._take(rows)
            return
        if self._few and (self._few_rows + rows.num_rows > ROWS or not rows.schema.equals(self._few[0].schema)):
            self._take_few()
        self._few.append(rows)
        self._few_rows += rows.num_rows
        self._few_bytes += rows.get_total_buffer_size()
        if self._few_rows >= _ENOUGH_ROWS or self._few_bytes >= _ENOUGH_BYTES:
            self._take_few()

    def include(self, rows: Fingerprint) -> None:
        """Add rows that were added up elsewhere."""
        self._sum = (self._sum + rows.sum) % (1 << 128)
        self._rows += rows.rows

    def result(self) -> Fingerprint:
        """Of all rows added so far."""
        self._take_few()
        return Fingerprint(sum=self._sum, rows=self._rows)

    def _take_few(self) -> None:
        tables, self._few = self._few, []
        if len(tables) > 1 and self._few_bytes <= 2 * _ENOUGH_BYTES:
            tables = [pa.concat_tables(tables).combine_chunks()]
        self._few_rows = self._few_bytes = 0
        for table in tables:
            self._take(table)

    def _take(self, rows: pa.Table) -> None:
        self._sum = (self._sum + self._implementation.sum_of(rows)) % (1 << 128)
        self._rows += rows.num_rows


def fingerprint(rows: pa.Table) -> Fingerprint:
    """Of the rows of one table."""
    fingerprinter = Fingerprinter()
    fingerprinter.add(rows)
    return fingerprinter.result()
