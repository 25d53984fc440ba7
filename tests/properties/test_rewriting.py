"""Rewriting changes no row: for any schemas, values and deletes, outputs are what a plain reading of the inputs says.

The expected rows are computed here in plain Python from the values that were written, never by the code under test.
"""

from __future__ import annotations

import datetime as dt
import math
import string
from dataclasses import dataclass
from decimal import Context, Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.rewriting import inline_deletes, job_of, parquet, put, read_back, rewritten, run, streamed

from compactor.model.rewrite import ColumnStatistics, InputFile, StatisticsColumn
from compactor.rewriting.leaves import leaves
from compactor.storage.memory import MemoryStore

EXACT = Context(prec=60)
DAY_0 = dt.date(1970, 1, 1)
Rows = list[dict[str, Any]]

INT_BITS = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
LEAVES = st.sampled_from(
    [
        *INT_BITS.values(),
        pa.float32(),
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.binary(),
        pa.date32(),
        pa.timestamp("us", "UTC"),
        pa.timestamp("us"),
        pa.decimal128(9, 2),
        pa.decimal128(20, 4),
        pa.decimal128(38, 10),
    ]
)
NAMES = st.text(string.ascii_letters + "0123456789_. é", min_size=1, max_size=6)


def named(fields: st.SearchStrategy[pa.DataType], smallest: int) -> st.SearchStrategy[list[pa.Field]]:
    """Fields whose names differ also without regard to case."""
    pairs = st.lists(st.tuples(NAMES, fields), min_size=smallest, max_size=4, unique_by=lambda pair: pair[0].lower())
    return pairs.map(lambda found: [pa.field(name, kind) for name, kind in found])


def nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    return st.one_of(
        named(inner, 1).map(pa.struct),
        inner.map(lambda kind: pa.list_(pa.field("element", kind))),
        st.tuples(st.sampled_from([pa.string(), pa.int32(), pa.date32()]), inner).map(lambda pair: pa.map_(*pair)),
    )


TYPES = st.recursive(LEAVES, nested, max_leaves=4)


def value(rng: Random, kind: pa.DataType, nulls: float = 0.25) -> Any:
    """A value of a type as Python has it, perhaps null; timestamps as integers of their unit, as datetime cannot hold them all.

    From a seeded generator: drawing every value by itself would take hypothesis most of the time.
    """
    types = pa.types
    if rng.random() < nulls:
        return None
    if types.is_struct(kind):
        return {field.name: value(rng, field.type) for field in kind}
    if types.is_map(kind):
        keys = dict.fromkeys(value(rng, kind.key_type, 0) for _ in range(rng.randrange(4)))
        return [(key, value(rng, kind.item_type)) for key in keys]
    if types.is_list(kind):
        return [value(rng, kind.value_type) for _ in range(rng.randrange(4))]
    return leaf_value(rng, kind)


