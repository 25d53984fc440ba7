"""The fingerprint of rows: what must change it, and what must not."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint
from compactor.rewriting import lane_values, native
from compactor.rewriting.fingerprint import Fingerprinter, fingerprint


@pytest.fixture(autouse=True, params=["native", "numpy"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each claim is about both implementations."""
    if request.param == "numpy":
        monkeypatch.setattr(native, "KERNELS", None)
    elif native.KERNELS is None:
        pytest.skip(f"the native kernels are {native.STATUS}")
    return str(request.param)


ROWS = pa.table(
    {
        "id": pa.array(range(1, 9), pa.int64()),
        "name": ["a", "b", "", None, "a longer text than a word", "é", "a\0", "z" * 100],
        "x": [0.5, -1.0, 1e300, None, float("nan"), float("inf"), 0.0, 2.0],
        "tags": pa.array([[1, 2], [2, 1], [], None, [None], [1], [1, None], [3]], pa.list_(pa.int32())),
        "place": pa.array([{"lat": 1.0, "lon": 2.0}] * 3 + [None, {"lat": None, "lon": None}] + [{"lat": 2.0, "lon": 1.0}] * 3),
    }
)


def one(value: object, kind: pa.DataType, name: str = "c") -> Fingerprint:
    return fingerprint(pa.table({name: pa.array([value], kind)}))


def edited(column: str, row: int, value: object) -> pa.Table:
    """ROWS with one value replaced."""
    values = ROWS[column].to_pylist()
    values[row] = value
    return ROWS.set_column(ROWS.schema.get_field_index(column), column, pa.array(values, ROWS[column].type))


def taken(*rows: int) -> pa.Table:
    return ROWS.take(list(rows))


