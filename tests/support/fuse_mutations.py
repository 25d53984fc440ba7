"""Parquet files with something in them changed, merged between two good ones, each seed a case: refused, or exactly pyarrow's rows.

    python -m support.fuse_mutations 100 200      cases 100 to 199: a line of JSON before every hundredth, counts of outcomes at last

In a process of its own, because the kernel must never end one. Even seeds change bytes inside pages, odd ones also footers and page headers
(mutations.py). `lenient`: pyarrow refuses a file for side matters of its footer, and it is merged as it was; `as damaged`: in what
is kept compressed there is damage, as unreadable before as after.
"""

from __future__ import annotations

import functools
import io
import json
import random
import struct
import sys
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.rewrite import WriteSpec
from compactor.rewriting.arrow_writer import empty_footer
from compactor.rewriting.assembly import MAGIC, Assembly, Moves
from compactor.rewriting.fragment import ChunkExtras, Range
from compactor.rewriting.native import KERNELS
from compactor.rewriting.thrift_compact import read_struct, write_struct
from support.mutations import mutated, original, rows

CODECS = ("snappy", "zstd", "none")
_WRITERS = 7
_MANY_ROWS = 6000
_LARGE: list[dict[str, Any]] = [{"compression": codec, "use_dictionary": dictionary} for codec in CODECS for dictionary in (True, False)]
"""How files are written whose pages are large enough to be kept compressed as they are."""


def main(first: int, last: int) -> None:
    """Every case from `first` to before `last`; ends the process with 1 for a wrong one."""
    outcomes: Counter[str] = Counter()
    for seed in range(first, last):
        if seed % 100 == 0:
            print(json.dumps({"seed": seed}), flush=True)
        outcome = case(seed)
        outcomes[outcome] += 1
        if outcome in ("WRONG", "UNREADABLE", "FAULT"):
            print(json.dumps({"seed": seed, "outcome": outcome}), flush=True)
    print(json.dumps(outcomes), flush=True)
    sys.exit(any(outcomes[kind] for kind in ("WRONG", "UNREADABLE", "FAULT")))


def case(seed: int) -> str:
    """What becomes of the file of this seed between two good ones."""
    data = mutated(seed) if seed % 2 else changed(seed)
    large = seed % 4 == 2
    good, whole = (_large(0), rows(_MANY_ROWS)) if large else (original(0), rows())
    try:
        merged = merge([good, data, good], CODECS[seed // 4 % len(CODECS)])
    except KERNELS.FuseRefused as refused:  # type: ignore[union-attr]
        return "FAULT" if "fault" in refused.args[0] else "refused"
    try:
        found = pq.read_table(io.BytesIO(merged))
    except (pa.ArrowException, OSError):
        return "UNREADABLE" if _expected(data, whole.schema) is not None else "as damaged"
    expected = _expected(data, found.schema)
    mine = found.slice(whole.num_rows, found.num_rows - 2 * whole.num_rows)
    around = (found.slice(0, whole.num_rows), found.slice(found.num_rows - whole.num_rows))
    if not all(same(one, whole) for one in around):
        return "WRONG"
    if expected is None:
        return "lenient"
    return "equal" if same(mine, expected) else "WRONG"


def changed(seed: int) -> bytes:
    """A file with a few bytes changed, all of them before its footer."""
    chance = random.Random(seed)
    data = bytearray(_large(chance.randrange(len(_LARGE))) if seed % 4 == 2 else original(chance.randrange(_WRITERS)))
    (length,) = struct.unpack("<I", data[-8:-4])
    end = len(data) - 8 - length
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at, other = chance.randrange(4, end), chance.randrange(4, end)
        n = min(chance.randrange(1, 9), end - at, end - other)
        match chance.randrange(5):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.choice((0, 1, 2, 3, 4, 127, 128, 255))
            case 2:
                data[at] = (data[at] + chance.choice((1, -1, 2, -2))) % 256
            case 3:
                data[at] = data[other]
            case _:
                data[at : at + n] = data[other : other + n]
    return bytes(data)


@functools.cache
def _large(writer: int) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows(_MANY_ROWS), buffer, **_LARGE[writer])
    return buffer.getvalue()


@functools.cache
def _target(codec: str) -> tuple[Any, Any]:
    assert KERNELS is not None
    footer = empty_footer(rows().schema, WriteSpec(compression=codec))
    return footer, KERNELS.FuseTarget(write_struct(footer), False, codec, 1)


def _sources(target: Any, files: list[bytes]) -> list[Any]:
    assert KERNELS is not None
    found = KERNELS.fuse_sources(target, files, 1)
    if refused := [source for source in found if isinstance(source, str)]:
        raise KERNELS.FuseRefused(refused[0], None)
    return found


def merge(files: list[bytes], codec: str) -> bytes:
    """One file of one row group. Raises the kernel's FuseRefused."""
    assert KERNELS is not None
    footer, target = _target(codec)
    fused = KERNELS.fuse(target, _sources(target, files), [True] * target.leaves, False, 1)
    group, _ = read_struct(fused.row_group(0))
    indexes = zip(fused.column_indexes(), fused.offset_indexes(0), strict=True)
    extras = [ChunkExtras(column_index=column, offset_index=read_struct(offset)[0]) for column, offset in indexes]
    pages = fused.read(0, fused.size_bytes)
    assembly = Assembly(footer, "lakehouse-compactor version 0")
    assembly.add(group, Moves([(Range(0, len(pages)), len(MAGIC))]), extras)
    return MAGIC + pages + assembly.tail(len(MAGIC) + len(pages))


def _expected(data: bytes, schema: pa.Schema) -> pa.Table | None:
    """What pyarrow reads, as these columns; None when it refuses, or reads types that it cannot turn into these."""
    try:
        file = pq.ParquetFile(
            io.BytesIO(data), coerce_int96_timestamp_unit="us", arrow_extensions_enabled=False, page_checksum_verification=True
        )
        stored = file.read(use_threads=False)
        found = {name.lower(): name for name in stored.column_names}
        columns = [
            stored.column(found[field.name.lower()]).cast(field.type)
            if field.name.lower() in found
            else pa.nulls(stored.num_rows, field.type)
            for field in schema
        ]
        return pa.table(columns, schema=schema)
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError):
        return None


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether all values are the same, bit by bit."""
    return one.num_rows == other.num_rows and all(_bits(a).equals(_bits(b)) for a, b in zip(one.columns, other.columns, strict=True))


def _bits(column: pa.ChunkedArray) -> pa.Array:
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    array = pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
    return array.view(pa.int64()) if pa.types.is_float64(array.type) else array


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
