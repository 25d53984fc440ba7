"""The native kernel says what numpy says: of any values of any type, in any chunks and slices, and of arrays that contradict themselves."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactor.model.fingerprint import Fingerprint
from compactor.rewriting import native
from compactor.rewriting.fingerprint import fingerprint

pytestmark = pytest.mark.skipif(native.KERNELS is None, reason=f"the native kernels are {native.STATUS}")

LONG = st.text("ab", max_size=3) | st.text(max_size=80) | st.integers(120, 140).map("é".__mul__) | st.integers(8180, 8200).map("z".__mul__)
BINARY = LONG.map(str.encode)
FLAT: dict[pa.DataType, st.SearchStrategy[object]] = {
    **{getattr(pa, f"int{bits}")(): st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{getattr(pa, f"uint{bits}")(): st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    **{getattr(pa, f"float{bits}")(): st.floats(width=bits).map(np.dtype(f"f{bits // 8}").type) for bits in (16, 32, 64)},
    pa.bool_(): st.booleans(),
    pa.date32(): st.integers(-(2**31), 2**31 - 1),
    pa.date64(): st.integers(-1000, 1000).map(lambda days: days * 86_400_000),
    pa.time32("ms"): st.integers(0, 86_399_999),
    pa.time64("us"): st.integers(0, 86_399_999_999),
    pa.timestamp("us", "UTC"): st.integers(-(2**60), 2**60),
    pa.duration("us"): st.integers(-(2**60), 2**60),
    **{getattr(pa, f"decimal{bits}")(9, 3): st.decimals(-(10**5), 10**5, places=3) for bits in (32, 64, 128)},
    pa.decimal256(60, 3): st.decimals(-(10**20), 10**20, places=3).map(lambda number: number * Decimal(10) ** 20),
    **dict.fromkeys([pa.string(), pa.large_string(), pa.string_view()], LONG),
    **dict.fromkeys([pa.binary(), pa.large_binary(), pa.binary_view()], BINARY),
    pa.binary(9): st.binary(min_size=9, max_size=9),
    pa.binary(16): st.binary(min_size=16, max_size=16),
    pa.null(): st.none(),
}
ENCODED = (pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.int64(), pa.float64(), pa.decimal128(9, 3), pa.timestamp("us", "UTC"))
"""Types of which there are dictionaries."""


def kinds() -> st.SearchStrategy[pa.DataType]:
    """Types, nested a few times. Nothing but null, lists of one length and list views stay outside of others: where those are slices or
    null, Arrow makes lists of them that have other elements, or too few."""
    wrapped: list[Callable[[pa.DataType], pa.DataType]] = [pa.list_, pa.large_list]

    def deeper(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
        lists = st.builds(lambda wrap, kind: wrap(kind), st.sampled_from(wrapped), inner)
        structs = st.lists(inner, min_size=1, max_size=3).map(lambda kinds: pa.struct([(f"f{i}", kind) for i, kind in enumerate(kinds)]))
        return lists | structs | inner.map(lambda kind: pa.map_(pa.string(), kind))

    flat = st.sampled_from([kind for kind in FLAT if not pa.types.is_null(kind)])
    return st.recursive(flat, deeper, max_leaves=4) | flat.map(lambda kind: pa.list_(kind, 2)) | st.just(pa.null())


def values(kind: pa.DataType) -> st.SearchStrategy[object]:
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values(field.type) for field in kind})
    if pa.types.is_map(kind):
        return st.none() | st.lists(st.tuples(st.text("ab", max_size=2), values(kind.item_type)), max_size=3)
    if pa.types.is_fixed_size_list(kind):
        return st.none() | st.lists(values(kind.value_type), min_size=2, max_size=2)
    if pa.types.is_nested(kind):
        return st.none() | st.lists(values(kind.value_type), max_size=4)
    return st.none() | FLAT[kind]


def spelled(draw: st.DrawFn, array: pa.Array) -> pa.Array:
    """The same values, perhaps as a dictionary, or as a slice of something longer."""
    if array.type in ENCODED and draw(st.booleans()):
        array = array.dictionary_encode()
    if len(array) and draw(st.booleans()):
        array = pa.concat_arrays([array.slice(len(array) - 1), array, array.slice(0, 1)]).slice(1, len(array))
    return array


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pa.ChunkedArray:
    kind = draw(kinds())
    array = spelled(draw, pa.array(draw(st.lists(values(kind), min_size=rows, max_size=rows)), kind))
    cut = draw(st.integers(0, rows))
    return pa.chunked_array([array.slice(0, cut), array.slice(cut)], array.type)


def both(table: pa.Table) -> tuple[Fingerprint, Fingerprint]:
    """What the native kernel says, and what numpy says."""
    found = fingerprint(table)
    with mock.patch.object(native, "KERNELS", None):
        return found, fingerprint(table)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_the_native_kernel_says_what_numpy_says(data: st.DataObject) -> None:
    """Tables of any types, nested, sliced, chunked, as dictionaries: the same digest."""
    rows = data.draw(st.integers(0, 12))
    width = data.draw(st.integers(1, 3))
    compiled, expected = both(pa.table([data.draw(columns(rows)) for _ in range(width)], [f"c{i}" for i in range(width)]))
    assert compiled == expected


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), rows=st.integers(1000, 5000), first=st.integers(0, 70), share=st.sampled_from([0.0, 0.01, 0.5, 0.99]))
def test_blocks_of_rows_do_not_show(seed: int, rows: int, first: int, share: float) -> None:
    """Tables longer than the kernel's blocks, with few and many nulls, from any row on: the same digest."""
    rng = np.random.default_rng(seed)

    def nulls(count: int) -> np.ndarray:
        return rng.random(count) < share

    ends = pa.array(np.concatenate([[0], np.cumsum(rng.integers(0, 4, rows))]).astype(np.int32), mask=np.append(nulls(rows), False))
    texts = pa.array(rng.choice([f"{'t' * (i % 20)}{i}" for i in range(300)], int(ends[-1].as_py())))
    numbers = pa.array(rng.normal(size=rows), mask=nulls(rows))
    table = pa.table(
        {
            "number": numbers,
            "flag": pa.array(rng.random(rows) < 0.5, mask=nulls(rows)),
            "list": pa.ListArray.from_arrays(ends, texts),
            "dictionaries": pa.ListArray.from_arrays(ends, texts.dictionary_encode()),
            "struct": pa.StructArray.from_arrays(
                [numbers, pa.array(np.arange(rows)).cast(pa.string())], ["a", "b"], mask=pa.array(nulls(rows))
            ),
            "few": pa.array(rng.choice(["a", "bc", "d" * 30], rows), mask=nulls(rows)).dictionary_encode(),
            "price": pa.array(rng.integers(-(10**6), 10**6, rows), mask=nulls(rows)).cast(pa.decimal128(25, 2)),
        }
    )
    for part in (table, table.slice(first), pa.concat_tables([table, table.slice(first)])):
        compiled, expected = both(part)
        assert compiled == expected


