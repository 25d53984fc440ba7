"""Our codec of Thrift's compact protocol: what it reads it writes again, and bytes that are no message end in ThriftProblem."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from support import parquet_footer as other

from compactor.rewriting import thrift_compact as thrift
from compactor.rewriting.thrift_compact import Items, Pairs, Struct, ThriftProblem, read_struct, write_struct

_NUMBERS = {thrift.I16: 15, thrift.I32: 31, thrift.I64: 63}
_ROWS = pa.table(
    {
        "n": pa.array(range(500), pa.int64()),
        "s": pa.array([None if i % 7 == 0 else f"value {i % 20}" * (i % 9) for i in range(500)]),
        "x": pa.array([i / 3 for i in range(500)]),
        "l": pa.array([[i, None] if i % 3 else None for i in range(500)], pa.list_(pa.int32())),
        "p": pa.array([{"a": i, "b": [{"c": str(i)}]} for i in range(500)]),
    }
)


def _values(kind: int, below: st.SearchStrategy[Struct]) -> st.SearchStrategy[Any]:
    if kind in _NUMBERS:
        return st.integers(-(1 << _NUMBERS[kind]), (1 << _NUMBERS[kind]) - 1)
    return {
        thrift.BYTE: st.integers(0, 255),
        thrift.DOUBLE: st.binary(min_size=8, max_size=8),
        thrift.UUID: st.binary(min_size=16, max_size=16),
        thrift.BINARY: st.binary(max_size=300),
        thrift.STRUCT: below,
    }[kind]


_PLAIN = (thrift.BYTE, *_NUMBERS, thrift.DOUBLE, thrift.UUID, thrift.BINARY, thrift.STRUCT)


def _fields(below: st.SearchStrategy[Struct]) -> st.SearchStrategy[tuple[int, Any]]:
    plain = st.sampled_from(_PLAIN)
    single = plain.flatmap(lambda kind: st.tuples(st.just(kind), _values(kind, below)))
    truth = st.tuples(st.just(thrift.TRUE), st.booleans())
    items = plain.flatmap(lambda kind: st.lists(_values(kind, below), max_size=20).map(lambda found: Items(kind, tuple(found))))
    lists = st.tuples(st.sampled_from((thrift.LIST, thrift.SET)), items)
    pairs = st.tuples(plain, plain).flatmap(
        lambda kinds: st.lists(st.tuples(_values(kinds[0], below), _values(kinds[1], below)), max_size=4).map(
            lambda found: Pairs(*(kinds if found else (0, 0)), tuple(found))
        )
    )
    return st.one_of(single, truth, lists, st.tuples(st.just(thrift.MAP), pairs))


def _structs(below: st.SearchStrategy[Struct]) -> st.SearchStrategy[Struct]:
    return st.dictionaries(st.integers(-(1 << 15), (1 << 15) - 1), _fields(below), max_size=6).map(Struct)


_ANY = st.recursive(st.just(Struct({})), _structs, max_leaves=12)


@settings(max_examples=200, deadline=None)
@given(_ANY)
def test_every_message_is_read_as_it_was_written(message: Struct) -> None:
    """Any fields of any kinds under any ids come back, and take exactly the bytes that were written."""
    data = write_struct(message)
    assert read_struct(data + b"more") == (message, len(data))


def _footers(folder: Path) -> dict[str, bytes]:
    pq.write_table(_ROWS, folder / "pyarrow.parquet", write_page_index=True, row_group_size=100)
    pq.write_table(_ROWS, folder / "v2.parquet", data_page_version="2.0", compression="zstd", store_decimal_as_integer=True)
    pl.DataFrame(_ROWS).write_parquet(folder / "polars.parquet", row_group_size=100)
    duckdb.from_arrow(_ROWS).write_parquet(str(folder / "duckdb.parquet"))
    write_deltalake(folder / "table", _ROWS)
    return {path.stem: path.read_bytes() for path in folder.rglob("*.parquet")}


def _footer(data: bytes) -> bytes:
    (length,) = struct.unpack("<I", data[-8:-4])
    return data[-8 - length : -8]


def test_footers_and_page_indexes_of_writers_come_out_byte_for_byte(tmp_path: Path) -> None:
    """Footers of pyarrow, Polars, DuckDB and deltalake, and their page indexes, are the same bytes after reading and writing."""
    files = _footers(tmp_path)
    assert len(files) == 5
    indexes = 0
    for data in files.values():
        footer, taken = read_struct(_footer(data))
        assert (write_struct(footer), taken) == (_footer(data), len(_footer(data)))
        for group in footer.structs(4):
            for chunk in group.structs(1):
                for offset, length in ((4, 5), (6, 7)):
                    if (start := chunk.integer(offset)) is not None:
                        index = data[start : start + chunk.whole(length)]
                        assert write_struct(read_struct(index)[0]) == index
                        indexes += 1
    assert indexes > 20


def test_another_codec_reads_the_same_footer(tmp_path: Path) -> None:
    """What the codec of the damage tests, which shares no code with ours, finds in a footer is what ours finds."""
    data = _footers(tmp_path)["pyarrow"]
    ours, theirs = read_struct(_footer(data))[0], other.split(data)[1]
    assert list(ours.fields) == [field.id for field in theirs]
    assert ours.integer(3) == other.member(theirs, *other.NUM_ROWS).value
    chunk = ours.structs(4)[0].structs(1)[0].struct(3)
    assert chunk is not None
    assert chunk.integer(7) == other.member(theirs, *other.CHUNK_COMPRESSED).value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    """Random bytes are a message or a ThriftProblem, and nothing else."""
    try:
        message, taken = read_struct(data)
    except ThriftProblem:
        return
    assert taken <= len(data)
    assert read_struct(write_struct(message))[0] == message


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x1c" * 1_000 + b"\0" * 1_001, "nested too deeply"),
        (b"\x19" * 2 + b"\x19" * 1_000, "nested too deeply"),
        (b"\x19\xfc\xff\xff\xff\xff\x07", "more values than it may have"),
        (b"\x18\xff\xff\xff\xff\x07ab", "ends too early"),
        (b"\x16" + b"\xff" * 11, "does not end"),
        (b"\x16\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00", "too large"),
        (b"\x14\xff\xff\x7f\x00", "too large for its kind"),
        (b"\x15\x02\x05\x02\x02\x00", "there twice"),
        (b"\x1e\x00", "no kind 14"),
        (b"\x15\x02", "ends too early"),
    ],
)
def test_each_bound_holds(data: bytes, problem: str) -> None:
    """Depth, counts, lengths and numbers beyond their bounds are named."""
    with pytest.raises(ThriftProblem, match=problem):
        read_struct(data)


def test_a_message_of_many_empty_values_is_refused() -> None:
    """A small message cannot become more values than are allowed."""
    data = b"\x19\xfc\xe8\x07" + b"\0" * 1_001
    assert len(read_struct(data)[0].structs(1)) == 1_000
    with pytest.raises(ThriftProblem, match="more values"):
        read_struct(data, most_values=1_000)


def test_fields_of_another_kind_are_not_taken_for_what_was_asked() -> None:
    """A number where a struct should be is a ThriftProblem, and so is a missing or negative size."""
    message = Struct({1: (thrift.I32, -1), 2: (thrift.LIST, Items(thrift.I32, (1,)))})
    for ask in (lambda: message.struct(1), lambda: message.whole(1), lambda: message.whole(9), lambda: message.structs(2)):
        with pytest.raises(ThriftProblem):
            ask()
    assert message.changed({1: None, 0: (thrift.TRUE, True)}).fields == {0: (thrift.TRUE, True), 2: message.fields[2]}
