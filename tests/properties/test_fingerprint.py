"""Fingerprints against a plain model of what they stand for: a multiset of rows, with each value in its normal form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from compactor.rewriting.fingerprint import Fingerprinter, fingerprint

KINDS: dict[pa.DataType, st.SearchStrategy[object]] = {
    pa.int64(): st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    pa.int16(): st.integers(-2, 2),
    pa.float64(): st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf]) | st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text("ab\0é", max_size=3) | st.text(max_size=80),
    pa.binary(): st.binary(max_size=20),
    pa.decimal128(20, 3): st.decimals(-(10**9), 10**9, places=3),
    pa.timestamp("us", "UTC"): st.integers(-(2**40), 2**40),
    pa.list_(pa.int32()): st.lists(st.none() | st.integers(0, 2), max_size=4),
    pa.list_(pa.list_(pa.string())): st.lists(st.none() | st.lists(st.none() | st.text("ab", max_size=2), max_size=2), max_size=3),
    pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))]): st.fixed_dictionaries(
        {"x": st.none() | st.integers(0, 1), "y": st.none() | st.lists(st.text("a", max_size=1), max_size=2)}
    ),
    pa.map_(pa.string(), pa.int64()): st.lists(st.tuples(st.text("ab", max_size=1), st.none() | st.integers(0, 1)), max_size=3),
}
TEXTS = (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.large_string()))


def normal(value: object) -> object:
    """The value in a form in which equal means equal for a fingerprint."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    if isinstance(value, dict):
        return tuple((name, normal(part)) for name, part in value.items())
    return tuple(map(normal, value)) if isinstance(value, list | tuple) else value


def multiset(table: pa.Table) -> Counter[object]:
    return Counter(normal(list(row.values())) for row in table.to_pylist())


@st.composite
def tables(draw: st.DrawFn, like: Sequence[pa.DataType] | None = None) -> pa.Table:
    """Up to a dozen rows of a few columns."""
    kinds = like if like is not None else draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3))
    rows = draw(st.integers(0, 12))
    columns = [pa.array(draw(st.lists(st.none() | KINDS[kind], min_size=rows, max_size=rows)), kind) for kind in kinds]
    return pa.table(columns, [f"c{i}" for i in range(len(kinds))])


@st.composite
def rearranged(draw: st.DrawFn, table: pa.Table) -> list[pa.Table]:
    """The same rows in another order, cut into batches that are slices, whose texts are spelled in various ways."""
    order = draw(st.permutations(range(table.num_rows)))
    cuts = sorted({0, table.num_rows, *draw(st.lists(st.integers(0, table.num_rows), max_size=3))})
    shuffled = table.take(pa.array(order, pa.int64()))
    return [draw(respelled(shuffled.slice(low, high - low))) for low, high in pairwise(cuts)]


@st.composite
def respelled(draw: st.DrawFn, table: pa.Table) -> pa.Table:
    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type):
            column = _as(column, draw(st.sampled_from(TEXTS)))
        if draw(st.booleans()):
            column = pa.chunked_array([column.combine_chunks()], column.type) if column.num_chunks > 1 else column
        columns.append(column)
    return pa.table(columns, table.column_names)


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column.cast(kind.value_type).dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_order_batches_and_layout_do_not_show(data: st.DataObject) -> None:
    """The same rows have the same fingerprint in any order, in any batches, with or without dictionaries."""
    table = data.draw(tables())
    fingerprinter = Fingerprinter()
    for batch in data.draw(rearranged(table)):
        fingerprinter.add(batch)
    assert fingerprinter.result() == fingerprint(table)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_other_rows_have_another_fingerprint(data: st.DataObject) -> None:
    """Two tables of one schema have equal fingerprints exactly when their multisets of rows in normal form are equal."""
    table = data.draw(tables())
    other = data.draw(tables(like=table.schema.types))
    assert (fingerprint(table) == fingerprint(other)) == (multiset(table) == multiset(other))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_one_edit_shows(data: st.DataObject) -> None:
    """Replacing one value by another, doubling a row or dropping one is seen exactly when the rows really differ then."""
    table = data.draw(tables().filter(lambda table: table.num_rows > 0))
    row, i = data.draw(st.integers(0, table.num_rows - 1)), data.draw(st.integers(0, table.num_columns - 1))
    kind = table.schema.types[i]
    values = table.column(i).to_pylist()
    values[row] = data.draw(st.none() | KINDS[kind])
    others = [
        table.set_column(i, f"c{i}", pa.array(values, kind)),
        pa.concat_tables([table, table.slice(row, 1)]),
        pa.concat_tables([table.slice(0, row), table.slice(row + 1)]),
    ]
    for other in others:
        assert (fingerprint(table) == fingerprint(other)) == (multiset(table) == multiset(other))