def leaf_value(rng: Random, kind: pa.DataType) -> Any:
    types = pa.types
    if types.is_integer(kind):
        largest = 2 ** (kind.bit_width - 1)
        return rng.choice([0, 1, -1, largest - 1, -largest, rng.randrange(-largest, largest)])
    if types.is_floating(kind):
        few = [0.0, -0.0] if rng.random() < 0.5 else [0.0, -0.0, -1.5, 0.25, 2.0**100, math.inf, -math.inf]
        return math.nan if rng.random() < 0.02 else rng.choice(few)
    if types.is_decimal(kind):
        largest = 10**kind.precision - 1
        return Decimal(rng.choice([0, largest, -largest, rng.randint(-largest, largest)])).scaleb(-kind.scale, EXACT)
    if types.is_date(kind):
        return dt.date.fromordinal(rng.choice([1, 3652059, rng.randrange(1, 3652060)]))
    if types.is_timestamp(kind):
        per_s = {"ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}[kind.unit]
        seconds = 2**32 if kind.unit == "ns" else 250_000_000_000
        whole = 1000 if kind.unit == "ns" else 1  # finer ones are refused: see test_nanoseconds_are_not_cut
        return rng.choice([0, -whole, whole, rng.randrange(-seconds * per_s, seconds * per_s) // whole * whole])
    if types.is_boolean(kind):
        return rng.random() < 0.5
    text = rng.choice(["same", "", "long" * 40, "\U0001f600" * 70, "x" * 5000, "é", str(rng.random())])
    return text.encode() if types.is_binary(kind) else text


def older(draw: st.DrawFn, kind: pa.DataType) -> pa.DataType:
    """A type that a file from before the table's changes may have: narrower, or with other fields."""
    types = pa.types
    if types.is_struct(kind):
        kept = [pa.field(respelled(draw, field.name), older(draw, field.type)) for field in kind if draw(st.integers(0, 4))]
        gone = [pa.field("no longer", draw(LEAVES))] if draw(st.booleans()) or not kept else []
        return pa.struct(draw(st.permutations(kept + gone)))
    if types.is_map(kind):
        return pa.map_(kind.key_type, older(draw, kind.item_type))
    if types.is_list(kind):
        return pa.list_(pa.field("element", older(draw, kind.value_type)))
    choices = [kind, kind]
    if types.is_integer(kind):
        choices += [narrow for bits, narrow in INT_BITS.items() if bits <= kind.bit_width]
    elif types.is_float64(kind):
        choices += [pa.float32(), pa.int32(), pa.int8()]
    elif types.is_decimal(kind):
        choices += [pa.decimal128(max(1, kind.precision - 6), max(0, kind.scale - 2))]
        choices += [pa.int32()] if kind.precision - kind.scale >= 10 else []
    elif types.is_timestamp(kind):
        choices += [pa.timestamp("ms", kind.tz), pa.timestamp("ns", kind.tz), *([pa.date32()] if kind.tz is None else [])]
    return draw(st.sampled_from(choices))


def respelled(draw: st.DrawFn, name: str) -> str:
    return name.upper() if name.upper().lower() == name.lower() and draw(st.integers(0, 9)) == 0 else name


def expected(value: Any, source: pa.DataType, target: pa.DataType) -> Any:
    """What a value of a file must have become, compared by `canonical`."""
    types = pa.types
    if value is None:
        return None
    if types.is_struct(target):
        by_name = {field.name.lower(): field for field in source}
        found = {field.name: by_name.get(field.name.lower()) for field in target}
        return {f.name: expected(value[s.name], s.type, f.type) if (s := found[f.name]) is not None else None for f in target}
    if types.is_map(target):
        return [(canonical(k, target.key_type), expected(v, source.item_type, target.item_type)) for k, v in value]
    if types.is_list(target):
        return [expected(v, source.value_type, target.value_type) for v in value]
    if types.is_timestamp(target):
        if types.is_date(source):
            return (value - DAY_0).days * 86_400_000_000
        return {"ms": value * 1000, "us": value, "ns": value // 1000}[source.unit]
    if types.is_decimal(target):
        return Decimal(value)
    if types.is_floating(target):
        return canonical(float(value), target)
    return value


def canonical(value: Any, kind: pa.DataType) -> Any:
    """A read value in the form that `expected` gives: timestamps as microseconds, NaN as text, the sign of zero kept."""
    types = pa.types
    if value is None:
        return None
    if types.is_struct(kind):
        return {field.name: canonical(value[field.name], field.type) for field in kind}
    if types.is_map(kind):
        return [(canonical(k, kind.key_type), canonical(v, kind.item_type)) for k, v in value]
    if types.is_list(kind):
        return [canonical(v, kind.value_type) for v in value]
    if types.is_floating(kind):
        return "NaN" if math.isnan(value) else (value, math.copysign(1, value))
    return value


def as_integers(kind: pa.DataType) -> pa.DataType:
    """The type with its timestamps as integers: comparisons then need no datetime, which cannot hold them all."""
    types = pa.types
    if types.is_struct(kind):
        return pa.struct([field.with_type(as_integers(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(kind.key_type, as_integers(kind.item_type))
    if types.is_list(kind):
        return pa.list_(pa.field("element", as_integers(kind.value_type)))
    return pa.int64() if types.is_timestamp(kind) else kind


def array(rows: list[Any], kind: pa.DataType) -> pa.Array:
    """Python values, timestamps as integers, as an array of the type."""
    return pa.array(rows, as_integers(kind)).cast(kind) if kind != as_integers(kind) else pa.array(rows, kind)


@dataclass(frozen=True)
class Case:
    """A table schema, files written under older schemas, rows deleted in each, and the number of outputs wanted."""

    schema: pa.Schema
    files: list[tuple[pa.Schema, Rows, list[int], int]]
    outputs: int

    def expected(self) -> Rows:
        rows: Rows = []
        for schema, written, deleted, _ in self.files:
            target, source = pa.struct(list(self.schema)), pa.struct(list(schema))
            rows += [expected(row, source, target) for i, row in enumerate(written) if i not in deleted]
        return rows

    def store(self, store: MemoryStore) -> list[InputFile]:
        inputs = []
        for i, (schema, rows, deleted, group_rows) in enumerate(self.files):
            table = pa.Table.from_arrays([array([row[f.name] for row in rows], f.type) for f in schema], schema=schema)
            deletes = inline_deletes(deleted) if deleted else None
            options = {"use_dictionary": i % 2 == 0, "compression": ["snappy", "zstd", "none"][i % 3], "store_schema": i % 4 == 1}
            inputs.append(put(store, f"f{i}.parquet", table, deletes, row_group_size=group_rows, **options))
        return inputs


@st.composite
def cases(draw: st.DrawFn) -> Case:
    schema = pa.schema(draw(named(TYPES, 1)))
    files = []
    for _ in range(draw(st.integers(1, 3))):
        fields = list(older(draw, pa.struct(list(schema))))
        rng = Random(draw(st.integers(0, 2**32)))
        rows = [value(rng, pa.struct(fields), 0) for _ in range(draw(st.integers(0, 30)))]
        share = draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))
        deleted = [i for i in range(len(rows)) if rng.random() < share]
        files.append((pa.schema(fields), rows, deleted, draw(st.integers(1, 20))))
    return Case(schema, files, draw(st.integers(1, 3)))


def rows_of(table: pa.Table, schema: pa.Schema) -> Rows:
    kind = pa.struct(list(schema))
    plain = pa.Table.from_arrays(
        [pa.concat_arrays(column.chunks).cast(as_integers(field.type)) if column.num_chunks else pa.array([], as_integers(field.type))
         for column, field in zip(table.columns, schema, strict=True)],
        schema=pa.schema(list(as_integers(kind))),
    )  # fmt: skip
    return [canonical(row, as_integers(kind)) for row in plain.to_pylist()]


MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("way", ["whole", "streamed"])
@MANY
@given(case=cases())
def test_outputs_hold_exactly_the_surviving_rows(way: str, case: Case) -> None:
    """Whatever the files' schemas, values and deletes: outputs are the surviving rows of the inputs, in order, in the table's schema."""
    store = MemoryStore()
    inputs = case.store(store)
    job = job_of(case.schema, compression="snappy", row_group_rows=7)
    result = streamed(store, job, inputs, case.outputs) if way == "streamed" else rewritten(run(store, job, inputs, case.outputs))
    wanted = case.expected()
    assert result.input_rows == len(wanted)
    assert all(output.rows for output in result.outputs)
    if wanted:
        table = read_back(store, result)
        assert table.schema.equals(case.schema)
        assert rows_of(table, case.schema) == wanted


@MANY
@given(case=cases())
def test_statistics_hold_what_the_rows_say(case: Case) -> None:
    """Null counts are exact, bounds are the true minimum and maximum (cut only where they say so), absent with NaN."""
    columns = statistics_columns(pa.struct(list(case.schema)), ())
    store = MemoryStore()
    job = job_of(case.schema, compression="snappy", row_group_rows=7, statistics=tuple(columns), string_prefix=32)
    result = rewritten(run(store, job, case.store(store), case.outputs))
    rows = case.expected()
    for output in result.outputs:
        part, rows = rows[: output.rows], rows[output.rows :]
        assert [found.path for found in output.statistics] == [column.path for column in columns]
        for found in output.statistics:
            check_column(found, [at(row, found.path) for row in part])


def statistics_columns(kind: pa.StructType, above: tuple[str, ...]) -> list[StatisticsColumn]:
    found = []
    for field in kind:
        path = (*above, field.name)
        found += statistics_columns(field.type, path) if pa.types.is_struct(field.type) else [StatisticsColumn(path=path)]
    return found


def at(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = None if row is None else row[name]
    return row


def check_column(found: ColumnStatistics, column: list[Any]) -> None:
    there = [value for value in column if value is not None]
    assert found.null_count == len(column) - len(there)
    if not there or isinstance(there[0], list) or "NaN" in there:
        assert (found.minimum, found.maximum) == (None, None)
        return
    low, high = min(map(comparable, there)), max(map(comparable, there))
    assert_bound(found.minimum, found.minimum_cut, low)
    assert_bound(found.maximum, found.maximum_cut, high)


def comparable(value: Any) -> Any:
    if isinstance(value, tuple):
        return value[0]
    return (value - DAY_0).days if isinstance(value, dt.date) else value


def assert_bound(bound: Any, cut: bool, true: Any) -> None:
    if cut:
        assert isinstance(true, str | bytes)
        units = len(bound.encode("utf-16-le")) // 2 if isinstance(bound, str) else len(bound)
        assert true[: len(bound)] == bound
        assert len(true) > len(bound)
        assert 65 <= units <= 66
    else:
        assert bound == true
        assert not isinstance(bound, float) or math.copysign(1, bound) == 1 or bound != 0


@settings(max_examples=60, deadline=None)
@given(fields=named(TYPES, 1))
def test_leaves_are_in_the_order_of_column_chunks(fields: list[pa.Field]) -> None:
    """The leaves of any schema are the column chunks of its Parquet file, by index and path."""
    schema = pq.read_metadata(pa.BufferReader(parquet(pa.schema(fields).empty_table()))).schema
    assert [leaf.parquet_path for leaf in leaves(pa.schema(fields))] == [schema.column(i).path for i in range(len(schema))]