FAULTS = {
    "two values of a column swapped": edited("id", 0, 2).set_column(0, "id", pa.array([2, 1, 3, 4, 5, 6, 7, 8], pa.int64())),
    "two texts swapped": ROWS.set_column(1, "name", pa.array(["b", "a", *ROWS["name"].to_pylist()[2:]])),
    "a row doubled": taken(0, 0, 1, 2, 3, 4, 5, 6, 7),
    "a row tripled": taken(0, 0, 0, 1, 2, 3, 4, 5, 6, 7),
    "a row doubled and one lost": taken(0, 0, 2, 3, 4, 5, 6, 7),
    "a row lost": taken(1, 2, 3, 4, 5, 6, 7),
    "columns paired with other rows": ROWS.set_column(2, "x", ROWS["x"].take([1, 2, 3, 4, 5, 6, 7, 0])),
    "two columns renamed into each other": pa.table({"b": ["x"], "a": ["y"]}),
    "null for an empty text": edited("name", 2, None),
    "an empty text for null": edited("name", 3, ""),
    "a final zero byte lost": edited("name", 6, "a"),
    "null for NaN": edited("x", 4, None),
    "zero for null": edited("x", 3, 0.0),
    "a sign": edited("x", 1, 1.0),
    "an empty list for null": edited("tags", 3, []),
    "an empty list for a list of null": edited("tags", 4, []),
    "elements in another order": edited("tags", 0, [2, 1]),
    "an element lost": edited("tags", 0, [1]),
    "a null element moved": edited("tags", 6, [None, 1]),
    "a struct of nulls for null": edited("place", 3, {"lat": None, "lon": None}),
    "null for a struct of nulls": edited("place", 4, None),
    "fields swapped": edited("place", 0, {"lat": 2.0, "lon": 1.0}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_changes_the_fingerprint(fault: str) -> None:
    """Rows lost, doubled, swapped, re-paired or changed in any value have another fingerprint, also where the count is the same."""
    sound = pa.table({"a": ["x"], "b": ["y"]}) if "renamed" in fault else ROWS
    assert fingerprint(FAULTS[fault]).sum != fingerprint(sound).sum


@pytest.mark.parametrize(
    ("kind", "value", "size"),
    [
        (pa.int64(), 0, 8),
        (pa.int32(), -5, 4),
        (pa.int8(), 0, 1),
        (pa.float64(), 1.5, 8),
        (pa.float32(), 1.5, 4),
        (pa.date32(), 3, 4),
        (pa.decimal128(20, 2), Decimal("-1.25"), 16),
        (pa.string(), "thirty bytes of text, about so", 30),
        (pa.binary(), b"12345678", 8),
    ],
)
def test_every_single_bit_counts(kind: pa.DataType, value: object, size: int) -> None:
    """Each flipped bit of a value gives another fingerprint, different from those of all other bits."""
    sound = pa.array([value], kind)
    seen = {fingerprint(pa.table({"c": sound})).sum}
    for bit in range(8 * size):
        buffers = sound.buffers()
        data = np.frombuffer(buffers[-1], np.uint8)[:size].copy()
        data[bit // 8] ^= 1 << bit % 8
        flipped = pa.Array.from_buffers(kind, 1, [*buffers[:-1], pa.py_buffer(data.tobytes())])
        seen.add(fingerprint(pa.table({"c": flipped})).sum)
    assert len(seen) == 8 * size + 1


def test_flips_of_the_same_bit_in_two_columns_do_not_cancel() -> None:
    """Factors differ between columns, so what one column gains the other does not lose."""
    seen = set()
    for bit in range(64):
        for left, right in ((0, 0), (1, 1), (1, 0), (0, 1)):
            columns = [pa.array(np.array([(7 * one) ^ (flag << bit)], np.uint64)) for one, flag in ((1, left), (2, right))]
            seen.add(fingerprint(pa.table(columns, ["a", "b"])).sum)
    assert len(seen) == 3 * 64 + 1


def test_equal_values_are_equal_however_they_are_spelled() -> None:
    """All NaNs are one value, the two zeros too; integers and floats count by value whatever their width; texts are their bytes."""
    payload = pa.array(np.array([0x7FF8000000000123], np.uint64)).view(pa.float64())
    negative = pa.array(np.array([0xFFF0000000000001], np.uint64)).view(pa.float64())
    nan = one(float("nan"), pa.float64())
    assert fingerprint(pa.table({"c": payload})) == fingerprint(pa.table({"c": negative})) == nan
    assert one(float("nan"), pa.float32()) == nan
    assert one(-0.0, pa.float64()) == one(0.0, pa.float64()) == one(-0.0, pa.float32())
    assert one(-3, pa.int8()) == one(-3, pa.int32()) == one(-3, pa.int64())
    assert one(0.5, pa.float32()) == one(0.5, pa.float64())
    kinds = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2))
    assert len({one(b"ab", kind).sum for kind in kinds}) == 1


def test_a_column_of_nulls_is_as_good_as_none() -> None:
    """A file written before a column was added and one written after with nulls hold the same rows."""
    assert fingerprint(ROWS.append_column("new", pa.nulls(8, pa.string()))) == fingerprint(ROWS)
    assert fingerprint(ROWS.append_column("new", pa.nulls(8))) == fingerprint(ROWS)


def test_what_lies_under_a_null_does_not_count() -> None:
    """Bytes of a null value, elements of a null list and fields of a null struct are nobody's."""
    validity = pa.py_buffer(b"\x05")  # the second of three is null
    numbers = [pa.array([1, garbage, 3], pa.int64()) for garbage in (0, 99)]
    texts = [pa.array(["a", garbage, "c"]) for garbage in ("", "garbage")]
    lists = [pa.array([[1], garbage, [2]], pa.list_(pa.int64())) for garbage in ([], [7, 8])]
    arrays = [
        [pa.Array.from_buffers(pa.int64(), 3, [validity, array.buffers()[1]]) for array in numbers],
        [pa.Array.from_buffers(pa.string(), 3, [validity, *array.buffers()[1:]]) for array in texts],
        [pa.Array.from_buffers(array.type, 3, [validity, array.buffers()[1]], children=[array.values]) for array in lists],
        [pa.StructArray.from_arrays([array], ["f"], mask=pa.array([False, True, False])) for array in numbers],
        [pa.StructArray.from_arrays([array], ["f"], mask=pa.array([False, True, False])) for array in lists],
    ]
    for clean, dirty in arrays:
        assert dirty[1].as_py() is None
        assert fingerprint(pa.table({"c": clean})) == fingerprint(pa.table({"c": dirty}))


def test_long_texts_do_not_depend_on_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text's share is the same whether it is padded with short ones, with long ones, or taken in pieces."""
    texts = ["x" * n + "y" for n in (0, 3, 7, 8, 63, 64, 65, 500, 511, 512, 70_000, 140_000)]
    alone = [fingerprint(pa.table({"c": [text]})) for text in texts]
    together = fingerprint(pa.table({"c": texts}))
    assert sum(alone, Fingerprint()) == together
    monkeypatch.setattr(lane_values, "_LONGEST_WORDS", 16)
    monkeypatch.setattr(lane_values, "BLOCK", 32)
    assert fingerprint(pa.table({"c": texts})) == together


def test_lists_longer_than_a_block_are_added_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where blocks of elements begin and end does not show."""
    lists = pa.array([[1, 2, 3], [], list(range(50)), None, [4], list(range(9))], pa.list_(pa.int64()))
    whole = fingerprint(pa.table({"c": lists}))
    monkeypatch.setattr(lane_values, "BLOCK", 4)
    assert fingerprint(pa.table({"c": lists})) == whole


def test_lists_side_by_side_and_one_by_one_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lists are added position by position, others by running sums; which of them it was does not show, nulls or slices or not."""
    texts = [["a", "bc"], None, [], ["a"], ["d", None, "e"], ["f"], [""]] * 40
    lists = pa.chunked_array([pa.array(texts), pa.array(texts[1:] * 2).slice(3), pa.array([[], []], pa.list_(pa.string()))])
    shorter = lists.filter(lists.is_valid())
    found = [fingerprint(pa.table({"c": column})) for column in (lists, shorter)]
    monkeypatch.setattr(lane_values, "_PADDED_LISTS", 0)
    assert [fingerprint(pa.table({"c": column})) for column in (lists, shorter)] == found


@pytest.mark.parametrize("length", [1, 7, 8, 12, 16, 63])
def test_texts_of_one_length_are_no_exception(length: int) -> None:
    """Texts that are all of one length, wherever they begin in their buffer, have the shares that they have among others."""
    texts = pa.array(["x"] + [f"{i:0{length}d}"[-length:] for i in range(100)] + ["longer than any of them " * 3])
    even = texts.slice(1, 100)
    alone = [fingerprint(pa.table({"c": texts.slice(i, 1)})) for i in (0, 101)]
    assert fingerprint(pa.table({"c": even})) + alone[0] + alone[1] == fingerprint(pa.table({"c": texts}))
    zeros = pa.array([b"\0" * length, b"a".ljust(length, b"\0")])
    assert len({one(value, pa.binary()).sum for value in (*zeros.to_pylist(), b"a", b"")}) == (4 if length > 1 else 3)


def test_an_index_beyond_its_dictionary_is_no_value() -> None:
    """A damaged index raises instead of meaning another row."""
    for index in (2, -1):
        damaged = pa.DictionaryArray.from_arrays(pa.array([0, index, 1], pa.int32()), pa.array(["a", "b"]), safe=False)
        with pytest.raises(IndexError):
            fingerprint(pa.table({"c": damaged}))


def test_small_tables_wait_for_each_other_but_never_too_many() -> None:
    """Tables of a few rows are added in larger ones; large texts are not hoarded."""
    fingerprinter = Fingerprinter()
    for row in range(8):
        fingerprinter.add(ROWS.slice(row, 1))
    assert fingerprinter.result() == fingerprint(ROWS)
    before = pa.total_allocated_bytes()
    for _ in range(10):
        fingerprinter.add(pa.table({"c": pa.array(["x" * 3_000_000])}))
    assert pa.total_allocated_bytes() - before < 12_000_000


def test_the_algorithm_is_what_its_name_says() -> None:
    """Digests are kept in logs: whoever changes one of these must change FINGERPRINT_ALGORITHM too."""
    assert FINGERPRINT_ALGORITHM == "rows-1"
    assert Fingerprint().digest == "0" * 32
    assert fingerprint(ROWS).digest == "d851feb9787b5e8da45d573bddb34b1c"


def test_fingerprints_add_up() -> None:
    """Of two sets of rows together it is the sum, modulo 2^128."""
    assert fingerprint(ROWS.slice(0, 3)) + fingerprint(ROWS.slice(3)) == fingerprint(ROWS)
    assert Fingerprint(sum=2**128 - 1, rows=1) + Fingerprint(sum=2, rows=1) == Fingerprint(sum=1, rows=2)
