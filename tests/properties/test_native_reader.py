"""The native reader of the proof says of every file what Arrow says of it, or leaves it to Arrow; whatever is done to its bytes."""

from __future__ import annotations

import datetime
import math
import random
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pytest
from support import rewriting as kit
from support.parquet_footer import Reader, member, packed
from support.parquet_pages import pages

from compactor.model.fingerprint import Fingerprint
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.rewriting.arrow_reader import rows_of
from compactor.rewriting.budget import divide
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.native import KERNELS, STATUS
from compactor.rewriting.native_reader import NativeReader
from compactor.rewriting.opened import Opener
from compactor.rewriting.problems import FileProblem
from compactor.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
MIB = 1024 * 1024

FLAT: list[tuple[str, pa.DataType]] = [
    ("b", pa.bool_()),
    ("i8", pa.int8()),
    ("i16", pa.int16()),
    ("i32", pa.int32()),
    ("i64", pa.int64()),
    ("f", pa.float32()),
    ("x", pa.float64()),
    ("day", pa.date32()),
    ("at", pa.timestamp("us", "UTC")),
    ("local", pa.timestamp("us")),
    ("d5", pa.decimal128(5, 2)),
    ("d17", pa.decimal128(17, 4)),
    ("d38", pa.decimal128(38, 10)),
    ("s", pa.string()),
    ("raw", pa.binary()),
]
POINT = pa.struct([("x", pa.int32()), ("s", pa.string()), ("inner", pa.struct([("y", pa.float64()), ("few", pa.list_(pa.int64()))]))])
NESTED: list[tuple[str, pa.DataType]] = [
    ("list", pa.list_(pa.string())),
    ("lists", pa.list_(pa.list_(pa.int32()))),
    ("point", POINT),
    ("points", pa.list_(POINT)),
    ("map", pa.map_(pa.string(), pa.int64())),
    ("deep", pa.map_(pa.int32(), pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.list_(pa.bool_())))])))),
]
SCHEMA = pa.schema(FLAT + NESTED)

WRITERS: list[dict[str, Any]] = [
    {},
    {"compression": "none", "use_dictionary": False},
    {"compression": "zstd", "data_page_version": "2.0", "data_page_size": 300, "write_batch_size": 7},
    {"compression": "gzip", "row_group_size": 37, "dictionary_pagesize_limit": 100, "write_page_checksum": True},
    {"compression": "lz4", "use_dictionary": False, "store_decimal_as_integer": True, "data_page_size": 100, "write_batch_size": 3},
    {"compression": "snappy", "store_decimal_as_integer": True, "data_page_version": "2.0", "use_compliant_nested_type": False},
    {
        "use_dictionary": False,
        "compression": "none",
        "column_encoding": {
            **dict.fromkeys(("i8", "i16", "i32", "i64", "day", "at", "local", "point.x"), "DELTA_BINARY_PACKED"),
            **dict.fromkeys(("s", "list.list.element", "d17"), "DELTA_BYTE_ARRAY"),
            **dict.fromkeys(("f", "x", "d38", "point.inner.y"), "BYTE_STREAM_SPLIT"),
            "raw": "DELTA_LENGTH_BYTE_ARRAY",
            "b": "RLE",
        },
    },
    {"use_dictionary": False, "column_encoding": {"i64": "BYTE_STREAM_SPLIT", "i32": "BYTE_STREAM_SPLIT", "d5": "BYTE_STREAM_SPLIT"}},
]


