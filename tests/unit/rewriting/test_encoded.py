"""Footers taken apart: what does not add up is named before a byte is copied, and outputs end where most of a row group would."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import parquet_footer as thrift
from support.rewriting import parquet

from compactor.rewriting.division import Division
from compactor.rewriting.encoded import chunks_of_group, encoded_file, extras_of, runs_of
from compactor.rewriting.fragment import Range
from compactor.rewriting.thrift_compact import ThriftProblem

ROWS = pa.table({"n": list(range(100)), "m": list(range(100))})
DATA = parquet(ROWS, write_page_index=True, use_dictionary=False)


class Bytes:
    """A file in memory, as an Origin."""

    key = None

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, start: int, length: int) -> bytes:
        assert start >= 0 and start + length <= len(self.data), "read beyond the file"
        return self.data[start : start + length]


def edited(path: tuple[int, ...], value: object) -> bytes:
    body, footer = thrift.split(DATA)
    thrift.member(footer, *path).value = value
    return thrift.joined(body, footer)


def opened(data: bytes) -> tuple[object, Callable[[], object]]:
    (length,) = struct.unpack("<I", data[-8:-4])
    file = encoded_file(data[-8 - length : -8], len(data) - 8 - length)
    return file, lambda: runs_of(pages for _, _, pages in chunks_of_group(file, 0))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (thrift.CHUNK_COMPRESSED, 1 << 60, "outside the file"),
        (thrift.CHUNK_COMPRESSED, len(DATA), "outside the file"),
        (thrift.CHUNK_COMPRESSED, 0, "outside the file"),
        (thrift.CHUNK_COMPRESSED, -1, "negative"),
        (thrift.CHUNK_OFFSET, 0, "outside the file"),
        (thrift.CHUNK_VALUES, 99, "100 rows and a column of 99"),
        (thrift.ROW_GROUP_ROWS, 3, "3 rows and a column of 100"),
        ((4, 0, 1, 1, 3, 9), 4, "the same bytes"),
        ((4, 0, 1, 0, 3, 1), 1, "another type"),
    ],
)
def test_what_does_not_add_up_is_named(path: tuple[int, ...], value: int, problem: str) -> None:
    """Offsets and sizes outside the file, counts that differ, bytes that two columns claim, types that the schema does not say."""
    _, runs = opened(edited(path, value))
    with pytest.raises(ThriftProblem, match=problem):
        runs()


def test_chunks_side_by_side_are_one_run() -> None:
    """A row group as writers write it is copied in one piece."""
    _, runs = opened(DATA)
    (run,) = runs()  # type: ignore[misc]
    assert run.start == 4
    assert runs_of([Range(20, 5), Range(4, 6), Range(10, 3), Range(30, 0)]) == [Range(4, 9), Range(20, 5)]


@pytest.mark.parametrize(("field", "value"), [(4, -7), (4, 1 << 40), (5, 1 << 30), (5, -1), (6, 1 << 40), (7, 1 << 30), (6, 0)])
def test_indexes_that_lie_elsewhere_are_left_out(field: int, value: int) -> None:
    """A page index that is not where it could be is not asked for, and the row group goes without it."""
    data = edited((4, 0, 1, 0, field), value)
    file, _ = opened(data)
    (first, second) = extras_of(file, 0, Bytes(data))  # type: ignore[arg-type]
    assert (first.offset_index is None) or (first.column_index is None)
    assert second.offset_index is not None and second.column_index is not None


def test_an_offset_index_that_points_elsewhere_is_left_out() -> None:
    """Pages that lie outside of their chunk are not pointed at from another file either."""
    body, footer = thrift.split(DATA)
    at = thrift.member(footer, 4, 0, 1, 0, 4).value
    index = thrift.Reader(body, at).struct()
    thrift.member(index, 1, 0, 1).value = 5
    packed = thrift.packed(index)
    thrift.member(footer, 4, 0, 1, 0, 5).value = len(packed)
    thrift.member(footer, 4, 0, 1, 0, 4).value = len(body)
    data = thrift.joined(body + packed, footer)
    file, _ = opened(data)
    assert extras_of(file, 0, Bytes(data))[0].offset_index is not None  # type: ignore[arg-type]
    thrift.member(index, 1, 0, 1).value = 3
    data = thrift.joined(body + thrift.packed(index), footer)
    file, _ = opened(data)
    (first, _) = extras_of(file, 0, Bytes(data))  # type: ignore[arg-type]
    assert (first.offset_index, first.column_index) == (None, None)


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.lists(st.integers(1, 50), min_size=1, max_size=6)), min_size=1, max_size=8),
    st.integers(1, 6),
)
def test_whole_row_groups_are_divided_evenly(files: list[tuple[int, list[int]]], outputs: int) -> None:
    """No output is empty, there are never more than asked for, and each is within one row group of its share."""
    total = sum(size for size, _ in files)
    division, sizes, current, largest = Division(total, outputs), [], 0.0, 0.0
    for size, groups in files:
        division.next_file(size, sum(groups))
        for rows in groups:
            weight = size * rows / sum(groups)
            largest = max(largest, weight)
            before, behind = division.take_whole(rows)
            if before:
                assert current > 0
                sizes.append(current)
                current = 0.0
            current += weight
            if behind:
                sizes.append(current)
                current = 0.0
    sizes += [current] if current else []
    assert 1 <= len(sizes) <= outputs
    assert sum(sizes) == pytest.approx(total)
    assert max(sizes) <= total / outputs + 2 * largest + 1


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.lists(st.integers(1, 50), min_size=1, max_size=6)), min_size=1, max_size=8),
    st.integers(1, 6),
)
def test_row_groups_that_fit_keep_outputs_near_their_share(files: list[tuple[int, list[int]]], outputs: int) -> None:
    """Where those that do not fit are divided, no output but the last, which nothing could divide, is above 1.75 shares."""
    total = sum(size for size, _ in files)
    division, sizes = Division(total, outputs), [0.0]
    for size, groups in files:
        division.next_file(size, sum(groups))
        for rows in groups:
            each, left = size / sum(groups), rows
            if division.fits_whole(rows):
                before, behind = division.take_whole(rows)
                sizes += [0.0] if before else []
                sizes[-1] += rows * each
                sizes += [0.0] if behind else []
                continue
            while left:
                taken, full = division.take(left)
                left -= taken
                sizes[-1] += taken * each
                sizes += [0.0] if full else []
    sizes = [size for size in sizes if size]
    assert len(sizes) <= outputs
    a_row = max(size / sum(groups) for size, groups in files)
    assert all(size <= 1.75 * total / outputs + a_row for size in sizes[:-1])


def test_a_few_large_row_groups_are_divided_without_being_cut() -> None:
    """Four row groups make three outputs, though each of them is three quarters of a share; one of two shares has to be cut."""
    division = Division(400, 3)
    division.next_file(400, 400)
    told = []
    for _ in range(4):
        assert division.fits_whole(100)
        told.append(division.take_whole(100))
    assert told == [(False, False), (True, False), (False, True), (False, False)]
    division = Division(400, 4)
    division.next_file(400, 400)
    assert not division.fits_whole(200)


def test_a_row_group_goes_where_most_of_it_would() -> None:
    """An output ends before a row group of which it would have held less than half."""
    division = Division(100, 2)
    division.next_file(100, 100)
    assert [division.take_whole(rows) for rows in (40, 40, 20)] == [(False, False), (True, False), (False, False)]
    division = Division(100, 2)
    division.next_file(100, 100)
    assert [division.take_whole(rows) for rows in (30, 30, 40)] == [(False, False), (False, True), (False, False)]
