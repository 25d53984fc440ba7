"""Statistics for the log of row groups that are copied without being decoded, column by column.

Counts come from the footer: of values, of nulls, and of null lists and maps from the histogram of definition levels. Bounds of whole
numbers, dates, times and decimals kept as whole numbers come from the row group's statistics; of strings, and of decimals kept as bytes,
only where those say that they are exact, and of floats only where no NaN is counted, by a writer that is trusted: without such a count
bounds may pass over a NaN, and the values are looked at where they lie (float_pages.py). Every other column is decoded. What the source's
log says is never believed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from compactor.rewriting.column_statistics import Tally, bound_of
from compactor.rewriting.float_pages import FloatValues
from compactor.rewriting.fragment import Found
from compactor.rewriting.parquet_fields import SIZE_DEFINITION_HISTOGRAM, ColumnMetaData, Kind
from compactor.rewriting.parquet_fields import Statistics as Stats
from compactor.rewriting.physical import Leaf
from compactor.rewriting.thrift_compact import Struct, ThriftProblem

Decode = Callable[[Sequence[str] | None], Iterable[pa.Table]]
"""The rows of the row group in batches: of the columns at these dotted paths with all below them, or (None) of all columns."""

_WIDTHS: dict[int, int] = {Kind.INT32: 4, Kind.INT64: 8}
_FLOATS: dict[int, str] = {Kind.FLOAT: "<f", Kind.DOUBLE: "<d"}


def unsure_floats(tallies: Sequence[Tally], metas: Sequence[Struct], leaves: Sequence[Leaf]) -> list[int]:
    """Leaves of floats whose bounds are wanted, and of which the footer counts nulls, but neither no NaN nor only nulls."""
    wanted = {tally.leaf for tally in tallies if tally.leaf is not None and tally.column.bounds}
    return [at for at in sorted(wanted) if leaves[at].kind in _FLOATS and _unsure(metas[at])]


def _unsure(meta: Struct) -> bool:
    statistics = meta.struct(ColumnMetaData.STATISTICS) or Struct({})
    only_nulls = statistics.integer(Stats.NULL_COUNT) in (None, meta.whole(ColumnMetaData.NUM_VALUES))
    return statistics.integer(Stats.NAN_COUNT) != 0 and not only_nulls


def found_in(
    tallies: Sequence[Tally], metas: Sequence[Struct], leaves: Sequence[Leaf], floats: Mapping[int, FloatValues], decode: Decode
) -> list[Found]:
    """What is known of each wanted column of a row group. metas: metadata of its column chunks, of which nothing is left that may not be
    believed; floats: of some leaves what their pages hold. Raises ThriftProblem for counts that cannot be, and what `decode` raises.
    """
    told = [_told(tally, metas, leaves, floats) for tally in tallies]
    missing = [_Seen(tally) for tally, found in zip(tallies, told, strict=True) if found is None]
    if missing:
        dotted = any("." in name for seen in missing for name in seen.tally.column.path)  # Arrow selects by dotted paths
        for rows in decode(None if dotted else [".".join(seen.tally.column.path) for seen in missing]):
            for seen in missing:
                seen.add(rows)
    seen_in_order = iter(missing)
    return [next(seen_in_order).result() if found is None else found for found in told]


def _told(tally: Tally, metas: Sequence[Struct], leaves: Sequence[Leaf], floats: Mapping[int, FloatValues]) -> Found | None:
    """What the footer, or a look at floats, tells for certain of one column; None when its values must be decoded."""
    path = tally.column.path
    if tally.leaf is None:
        below = next(i for i, leaf in enumerate(leaves) if leaf.path[: len(path)] == path)
        nulls = _null_lists(metas[below], len(path))
        return None if nulls is None else Found(nulls=nulls)
    meta, leaf = metas[tally.leaf], leaves[tally.leaf]
    values, statistics = meta.whole(ColumnMetaData.NUM_VALUES), meta.struct(ColumnMetaData.STATISTICS)
    nulls = None if statistics is None else statistics.integer(Stats.NULL_COUNT)
    if statistics is None or nulls is None:
        return None
    if not 0 <= nulls <= values:
        raise ThriftProblem(f"{nulls} of {values} values are null")
    if not tally.column.bounds or nulls == values:
        return Found(nulls=nulls)
    seen = floats.get(tally.leaf)
    if seen is not None and seen.nan:
        return Found(nulls=nulls, unbounded=True)
    bounds = _bounds(tally, leaf, statistics) if seen is None else _seen_bounds(seen, leaf, statistics)
    return None if bounds is None else Found(nulls=nulls, minimum=bounds[0], maximum=bounds[1])


def _null_lists(meta: Struct, depth: int) -> int | None:
    """Rows in which a list or map, `depth` optional levels from the top, is null; None when the footer does not say."""
    sizes = meta.struct(ColumnMetaData.SIZE_STATISTICS)
    levels = () if sizes is None else sizes.integers(SIZE_DEFINITION_HISTOGRAM)
    if len(levels) <= depth or min(levels) < 0 or sum(levels) != meta.whole(ColumnMetaData.NUM_VALUES):
        return None
    return sum(levels[:depth])


def _bounds(tally: Tally, leaf: Leaf, statistics: Struct) -> tuple[Any, Any] | None:
    """Minimum and maximum as values; None when the footer does not tell them for certain."""
    if leaf.kind in _WIDTHS:
        return _whole_bounds(tally.kind, leaf.kind, statistics)
    if leaf.kind in _FLOATS:
        return _float_bounds(_FLOATS[leaf.kind], statistics) if statistics.integer(Stats.NAN_COUNT) == 0 else None
    exact = statistics.truth(Stats.IS_MIN_VALUE_EXACT) and statistics.truth(Stats.IS_MAX_VALUE_EXACT)
    low, high = statistics.binary(Stats.MIN_VALUE), statistics.binary(Stats.MAX_VALUE)
    text = leaf.kind == Kind.BYTE_ARRAY and pa.types.is_string(tally.kind)
    number = leaf.kind == Kind.FIXED_LEN_BYTE_ARRAY and pa.types.is_decimal(tally.kind)
    if not exact or low is None or high is None or not (text or (number and low and high)):
        return None
    try:
        bounds = bound_of(tally.kind, low), bound_of(tally.kind, high)
    except UnicodeDecodeError:
        return None
    return bounds if bounds[0] <= bounds[1] else None


def _float_bounds(layout: str, statistics: Struct) -> tuple[float, float] | None:
    """Of floats of which none is NaN."""
    low, high = statistics.binary(Stats.MIN_VALUE), statistics.binary(Stats.MAX_VALUE)
    if low is None or high is None or not len(low) == len(high) == struct.calcsize(layout):
        return None
    bounds: tuple[float, float] = (*struct.unpack(layout, low), *struct.unpack(layout, high))
    return bounds if bounds[0] <= bounds[1] else None


def _seen_bounds(seen: FloatValues, leaf: Leaf, statistics: Struct) -> tuple[float, float] | None:
    """Of floats that were looked at. A dictionary may hold values that no row has: then it is the footer that tells, if it can be so."""
    if seen.low is None or seen.high is None:
        return None
    if not seen.indirect:
        return seen.low, seen.high
    told = _float_bounds(_FLOATS[leaf.kind], statistics)
    return told if told is not None and seen.low <= told[0] and told[1] <= seen.high else None


def _whole_bounds(kind: pa.DataType, physical: int, statistics: Struct) -> tuple[Any, Any] | None:
    fields = (Stats.MIN_VALUE, Stats.MAX_VALUE) if Stats.MIN_VALUE in statistics else (Stats.MIN, Stats.MAX)
    raw = [statistics.binary(field) for field in fields]
    if any(bound is None or len(bound) != _WIDTHS[physical] for bound in raw):
        return None
    low, high = (int.from_bytes(bound or b"", "little", signed=True) for bound in raw)
    return (bound_of(kind, low), bound_of(kind, high)) if low <= high else None


class _Seen:
    """One column, by its values."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._nulls, self._low, self._high, self._unbounded = 0, None, None, False

    def add(self, rows: pa.Table) -> None:
        """Look at more of its values."""
        values = _values(rows, self.tally)
        self._nulls += values.null_count
        bounded = self.tally.leaf is not None and self.tally.column.bounds and not self._unbounded
        if not bounded or values.null_count == len(values):
            return
        try:
            low, high = _extremes(values)
        except UnicodeDecodeError:
            self._unbounded = True
            return
        if isinstance(low, float) and math.isnan(low):
            self._unbounded = True
        elif low is not None:
            self._low, self._high = low if self._low is None else min(self._low, low), high if self._high is None else max(self._high, high)

    def result(self) -> Found:
        """All that was seen."""
        if self._unbounded:
            return Found(nulls=self._nulls, unbounded=True)
        return Found(nulls=self._nulls, minimum=self._low, maximum=self._high)


def _extremes(values: pa.ChunkedArray) -> tuple[Any, Any]:
    """Least and greatest value; NaN twice for floats that hold one. Dates and timestamps as whole numbers."""
    if pa.types.is_floating(values.type) and math.isnan(pc.sum(values).as_py()) and pc.any(pc.is_nan(values)).as_py():
        return math.nan, math.nan  # a sum is a quick look: infinities may add up to NaN, too
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    found = pc.min_max(values).as_py()
    return found["min"], found["max"]


def _values(rows: pa.Table, tally: Tally) -> pa.ChunkedArray:
    """The column as the table has it; null where a struct above it is."""
    path = tally.column.path
    column = rows.column(rows.schema.get_field_index(path[0]))
    for name in path[1:]:
        column = pc.struct_field(column, [column.type.get_field_index(name)])
    return column if tally.leaf is None or column.type == tally.kind else column.cast(tally.kind)