def value(kind: pa.DataType, chance: random.Random, nulls: float) -> Any:
    """Some value of a type, of few or of many different ones."""
    if chance.random() < nulls:
        return None
    types, few = pa.types, chance.random() < 0.7
    if types.is_boolean(kind):
        return chance.random() < 0.4
    if types.is_integer(kind):
        bits = 3 if few else kind.bit_width - 1
        return chance.randrange(-(1 << bits), 1 << bits)
    if types.is_float32(kind):
        return chance.choice([0.0, -0.0, math.nan, -math.inf, 1.5, -2.25, float(chance.randrange(1 << 20))])
    if types.is_floating(kind):
        return chance.choice([0.0, -0.0, math.nan, math.inf, 1.5, chance.random(), -chance.random() * 1e300])
    if types.is_date(kind):
        return datetime.date(1960, 1, 1) + datetime.timedelta(days=chance.randrange(5 if few else 40_000))
    if types.is_timestamp(kind):
        zone = datetime.UTC if kind.tz else None
        return datetime.datetime(1950, 1, 1, tzinfo=zone) + datetime.timedelta(microseconds=chance.randrange(9 if few else 1 << 52))
    if types.is_decimal(kind):
        most = 10 if few else 10**kind.precision
        return Decimal(chance.randrange(1 - most, most)).scaleb(-kind.scale)
    if types.is_string(kind):
        texts = ["", "a", "é", "exactly8", "a text of some length", "z" * 200]
        return chance.choice(texts) if few else f"{chance.random()}" * chance.randrange(5)
    if types.is_binary(kind):
        return chance.randbytes(chance.randrange(1 if few else 40))
    if types.is_struct(kind):
        return {field.name: value(field.type, chance, nulls) for field in kind}
    size = chance.choice([0, 1, 1, 2, 3, 3, 20])
    if types.is_map(kind):
        keys = dict.fromkeys(value(kind.key_type, chance, 0.0) for _ in range(size))
        return [(key, value(kind.item_type, chance, nulls)) for key in keys]
    return [value(kind.value_type, chance, nulls) for _ in range(size)]


def rows(seed: int, count: int, schema: pa.Schema = SCHEMA, nulls: float = 0.2) -> pa.Table:
    chance = random.Random(seed)
    columns = []
    for field in schema:
        share = chance.choice([0.0, nulls, 1.0 if chance.random() < 0.1 else nulls])
        columns.append(pa.array([value(field.type, chance, share) for _ in range(count)], field.type))
    return pa.table(columns, schema=schema)


def by_arrow(data: bytes, spec: ReadSpec) -> Fingerprint:
    """What a worker that decodes makes of a file. Raises what it raises."""
    store = MemoryStore()
    store.put("f", data)
    budget = divide(256 * MIB)
    (fetched,) = Fetcher([InputFile(file=FileKey(path="f"), key="f", size_bytes=len(data))], store, budget)
    return rows_of(Opener(spec, store, budget).open(fetched), budget)


def natively(data: bytes, spec: ReadSpec, most_bytes: int = 16 * MIB) -> Fingerprint | str:
    """In one piece, and row group by row group, from memory and from a file: all the same."""
    reader = NativeReader(spec)
    (found,) = reader.sums([memoryview(data)], most_bytes)
    if isinstance(found, str):
        return found
    known = reader.opened(data)
    pieces = [[memoryview(data)[start : start + length] for start, length in known.chunks(i)] for i in range(known.row_groups)]
    assert sum((known.sum(i, piece, most_bytes) for i, piece in enumerate(pieces)), Fingerprint()) == found
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        assert sum((known.sum_stored(i, file.name, most_bytes) for i in range(known.row_groups)), Fingerprint()) == found
    return found


@pytest.mark.parametrize("kind", range(len(WRITERS)))
@pytest.mark.parametrize("seed", range(6))
def test_it_says_what_arrow_says(seed: int, kind: int) -> None:
    """All types, codecs, page versions and encodings, nulls at every level, lists in lists: the sums are equal."""
    data = kit.parquet(rows(seed, [0, 1, 50, 120, 300, 1100][seed]), **WRITERS[kind])
    assert natively(data, ReadSpec(schema=SCHEMA)) == by_arrow(data, ReadSpec(schema=SCHEMA))


def test_long_pages_and_row_groups_are_read_in_steps() -> None:
    """Row groups of more rows than are taken at once, read side by side or one column after the other."""
    schema = pa.schema([*FLAT, ("list", pa.list_(pa.int32())), ("p", pa.struct([("x", pa.int64())]))])
    part = rows(1, 3000, schema)
    table = pa.concat_tables([part.slice(i % 7) for i in range(30)])
    data = kit.parquet(table, row_group_size=1 << 20)
    expected = by_arrow(data, ReadSpec(schema=schema))
    assert natively(data, ReadSpec(schema=schema)) == expected == natively(data, ReadSpec(schema=schema), 2 * MIB)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("stop", [0, 8, 64, 73, 200, 201, 1000])
