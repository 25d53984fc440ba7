"""What groups will take: memory, requests, seconds. Pure arithmetic on log sizes and surveyed footers; nothing is measured here.

Memory is the bound of a streaming rewrite, never the size of its files: bytes in flight, one decoded batch, and one output row group
that is being encoded (decoded rows and encoded pages of it side by side, and the next one being gathered). How large those may be follows
from what one task may use, by the rule that workers size their buffers by (rewriting/budget.py; a test holds the two together); a group's
figure is never above that. `make bench-memory` compares it with what workers really take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from compactor.model.engine import EngineChoice
from compactor.model.fingerprint import ProofLevel
from compactor.model.survey import FileFacts
from compactor.model.usage import Economy
from compactor.planning.columns import Int64s

MIB = 1024 * 1024
_CHURNED = 40 * MIB
_GATHERED = 32 * MIB
"""Decoded bytes of a row group that is encoded anew."""
_MERGED = 32 * MIB
"""Bytes of inputs that become a row group where they are merged."""
_READ_WHOLE = 32 * MIB
_PIECE = 8 * MIB
"""What a reader of outputs with memory to spare takes with one request: a whole file, else a piece of a column."""
_MERGED_CHURNED = 20 * MIB
_MADE = 1.25
"""Bytes that are made for each byte of a row group that is merged, most of which are kept where they lie."""
_COPIES_IN_FLIGHT = 4
_FOOTERS = 1 / 16
"""Share of a file up to which what is not copied of it is taken for its footer and indexes."""
_CHUNK = 400
"""Bytes that a merged file takes for each of its columns, however small."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Figures that predictions rest on.

    compression: output bytes per live input byte. bytes_per_s: input bytes one task rewrites in a second. request_s: what a request adds.
    part_bytes: size of a ranged read, of a multipart part, and the limit up to which a file is one request.
    expansion: decoded bytes per encoded byte where no footer says; row_bytes: of a decoded row, at least, as the schema says.
    floor_bytes: what a task needs before it holds any data. gathered: bytes held for each decoded byte of a row group.
    economy: prices, regions and retention, where somebody knows them. proof: how far groups are proven; at `full` outputs are read again,
    at proof_bytes_per_s. columns: of the files' lowest level, each of which a reader that streams asks for by itself; floats: of those, for
    bounds of which copied row groups are looked into.
    engine: what takes row groups, those copied as they are at copied_bytes_per_s; store_copies: by the store itself. not_merged: why small
    files are decoded and not merged page by page, at merged_bytes_per_s; None: they are merged.
    """

    compression: float = 1.0
    bytes_per_s: float = 60.0 * MIB
    request_s: float = 0.002
    part_bytes: int = 16 * MIB
    expansion: float = 1.2
    row_bytes: float = 0.0
    floor_bytes: int = 10 * MIB
    gathered: float = 2.0
    economy: Economy = field(default_factory=Economy)
    proof: ProofLevel = "counts"
    proof_bytes_per_s: float = 100.0 * MIB
    columns: int = 1
    floats: int = 0
    engine: EngineChoice = field(default_factory=lambda: EngineChoice(mode="transcode"))
    copied_bytes_per_s: float = 400.0 * MIB
    store_copies: bool = False
    not_merged: str | None = "small"
    merged_bytes_per_s: float = 200.0 * MIB


def assume(schema: pa.Schema, compression: float, economy: Economy, proof: ProofLevel) -> Assumptions:
    """The assumptions for a table of this schema."""
    columns, floats = (sum(count(field.type) for field in schema) for count in (_leaves, _floats))
    return Assumptions(compression=compression, economy=economy, proof=proof, row_bytes=row_bytes(schema), columns=columns, floats=floats)


def largest_decoded(facts: FileFacts) -> int:
    """Bytes of the largest row group of a surveyed file, decoded."""
    return max((g.uncompressed_bytes for g in facts.row_groups), default=0)


def largest_decoded_by_path(facts: Mapping[str, FileFacts]) -> Int64s:
    """largest_decoded of each surveyed file, in the mapping's order."""
    return np.array([largest_decoded(f) for f in facts.values()], dtype=np.int64)


