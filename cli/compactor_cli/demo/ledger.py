"""The ledger: what the writer says it has written, and what a reader says it has read, in a form that does not depend on order.

For each column the sum of a 64-bit digest of its values, for whole rows the sum of a digest over all columns, and the number of rows. A row
lost, doubled or changed, or values that changed places between rows, make two ledgers differ.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_MASK = (1 << 64) - 1
_ROWS = "(whole rows)"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """`sums`: by column name, and under `(whole rows)`; modulo 2**64, so ledgers add up."""

    rows: int
    sums: tuple[tuple[str, int], ...]

    def __add__(self, other: Ledger) -> Ledger:
        mine, others = dict(self.sums), dict(other.sums)
        names = [*mine, *(name for name in others if name not in mine)]
        sums = tuple((name, (mine.get(name, 0) + others.get(name, 0)) & _MASK) for name in names)
        return Ledger(rows=self.rows + other.rows, sums=sums)

    def differences(self, other: Ledger) -> list[str]:
        """What differs between this, as written, and the other, as read, in words; empty when nothing does."""
        found = [f"{self.rows:,} rows written and {other.rows:,} read"] if self.rows != other.rows else []
        mine, others = dict(self.sums), dict(other.sums)
        return found + [f"the checksum of {name}" for name in {**mine, **others} if mine.get(name) != others.get(name)]


EMPTY = Ledger(rows=0, sums=())


def ledger_of(batch: pa.RecordBatch | pa.Table) -> Ledger:
    """The ledger of some rows. Columns: integers, floats, timestamps and strings, without nulls."""
    sums: list[tuple[str, int]] = []
    whole = np.zeros(batch.num_rows, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for index, name in enumerate(batch.schema.names):
            digests = _digests(batch.column(index))
            sums.append((name, int(digests.sum(dtype=np.uint64))))
            whole = _mix(whole * _GOLDEN + digests)
        sums.append((_ROWS, int(whole.sum(dtype=np.uint64))))
    return Ledger(rows=batch.num_rows, sums=tuple(sums))


def _digests(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """One uint64 a value."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_string(array.type):
        coded = pc.dictionary_encode(array)
        words = [int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little") for word in coded.dictionary.to_pylist()]
        digests: npt.NDArray[np.uint64] = np.array(words, dtype=np.uint64)[coded.indices.to_numpy()]
        return digests
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    return _mix(array.to_numpy(zero_copy_only=False).view(np.uint64) + _GOLDEN)  # without a summand 0 would have the digest 0


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64-bit words that spreads every input bit (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