def test_values_that_are_all_different_up_to_some_page(stop: int, version: str) -> None:
    """A dictionary is taken in order as long as pages ask for it so, and looked up in from there on: of numbers, texts, decimals with nulls
    between them and in lists."""
    order = [*range(stop), *(i * 7 % max(1, stop) for i in range(97)), *range(stop, stop + 40)]
    made = {
        "i": pa.array(order, pa.int64()),
        "x": pa.array([i / 3 for i in order], pa.float64()),
        "d": pa.array([Decimal(i).scaleb(-2) for i in order], pa.decimal128(9, 2)),
        "s": pa.array([f"{i}" * (i % 5) + f"-{i}" for i in order]),
        "n": pa.array([None if i % 11 == 3 else i for i in order], pa.int32()),
        "l": pa.array([[i, None, i + 100_000] for i in order], pa.list_(pa.int32())),
    }
    table = pa.table(made)
    for page_bytes, batch in ((1, 8), (1, 24), (1 << 20, 1024)):
        data = kit.parquet(table, data_page_size=page_bytes, write_batch_size=batch, data_page_version=version)
        assert natively(data, ReadSpec(schema=table.schema)) == by_arrow(data, ReadSpec(schema=table.schema))


def test_files_of_other_writers_are_read(tmp_path: Path) -> None:
    """DuckDB, Polars and deltalake write the same rows in their own ways."""
    flat = pa.schema([one for one in FLAT if one[0] not in ("i8", "i16", "d5", "raw")] + [NESTED[0], NESTED[1], NESTED[3]])
    for count in (60, 5000):
        table = rows(count, count, flat, 0.1)
        duckdb.sql(f"COPY \"table\" TO '{tmp_path}/duckdb' (FORMAT parquet)")
        pl.DataFrame(table).write_parquet(tmp_path / "polars")
        deltalake.write_deltalake(tmp_path / str(count), table)
        (delta,) = deltalake.DeltaTable(tmp_path / str(count)).file_uris()
        for path in (tmp_path / "duckdb", tmp_path / "polars", Path(delta)):
            data = path.read_bytes()
            for field in flat:
                spec = ReadSpec(schema=pa.schema([field]))
                found = natively(data, spec)
                assert found == by_arrow(data, spec), (path.name, field.name)


def test_columns_that_a_file_lacks_or_the_table_has_dropped() -> None:
    """Missing ones are null, at any level; dropped ones do not count; a struct counts that has nothing left but dropped fields."""
    table = rows(3, 200)
    point = pa.struct([("new", pa.int64()), ("inner", pa.struct([("also", pa.string())]))])
    wanted = pa.schema([("absent", pa.int32()), ("s", pa.string()), ("point", point), ("points", pa.list_(point))])
    for names in (SCHEMA.names, ["point"], ["points", "s"]):
        data = kit.parquet(table.select(names))
        assert natively(data, ReadSpec(schema=wanted)) == by_arrow(data, ReadSpec(schema=wanted))


def test_columns_are_found_by_id_where_the_table_says_so() -> None:
    """Under other names, too; a file without ids is left to Arrow."""

    def with_id(name: str, kind: pa.DataType, number: int) -> pa.Field:
        return pa.field(name, kind, metadata={"PARQUET:field_id": str(number)})

    inner = pa.struct([with_id("y", pa.int64(), 4), with_id("z", pa.string(), 5)])
    stored = pa.schema([with_id("a", pa.int64(), 1), with_id("b", pa.int64(), 2), with_id("p", inner, 3)])
    asked = pa.struct([with_id("z2", pa.string(), 5), with_id("y2", pa.int64(), 4)])
    wanted = pa.schema([with_id("b", pa.int64(), 1), with_id("q", asked, 3), with_id("a", pa.int64(), 9)])
    spec, data = ReadSpec(schema=wanted, match="id"), kit.parquet(rows(4, 100, stored))
    assert natively(data, spec) == by_arrow(data, spec)
    assert isinstance(natively(kit.parquet(rows(4, 10)), spec), str)


