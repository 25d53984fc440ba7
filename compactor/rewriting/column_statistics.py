"""Statistics of output columns as typed values: null counts, and minimum and maximum where they are wanted and exist.

Integers, dates, timestamps and booleans are taken from the footer of the file just written (exact as this writer writes them), everything
else is computed from the rows. A leaf below a null struct counts as null. Delta protocol, "Per-file Statistics": a bound that is not
certain is left out. Parquet bounds of floats ignore NaN and those of strings may be missing, so neither is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.model.rewrite import Bound, ColumnStatistics, StatisticsColumn
from compactor.rewriting.leaves import leaves


@dataclass(slots=True)
class _Tally:
    """One column over the row groups seen so far."""

    column: StatisticsColumn
    indices: tuple[int, ...]
    kind: pa.DataType
    leaf: int | None
    nulls: int = 0
    minimum: Any = None
    maximum: Any = None
    unbounded: bool = False


class StatisticsCollector:
    """Collects the statistics of one output. Not thread-safe: one at a time."""

    def __init__(self, schema: pa.Schema, columns: Sequence[StatisticsColumn], string_prefix: int) -> None:
        """Columns that `schema` does not have are passed over."""
        by_path = {leaf.path: leaf.index for leaf in leaves(schema) if not leaf.repeated}
        self._cut = 2 * string_prefix + 2
        self._tallies = [tally for column in columns if (tally := _tally(schema, column, by_path)) is not None]
        self._computed = [tally for tally in self._tallies if tally.leaf is None]

    def add(self, rows: pa.Table) -> None:
        """Count these rows of the output."""
        for tally in self._computed:
            _count(tally, rows)

    def finish(self, footer: pq.FileMetaData) -> tuple[ColumnStatistics, ...]:
        """The statistics, given the footer of the file into which exactly the rows added were written."""
        for tally in self._tallies:
            if tally.leaf is not None:
                _count_footer(tally, footer)
        return tuple(self._statistics(tally) for tally in self._tallies)

    def _statistics(self, tally: _Tally) -> ColumnStatistics:
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


def _tally(schema: pa.Schema, column: StatisticsColumn, by_path: dict[tuple[str, ...], int]) -> _Tally | None:
    indices: list[int] = []
    fields: pa.Schema | pa.StructType = schema
    for depth, name in enumerate(column.path):
        i = fields.get_field_index(name)
        if i < 0:
            return None
        indices.append(i)
        kind = fields.field(i).type
        if depth + 1 < len(column.path) and not pa.types.is_struct(kind):
            return None
        fields = kind
    leaf = by_path.get(column.path) if _exact_in_footer(kind) else None
    return _Tally(column=column, indices=tuple(indices), kind=kind, leaf=leaf)


def _exact_in_footer(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_signed_integer(kind) or types.is_date32(kind) or types.is_timestamp(kind) or types.is_boolean(kind))


def _count(tally: _Tally, rows: pa.Table) -> None:
    column = rows.column(tally.indices[0])
    values = pc.struct_field(column, list(tally.indices[1:])) if len(tally.indices) > 1 else column
    tally.nulls += values.null_count
    if not tally.column.bounds or tally.unbounded or not _ordered(tally.kind):
        return
    if pa.types.is_floating(tally.kind) and pc.any(pc.is_nan(values)).as_py():
        tally.unbounded = True
        return
    for part in _plain_parts(values):
        found = pc.min_max(part)
        try:
            _widen(tally, found["min"].as_py(), found["max"].as_py())
        except UnicodeDecodeError:  # bytes that claim to be text: no log can hold them as a bound
            tally.unbounded = True


def _plain_parts(values: pa.ChunkedArray) -> list[pa.Array | pa.ChunkedArray]:
    """Arrays with the same minimum and maximum that have no dictionary type: of a dictionary only the values in use."""
    if not pa.types.is_dictionary(values.type):
        return [values]
    used: list[tuple[pa.Array, list[pa.Array]]] = []
    for chunk in values.chunks:
        if used and used[-1][0].equals(chunk.dictionary):
            used[-1][1].append(chunk.indices)
        else:
            used.append((chunk.dictionary, [chunk.indices]))
    return [dictionary.take(pc.unique(pa.chunked_array(indices)).drop_null()) for dictionary, indices in used]


def _ordered(kind: pa.DataType) -> bool:
    types = pa.types
    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_primitive(value) or types.is_decimal(value) or types.is_string(value) or types.is_binary(value))


def _count_footer(tally: _Tally, footer: pq.FileMetaData) -> None:
    for i in range(footer.num_row_groups):
        chunk = footer.row_group(i).column(tally.leaf)
        statistics = chunk.statistics
        tally.nulls += statistics.null_count
        if tally.column.bounds and statistics.has_min_max:
            _widen(tally, statistics.min_raw, statistics.max_raw)


def _widen(tally: _Tally, minimum: Any, maximum: Any) -> None:
    if minimum is None or maximum is None:
        return
    tally.minimum = minimum if tally.minimum is None else min(tally.minimum, minimum)
    tally.maximum = maximum if tally.maximum is None else max(tally.maximum, maximum)
