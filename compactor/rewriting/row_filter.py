"""Deleted rows: loads a file's deletes and drops those rows by physical position.

A 64-bit roaring bitmap in the portable serialisation, behind a magic number; framed in an object by its size and CRC-32 (Delta protocol,
"Deletion Vector Format" and "Deletion Vector File Storage Format"). A bitmap that is not exactly what the log says is a corrupt file:
reading on would bring deleted rows back or lose live ones.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pyarrow as pa
from pyroaring import BitMap64

from compactor.errors import ObjectTooShort
from compactor.model.rewrite import Deletes
from compactor.rewriting.problems import FileProblem
from compactor.storage.base import ObjectStore

_MAGIC = 1681511377


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
    data = deletes.inline if deletes.inline is not None else _framed(deletes, store)
    name = deletes.key or "the log"
    if len(data) < 4 or struct.unpack("<I", data[:4])[0] != _MAGIC:
        raise FileProblem("corrupt-file", f"The deletion vector in {name} does not begin with its magic number.")
    try:
        positions = BitMap64.deserialize(bytes(data[4:]))
    except (ValueError, IndexError) as error:
        raise FileProblem("corrupt-file", f"The deletion vector in {name} cannot be decoded.") from error
    if len(positions) != deletes.cardinality:
        raise FileProblem("corrupt-file", f"The deletion vector in {name} holds {len(positions)} rows, the log says {deletes.cardinality}.")
    return DeletedRows(positions)


def _framed(deletes: Deletes, store: ObjectStore) -> bytes:
    """The bitmap's bytes out of their frame: big-endian size, bytes, big-endian CRC-32."""
    if deletes.key is None:
        raise FileProblem("corrupt-file", "A deletion vector has neither inline data nor an object.")
    try:
        (framed,) = store.get_ranges(deletes.key, [(deletes.offset, deletes.size_bytes + 8)])
    except ObjectTooShort as error:
        raise FileProblem("corrupt-file", f"The deletion vector is cut short: {error}") from error
    (size,) = struct.unpack(">I", framed[:4])
    if size != deletes.size_bytes:
        raise FileProblem("corrupt-file", f"The deletion vector in {deletes.key} has {size} bytes, the log says {deletes.size_bytes}.")
    data = bytes(framed[4 : 4 + size])
    if zlib.crc32(data) != struct.unpack(">I", framed[4 + size :])[0]:
        raise FileProblem("corrupt-file", f"The deletion vector in {deletes.key} does not have its checksum.")
    return data