@pytest.mark.parametrize(
    ("stored", "wanted", "options"),
    [
        (pa.int32(), pa.int64(), {}),
        (pa.float32(), pa.float64(), {}),
        (pa.timestamp("ms"), pa.timestamp("us"), {}),
        (pa.timestamp("us"), pa.timestamp("us"), {"use_deprecated_int96_timestamps": True}),
        (pa.decimal128(5, 2), pa.decimal128(7, 2), {}),
        (pa.decimal128(5, 2), pa.decimal128(7, 3), {}),
        (pa.binary(), pa.string(), {}),
        (pa.date32(), pa.timestamp("us"), {}),
        (pa.int64(), pa.int64(), {"compression": "brotli"}),
    ],
)
def test_what_is_converted_or_unknown_is_left_to_arrow(stored: pa.DataType, wanted: pa.DataType, options: dict[str, Any]) -> None:
    """Widened types, other units and old forms are no business of the native reader: it says so and does not guess."""
    data = kit.parquet(rows(5, 50, pa.schema([("c", stored)]), 0.0), **options)
    assert isinstance(natively(data, ReadSpec(schema=pa.schema([("c", wanted)]))), str)


def test_names_that_differ_in_case_are_left_to_arrow() -> None:
    """Which column is meant then is decided in one place only."""
    data = kit.parquet(pa.table({"A": [1], "a": [2]}))
    assert isinstance(natively(data, ReadSpec(schema=pa.schema([("a", pa.int64())]))), str)
    assert isinstance(natively(kit.parquet(pa.table({"A": [1]})), ReadSpec(schema=pa.schema([("a", pa.int64())]))), str)


@pytest.mark.parametrize("field", [pa.field("c", kind) for kind in (pa.int32(), pa.int64(), pa.decimal128(20, 2))], ids=str)
def test_a_dictionary_that_is_shorter_than_its_header_says_is_refused(field: pa.Field) -> None:
    """In words of its own: a fault of the reader would show on the screen of whoever runs a compaction."""
    data = kit.parquet(rows(6, 40, pa.schema([field]), 0.0), compression="none")
    dictionary = pages(data, 0)[0]
    header = Reader(data, dictionary.start)
    told = header.struct()
    member(told, 7, 1).value += 1
    changed = data[: dictionary.start] + packed(told) + data[header.at :]
    assert natively(changed, ReadSpec(schema=pa.schema([field]))) == "a dictionary has fewer values than its header says"


def test_a_footer_that_ends_before_its_length_says_is_refused() -> None:
    """Bytes behind the last field of a footer, within its length, have it left to Arrow."""
    table = rows(1, 50)
    data = kit.parquet(table)
    length = int.from_bytes(data[-8:-4], "little")
    longer = data[:-8] + bytes(16) + (length + 16).to_bytes(4, "little") + data[-4:]
    assert isinstance(natively(data, ReadSpec(schema=table.schema)), Fingerprint)
    assert natively(longer, ReadSpec(schema=table.schema)) == "its footer ends early"


def test_changed_bytes_are_refused_or_read_as_arrow_reads_them() -> None:
    """Whatever is changed in pages, levels, headers or footers: no panic, no wild allocation, and seldom rows that Arrow does not see."""
    spec, counts, chance = ReadSpec(schema=SCHEMA), Counter[str](), random.Random(11)
    sound = [kit.parquet(rows(i, 40), **options) for i, options in enumerate(WRITERS)]
    for case in range(1200):
        data = bytearray(sound[case % len(sound)])
        for _ in range(chance.choice([1, 1, 2, 5])):
            at = chance.randrange(4, len(data) - 8)
            data[at] = chance.choice([data[at] ^ 1 << chance.randrange(8), chance.randrange(256), 0, 255])
        (found,) = NativeReader(spec).sums([memoryview(bytes(data))], 16 * MIB)
        if isinstance(found, str):
            assert "fault" not in found, (case, found)
            counts["refused"] += 1
            continue
        try:
            same = found == by_arrow(bytes(data), spec)
        except (FileProblem, pa.ArrowException, OSError, ValueError, IndexError):
            counts["lenient"] += 1
        else:
            assert same, case
            counts["equal"] += 1
    assert counts["refused"] > 200 and counts["equal"] > 200, counts
    assert counts["lenient"] < 60, counts
