"""Which rows of a group's outputs are deleted when others deleted rows of its inputs after these were read. Pure.

Outputs hold the rows of their inputs in order (Concat), so position p of an input, counted among the rows that were not deleted when it was
read, is a known row of a known output. An input that is no longer live takes its whole range with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap64

from compactor.model.positions import VECTORS, frame, pack, vector_prefix
from compactor.model.rewrite import Concat, RewriteResult
from compactor.tables.delta.state import Action
from compactor.tables.delta.vectors import encode_z85

Rows = npt.NDArray[np.int64]


_FORMAT_VERSION = b"\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFile:
    """A deletion vector of an output as an object below the table's root, and its descriptor.

    The log names nothing but such files, for Spark's VACUUM fails (a MatchError, in Delta 4.4) on a table of which it finds a vector inside
    the log. The name follows from the output and the positions, so that one name never stands for two contents, and begins so that the
    run's intent claims it.
    """

    key: str
    data: bytes
    descriptor: Action


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """Physical positions of an input that were deleted when it was read, and that are now; None: the input is not live any more."""

    read: BitMap64
    now: BitMap64 | None


def masks(result: RewriteResult, sources: Sequence[Source], most: float) -> list[BitMap64] | str:
    """For each output the positions of its rows that are deleted now; or why that cannot be said, in a sentence.

    most: which share of the rows of any output that may be. More of all rows is told before any position is looked at: of a file that is
    gone or nearly so they would take many times the bytes of its vector.
    """
    if not isinstance(result.row_map, Concat) or len(result.row_map.offsets) != len(sources):
        return "it is not known where the rows of its inputs went"
    starts = [*result.row_map.offsets, result.input_rows]
    ranges = list(zip(sources, starts, starts[1:], strict=False))
    too_many = f"more than {most:.0%} of its rows are deleted now"
    if sum(_lost(*one) for one in ranges) > most * result.input_rows:
        return too_many
    gone = BitMap64()
    for source, first, end in ranges:
        rows = _gone(source, first, end)
        if isinstance(rows, str):
            return rows
        gone |= rows
    found = list(_by_output(gone, result))
    pairs = zip(result.outputs, found, strict=True)
    return too_many if any(len(mask) > most * output.rows for output, mask in pairs) else found


def _lost(source: Source, first: int, end: int) -> int:
    return end - first if source.now is None else len(source.now) - source.now.intersection_cardinality(source.read)


def _gone(source: Source, first: int, end: int) -> BitMap64 | str:
    """Rows of all outputs together that came from this input, from `first` to `end`, and are deleted now."""
    if source.now is None:
        return _range(first, end)
    if not source.read <= source.now:
        return "rows that were deleted when it was read are there again"
    fresh, old = _positions(source.now - source.read), _positions(source.read)
    rows = first + fresh - np.searchsorted(old, fresh)
    if len(rows) and rows[-1] >= end:
        return "its deletion vector names rows that the file does not have"
    return BitMap64(rows.astype(np.uint64))


def _range(first: int, end: int) -> BitMap64:
    rows = BitMap64()
    rows.add_range(first, end)
    return rows


def _by_output(gone: BitMap64, result: RewriteResult) -> Iterator[BitMap64]:
    first = 0
    for output in result.outputs:
        yield (gone & _range(first, first + output.rows)).shift(-first)
        first += output.rows


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
    stem = output_key.rpartition("/")[2].rpartition("-a")[0]
    unique = uuid5(NAMESPACE_URL, f"{output_key}#{sha256(data).hexdigest()}")
    name = UUID(vector_prefix(stem).removeprefix(VECTORS) + str(unique)[19:])
    descriptor = {
        "storageType": "u",
        "pathOrInlineDv": encode_z85(name.bytes),
        "offset": len(_FORMAT_VERSION),
        "sizeInBytes": len(data),
        "cardinality": len(positions),
    }
    return VectorFile(key=f"{VECTORS}{name}.bin", data=_FORMAT_VERSION + frame(data), descriptor=descriptor)
