"""Statistics of output columns as typed values: null counts, and minimum and maximum where they are wanted and exist.

A leaf's come from the footer of the file just written: this writer's are exact. What a footer does not tell is taken from the rows: all
of a float column (its footer has none, and it gets no bounds when it holds NaN), bounds of long strings (writers leave those out), null
counts of lists and maps. A leaf below a null struct counts as null. Never used on files of other writers, whose footers may be cut, signed
wrongly or missing (Delta protocol, "Per-file Statistics": a bound that is not certain is left out).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.model.rewrite import Bound, ColumnStatistics, StatisticsColumn
from compactor.rewriting.fragment import Found
from compactor.rewriting.leaves import leaves

_LONG_VALUE_BYTES = 4000
"""The Parquet writer leaves bounds of more than 4096 bytes out of the footer."""


@dataclass(slots=True)
class Tally:
    """One wanted column over the row groups seen so far.

    `leaf`: its column chunk (None: a list or map); `kind`: its type without dictionary.
    """

    column: StatisticsColumn
    indices: tuple[int, ...]
    kind: pa.DataType
    leaf: int | None
    nulls: int = 0
    minimum: Any = None
    maximum: Any = None
    unbounded: bool = False
    not_in_footer: set[int] = field(default_factory=set)

    def widen(self, minimum: Any, maximum: Any) -> None:
        """Both bounds so that they hold these values too."""
        if minimum is None or maximum is None:
            return
        self.minimum = minimum if self.minimum is None else min(self.minimum, minimum)
        self.maximum = maximum if self.maximum is None else max(self.maximum, maximum)


class StatisticsCollector:
    """Collects the statistics of one output. Not thread-safe: one at a time."""

    def __init__(self, schema: pa.Schema, columns: Sequence[StatisticsColumn], string_prefix: int) -> None:
        """Columns that `schema` does not have are passed over."""
        self._cut = 2 * string_prefix + 2
        self._tallies = tallies(schema, columns)
        self._row_groups = 0

    def add(self, rows: pa.Table) -> None:
        """The rows of the next row group."""
        for tally in self._tallies:
            if tally.leaf is None or pa.types.is_floating(tally.kind):
                tally.nulls += _values(tally, rows).null_count
            if tally.leaf is not None and tally.column.bounds and not tally.unbounded:
                _look(tally, _values(tally, rows), self._row_groups)
        self._row_groups += 1

    def absorb(self, footer: pq.FileMetaData) -> None:
        """Count what the footer of exactly those row groups tells that were added since the last one was absorbed."""
        for tally in self._tallies:
            if tally.leaf is not None and not pa.types.is_floating(tally.kind):
                _count_footer(tally, footer)
            tally.not_in_footer.clear()
        self._row_groups = 0

    def add_found(self, found: Sequence[Found]) -> None:
        """The next row group, of which this is known: one element for each of `tallies`."""
        for tally, one in zip(self._tallies, found, strict=True):
            tally.nulls += one.nulls
            tally.unbounded |= one.unbounded
            if not tally.unbounded:
                tally.widen(one.minimum, one.maximum)

    def finish(self) -> tuple[ColumnStatistics, ...]:
        """The statistics of everything added, whose footers have been absorbed."""
        return tuple(self._statistics(tally) for tally in self._tallies)

    def _statistics(self, tally: Tally) -> ColumnStatistics:
        if tally.unbounded or not tally.column.bounds:
            return ColumnStatistics(path=tally.column.path, null_count=tally.nulls)
        minimum, minimum_cut = self._bound(tally.minimum)
        maximum, maximum_cut = self._bound(tally.maximum)
        return ColumnStatistics(
            path=tally.column.path,
            null_count=tally.nulls,
            minimum=minimum,
            maximum=maximum,
            minimum_cut=minimum_cut,
            maximum_cut=maximum_cut,
        )

    def _bound(self, value: Any) -> tuple[Bound | None, bool]:
        if isinstance(value, str):
            return cut_utf16(value, self._cut)
        if isinstance(value, bytes):
            return value[: self._cut], len(value) > self._cut
        if isinstance(value, float) and value == 0:
            return 0.0, False
        return value, False


def cut_utf16(text: str, units: int) -> tuple[str, bool]:
    """`text` cut to at most `units` UTF-16 code units without splitting a character, and whether it was cut."""
    if len(text) <= units // 2:
        return text, False
    taken = 0
    for i, character in enumerate(text):
        taken += 2 if ord(character) > 0xFFFF else 1
        if taken > units:
            return text[:i], True
    return text, False


def tallies(schema: pa.Schema, columns: Sequence[StatisticsColumn]) -> list[Tally]:
    """An empty tally for each of these columns that `schema` has."""
    by_path = {leaf.path: leaf.index for leaf in leaves(schema) if not leaf.repeated}
    return [tally for column in columns if (tally := _tally(schema, column, by_path)) is not None]


def _tally(schema: pa.Schema, column: StatisticsColumn, by_path: dict[tuple[str, ...], int]) -> Tally | None:
    indices: list[int] = []
    fields: Any = schema
    for depth, name in enumerate(column.path):
        i = fields.get_field_index(name)
        if i < 0 or (depth and not pa.types.is_struct(fields)):
            return None
        indices.append(i)
        fields = fields.field(i).type
        if depth + 1 < len(column.path) and not pa.types.is_struct(fields):
            return None
    kind = fields.value_type if pa.types.is_dictionary(fields) else fields
    return Tally(column=column, indices=tuple(indices), kind=kind, leaf=by_path.get(column.path))


def _values(tally: Tally, rows: pa.Table) -> pa.ChunkedArray:
    """The column, null where a struct above it is."""
    column = rows.column(tally.indices[0])
    return pc.struct_field(column, list(tally.indices[1:])) if len(tally.indices) > 1 else column


def _look(tally: Tally, values: pa.ChunkedArray, row_group: int) -> None:
    """Look in the rows of a row group for what its footer will not tell."""
    if pa.types.is_floating(tally.kind):
        total = pc.sum(values).as_py()
        if total is not None and math.isnan(total) and pc.any(pc.is_nan(values)).as_py():
            tally.unbounded = True
        else:
            found = pc.min_max(values).as_py()
            tally.widen(found["min"], found["max"])
    elif (pa.types.is_string(tally.kind) or pa.types.is_binary(tally.kind)) and _longest(values) > _LONG_VALUE_BYTES:
        tally.not_in_footer.add(row_group)
        _count_long(tally, values)


def _longest(values: pa.ChunkedArray) -> int:
    """Bytes of the longest value. Chunks that share a dictionary are looked at once."""
    if not pa.types.is_dictionary(values.type):
        return int(pc.max(pc.binary_length(values)).as_py() or 0)
    distinct = {dictionary.buffers()[1].address: dictionary for dictionary in (chunk.dictionary for chunk in values.chunks)}
    return max((int(pc.max(pc.binary_length(dictionary)).as_py() or 0) for dictionary in distinct.values()), default=0)


def _count_long(tally: Tally, values: pa.ChunkedArray) -> None:
    for part in _used(values) if pa.types.is_dictionary(values.type) else values.chunks:
        found = pc.min_max(part.cast(pa.binary()))
        _widen_decoded(tally, found["min"].as_py(), found["max"].as_py())


def _used(values: pa.ChunkedArray) -> list[pa.Array]:
    """The distinct values that a column of dictionaries holds. Never decoded: long values that repeat would fill the memory."""
    by_dictionary: dict[tuple[int, ...], tuple[pa.Array, list[pa.Array]]] = {}
    for chunk in values.chunks:
        dictionary = chunk.dictionary
        place = (dictionary.buffers()[1].address, dictionary.offset, len(dictionary))
        by_dictionary.setdefault(place, (dictionary, []))[1].append(chunk.indices)
    return [dictionary.take(pc.unique(pa.chunked_array(indices)).drop_null()) for dictionary, indices in by_dictionary.values()]


def _count_footer(tally: Tally, footer: pq.FileMetaData) -> None:
    for i in range(footer.num_row_groups):
        statistics = footer.row_group(i).column(tally.leaf).statistics
        tally.nulls += statistics.null_count
        if tally.column.bounds and statistics.has_min_max and i not in tally.not_in_footer:
            _widen_decoded(tally, statistics.min_raw, statistics.max_raw)


def _widen_decoded(tally: Tally, minimum: Any, maximum: Any) -> None:
    if tally.unbounded:
        return
    try:
        tally.widen(bound_of(tally.kind, minimum), bound_of(tally.kind, maximum))
    except UnicodeDecodeError:  # bytes that claim to be text: no log can hold them as a bound
        tally.unbounded = True


def bound_of(kind: pa.DataType, stored: Any) -> Any:
    """A value as the Parquet footer stores it, as a Bound."""
    if pa.types.is_decimal(kind):
        unscaled = stored if isinstance(stored, int) else int.from_bytes(stored, "big", signed=True)
        return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -kind.scale))
    if pa.types.is_string(kind) and isinstance(stored, bytes):
        return stored.decode()
    return stored