def decoded_by_path(facts: Mapping[str, FileFacts]) -> Int64s:
    """Bytes of all row groups of each surveyed file, decoded, in the mapping's order."""
    return np.array([sum(g.uncompressed_bytes for g in f.row_groups) for f in facts.values()], dtype=np.int64)


def read_requests(size_bytes: Int64s, part_bytes: int, chunks: Int64s | None = None) -> Int64s:
    """GETs to read each file: one for a small file, else one for the footer and one a range, at least one for each of its column chunks."""
    ranges = -(-size_bytes // part_bytes)
    requests: Int64s = np.where(size_bytes <= part_bytes, 1, 1 + (ranges if chunks is None else np.maximum(ranges, chunks)))
    return requests


def copy_requests(row_groups: Int64s, copied_bytes: Int64s, assumed: Assumptions) -> Int64s:
    """GETs for row groups that are copied, but for footers: their floats are looked at, and their bytes are read in pieces where the store
    does not copy them by itself, or where they are proven."""
    brought = assumed.proof == "full" or not assumed.store_copies
    requests: Int64s = row_groups * assumed.floats + (-(-copied_bytes // _PIECE) if brought else 0)
    return requests


def write_requests(output_bytes: Int64s, outputs: Int64s, part_bytes: int) -> Int64s:
    """PUTs to write each group's outputs: one for a small output, else one a part and two for the upload around them."""
    each = output_bytes // np.maximum(1, outputs)
    one: Int64s = np.where(each <= part_bytes, 1, 2 + -(-each // part_bytes))
    return outputs * one


def proof_requests(output_bytes: Int64s, outputs: Int64s, rows: Int64s, shares: tuple[Floats, Floats], assumed: Assumptions) -> Int64s:
    """GETs to read each group's outputs again: one for a small output, else its tail, and each column of each of its row groups by itself,
    in pieces. `rows`: of the group, zero where unknown; shares: of its bytes that were copied, and are read in pieces only, and merged."""
    copied, merged = shares
    each = output_bytes // np.maximum(1, outputs)
    decoded = np.maximum(each * assumed.expansion, rows // np.maximum(1, outputs) * assumed.row_bytes)
    row_groups = np.ceil(decoded / _GATHERED) * (1 - copied - merged) + np.ceil(each / _MERGED) * merged
    streamed = 1 + np.ceil(row_groups - _FOOTERS) * assumed.columns + each // _PIECE
    requests: Int64s = (outputs * np.where(each <= _READ_WHOLE, 1, streamed)).astype(np.int64)
    return requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffers:
    """Bounds in bytes of what one worker holds at once: whole files in flight, ranges of a streamed file, decoded rows of a row group."""

    fetch: int
    stream: int
    batch: int
    row_group: int


def buffers(bound: int) -> Buffers:
    """How a worker that may use `bound` divides it."""
    usable = max(bound // 4, bound - 48 * MIB)
    return Buffers(
        fetch=_between(usable // 16, MIB, 16 * MIB),
        stream=_between(usable // 8, MIB, 64 * MIB),
        batch=_between(usable // 64, MIB // 4, 16 * MIB),
        row_group=_between(usable // 8, MIB, 32 * MIB),
    )


def _between(wanted: int, low: int, high: int) -> int:
    return max(low, min(wanted, high))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Load:
    """What memory depends on, one element a group: encoded bytes of all inputs and of the largest, encoded and decoded bytes of one output,
    decoded bytes of the largest row group of an input, encoded bytes of the inputs that are merged page by page, of row groups that are
    surely copied, and how many inputs."""

    inputs: Int64s
    largest: Int64s
    encoded: Int64s
    each_output: Int64s
    row_group: Int64s
    merged: Int64s
    copied: Int64s
    files: Int64s


def group_memory(load: Load, bound: int, assumed: Assumptions) -> Int64s:
    """Predicted peak of each group, at most `bound`."""
    held = buffers(bound)
    fetched = np.minimum(load.inputs, np.where(load.largest <= held.fetch, held.fetch, held.stream))
    batch = np.minimum(load.row_group, held.batch)
    gathered = np.minimum(load.each_output, min(held.row_group, _GATHERED))
    decoding = fetched + batch + np.floor(gathered * assumed.gathered).astype(np.int64)
    proving = 2 * np.minimum(load.encoded, _between(bound // 8, MIB, 32 * MIB)) + 2 * batch
    rest = load.inputs - load.merged
    decoded = np.where(rest - load.copied > _FOOTERS * load.inputs, rest, 0)
    churned = np.minimum(decoded * 3 // 4, _CHURNED)  # what allocators do not give back at once
    proving = np.where(decoded + load.merged > 0, proving, 0)  # what is copied is compared piece by piece
    rewriting = np.maximum(np.where(decoded > 0, decoding, 0), _merging(load, held, assumed) + np.where(load.merged > 0, batch, 0))
    rewriting = np.maximum(rewriting, np.minimum(load.copied, _copying(held)))
    need = assumed.floor_bytes + np.maximum(churned, np.minimum(load.merged // 2, _MERGED_CHURNED)) + np.maximum(rewriting, proving)
    peak: Int64s = np.minimum(need, bound).astype(np.int64)
    return peak


def _copying(held: Buffers) -> int:
    """What is held of row groups that are copied: pieces under way, and the one that is being written (rewriting/copying.py)."""
    size = max(1, min(_PIECE, held.stream // 2))
    return size * (1 + max(1, min(_COPIES_IN_FLIGHT, held.stream // size - 1)))


def _merging(load: Load, held: Buffers, assumed: Assumptions) -> Int64s:
    """What merging takes of each group: files ahead, those that wait, those of the row group that is being written, and what is made."""
    whole = np.minimum(load.merged, held.fetch + 2 * held.row_group)
    made = np.floor(_MADE * np.minimum(load.merged, held.row_group)).astype(np.int64)
    chunks = np.where(load.merged > 0, load.files * assumed.columns * _CHUNK, 0)
    taken: Int64s = whole + made + chunks
    return taken


def decoded_estimate(size_bytes: Int64s, rows: Int64s, assumed: Assumptions) -> Int64s:
    """Decoded bytes of each file whose footer nobody read. `rows`: below zero where unknown."""
    by_size = np.floor(size_bytes * assumed.expansion)
    decoded: Int64s = np.maximum(by_size, np.floor(rows * assumed.row_bytes)).astype(np.int64)
    return decoded


def row_bytes(schema: pa.Schema) -> float:
    """Bytes of a decoded row of this schema, at least: fixed widths, and for values of any length what they cost when they are short."""
    return float(sum(_value_bytes(field.type) for field in schema))


def _value_bytes(kind: pa.DataType) -> float:
    if pa.types.is_struct(kind):
        return sum(_value_bytes(field.type) for field in kind)
    if pa.types.is_map(kind):
        return 4 + _value_bytes(kind.key_type) + _value_bytes(kind.item_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return 4 + _value_bytes(kind.value_type)
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return 8.0


def _floats(kind: pa.DataType) -> int:
    """Leaves that are floats, and in no list or map."""
    if pa.types.is_struct(kind):
        return sum(_floats(field.type) for field in kind)
    return int(pa.types.is_float32(kind) or pa.types.is_float64(kind))


def _leaves(kind: pa.DataType) -> int:
    return sum(_leaves(kind.field(i).type) for i in range(kind.num_fields)) if pa.types.is_nested(kind) else 1


def task_seconds(inputs: Int64s, requests: Int64s, assumed: Assumptions) -> Floats:
    """Seconds of each group by itself."""
    each: Floats = inputs / assumed.bytes_per_s + requests * assumed.request_s
    return each


def run_seconds(each: Floats, parallelism: int) -> float:
    """Seconds of a run: the even share of all groups, or the longest group alone where that is more."""
    if each.shape[0] == 0:
        return 0.0
    return float(max(each.sum() / max(1, min(parallelism, each.shape[0])), each.max()))
