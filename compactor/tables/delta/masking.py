"""Which rows of a group's outputs are deleted when others deleted rows of its inputs after these were read. Pure.

Outputs hold the rows of their inputs in order (Concat), so position p of an input, counted among the rows that were not deleted when it was
read, is a known row of a known output. An input that is no longer live takes its whole range with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap64

from compactor.model.positions import frame, pack
from compactor.model.rewrite import Concat, RewriteResult
from compactor.tables.delta.state import Action
from compactor.tables.delta.vectors import encode_z85

Rows = npt.NDArray[np.int64]


_FORMAT_VERSION = b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFile:
    """A deletion vector of an output as an object below the table's root, and its descriptor.

    The log names nothing but such files, for Spark's VACUUM fails (a MatchError, in Delta 4.4) on a table of which it finds a vector inside
    the log. The name follows from the output and the positions, so that one name never stands for two contents.
    """

    key: str
    data: bytes
    descriptor: Action


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """Physical positions of an input that were deleted when it was read, and that are now; None: the input is not live any more."""

    read: BitMap64
    now: BitMap64 | None


def masks(result: RewriteResult, sources: Sequence[Source]) -> list[BitMap64] | str:
    """For each output the positions of its rows that are deleted now; or why that cannot be said, in a sentence."""
    if not isinstance(result.row_map, Concat) or len(result.row_map.offsets) != len(sources):
        return "it is not known where the rows of its inputs went"
    starts = [*result.row_map.offsets, result.input_rows]
    gone = []
    for source, first, end in zip(sources, starts, starts[1:], strict=False):
        rows = _gone(source, first, end)
        if isinstance(rows, str):
            return rows
        gone.append(rows)
    return _by_output(np.concatenate(gone) if gone else np.zeros(0, np.int64), result)


def _gone(source: Source, first: int, end: int) -> Rows | str:
    """Rows of all outputs together that came from this input, from `first` to `end`, and are deleted now."""
    if source.now is None:
        return np.arange(first, end, dtype=np.int64)
    if not source.read <= source.now:
        return "rows that were deleted when it was read are there again"
    fresh, old = _positions(source.now - source.read), _positions(source.read)
    rows = first + fresh - np.searchsorted(old, fresh)
    return rows if not len(rows) or rows[-1] < end else "its deletion vector names rows that the file does not have"


def _by_output(rows: Rows, result: RewriteResult) -> list[BitMap64]:
    found, first = [], 0
    for output in result.outputs:
        low, high = np.searchsorted(rows, [first, first + output.rows])
        found.append(BitMap64((rows[low:high] - first).tolist()))
        first += output.rows
    return found


def _positions(bitmap: BitMap64) -> Rows:
    return np.asarray(bitmap.to_array(), dtype=np.int64)


def inline_vector(positions: BitMap64) -> Action:
    """The descriptor of a deletion vector that holds its positions itself: good for reading, not for the log (see VectorFile)."""
    data = pack(positions)
    text = encode_z85(data + bytes(-len(data) % 4))
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(positions)}


def vector_file(positions: BitMap64, output_key: str) -> VectorFile:
    """The positions of one output's deleted rows as a file."""
    data = pack(positions)
    name = uuid5(NAMESPACE_URL, f"{output_key}#{sha256(data).hexdigest()}")
    descriptor = {
        "storageType": "u",
        "pathOrInlineDv": encode_z85(name.bytes),
        "offset": len(_FORMAT_VERSION),
        "sizeInBytes": len(data),
        "cardinality": len(positions),
    }
    return VectorFile(key=f"deletion_vector_{name}.bin", data=_FORMAT_VERSION + frame(data), descriptor=descriptor)