def test_every_half_is_the_double_that_numpy_makes_of_it() -> None:
    """All 65,536 patterns of bits of a float of 16 bits."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for i in range(0, 1 << 16, 1 << 12):
        compiled, expected = both(pa.table({"c": pa.array(halves[i : i + (1 << 12)])}))
        assert compiled == expected


def broken(kind: pa.DataType, length: int, *buffers: bytes, children: list[pa.Array] | None = None) -> pa.Array:
    """An array of these bytes, which Arrow takes as they are."""
    return pa.Array.from_buffers(kind, length, [None, *map(pa.py_buffer, buffers)], children=children)


def ends(*offsets: int) -> bytes:
    return np.array(offsets, np.int32).tobytes()


NUMBERS = pa.array([1, 2, 3], pa.int64())
BROKEN = {
    "numbers beyond their buffer": lambda: broken(pa.int64(), 3, b"8 bytes."),
    "bits beyond their buffer": lambda: broken(pa.bool_(), 9, b"\0"),
    "nulls beyond their buffer": lambda: pa.Array.from_buffers(pa.int8(), 9, [pa.py_buffer(b"\1"), pa.py_buffer(bytes(9))]),
    "decimals beyond their buffer": lambda: broken(pa.decimal128(9, 2), 2, bytes(16)),
    "too few offsets": lambda: broken(pa.string(), 3, ends(0, 1, 1), b"abc"),
    "a text beyond its buffer": lambda: broken(pa.string(), 2, ends(0, 1, 1 << 30), b"abc"),
    "a text that ends before it begins": lambda: broken(pa.string(), 2, ends(0, 3, 1), b"abc"),
    "a text that begins before its buffer": lambda: broken(pa.string(), 2, ends(-8, 0, 1), b"abc"),
    "a list beyond its elements": lambda: broken(pa.list_(pa.int64()), 2, ends(0, 1, 1 << 30), children=[NUMBERS]),
    "a list that ends before it begins": lambda: broken(pa.list_(pa.int64()), 2, ends(0, 3, 1), children=[NUMBERS]),
    "a list that begins before its elements": lambda: broken(pa.list_(pa.int64()), 2, ends(-1, 0, 1), children=[NUMBERS]),
    "an index beyond its dictionary": lambda: pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int8()), ["a", "b"], safe=False),
    "a negative index": lambda: pa.DictionaryArray.from_arrays(pa.array([0, -1], pa.int64()), ["a", "b"], safe=False),
    "an index beyond a dictionary in a list": lambda: pa.ListArray.from_arrays(
        [0, 2], pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int32()), ["a", "b"], safe=False)
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_an_array_that_contradicts_itself_is_refused(fault: str) -> None:
    """What points beyond a buffer, a dictionary or the elements of lists raises; nothing there is read."""
    with pytest.raises((IndexError, ValueError)):
        fingerprint(pa.table({"c": BROKEN[fault]()}))


def test_what_is_no_array_is_refused() -> None:
    """The border checks what it is handed: wrong counts, layouts and shapes are exceptions."""
    assert native.KERNELS is not None
    key = native.KERNELS.Key(range(18))
    sound = ("int64", key, 1, 0, [None, pa.py_buffer(bytes(8))], ())
    assert isinstance(native.KERNELS.sum_of_rows(1, key, [[sound]]), int)
    for rows, chunk in (
        (2, sound),
        (1, ("int64", key, 1, 1, *sound[4:])),
        (1, ("int64", key, 1, 2**63, *sound[4:])),
        (1, ("int7", *sound[1:])),
        (1, ("list32", *sound[1:])),
        (1, ("struct", *sound[1:5], (("int64", key, 2, 0, [None, pa.py_buffer(bytes(16))], ()),))),
        (1, sound[:4]),
        (1, (*sound[:4], [], ())),
        (-1, sound),
    ):
        with pytest.raises((ValueError, TypeError, IndexError, OverflowError)):
            native.KERNELS.sum_of_rows(rows, key, [[chunk]])
