"""Deleted rows: loads a file's deletes and drops those rows by physical position."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyroaring import BitMap64

from compactor.errors import ObjectTooShort
from compactor.model.positions import FRAME_BYTES, unframe, unpack
from compactor.model.rewrite import Deletes
from compactor.rewriting.problems import FileProblem
from compactor.storage.base import ObjectStore


class DeletedRows:
    """Physical positions of a file's deleted rows. Kept compressed: a file may have millions."""

    def __init__(self, positions: BitMap64) -> None:
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def last(self) -> int:
        """The largest position; -1 when there is none."""
        return int(self._positions.max()) if len(self._positions) else -1

    def keep(self, rows: pa.Table, first: int) -> pa.Table:
        """`rows`, which begin at physical position `first` of the file, without those deleted."""
        end = first + rows.num_rows
        if self._positions.range_cardinality(first, end) == 0:
            return rows
        here = BitMap64()
        here.add_range(first, end)
        mask = np.ones(rows.num_rows, dtype=bool)
        mask[np.asarray((here & self._positions).to_array(), dtype=np.int64) - first] = False
        return rows.filter(pa.array(mask))


def load_deletes(deletes: Deletes, store: ObjectStore) -> DeletedRows:
    """The positions that `deletes` holds. Raises FileProblem when they are not what the log says, StorageError."""
    try:
        data = deletes.inline if deletes.inline is not None else _framed(deletes, store)
        return DeletedRows(unpack(data, deletes.cardinality, deletes.key or "the log"))
    except ValueError as error:
        raise FileProblem("corrupt-file", str(error)) from error


def _framed(deletes: Deletes, store: ObjectStore) -> bytes:
    """The bitmap's bytes out of their object. Raises ValueError too."""
    if deletes.key is None:
        raise FileProblem("corrupt-file", "A deletion vector has neither inline data nor an object.")
    try:
        (framed,) = store.get_ranges(deletes.key, [(deletes.offset, deletes.size_bytes + FRAME_BYTES)])
    except ObjectTooShort as error:
        raise FileProblem("corrupt-file", f"The deletion vector is cut short: {error}") from error
    return unframe(framed, deletes.size_bytes, deletes.key)
