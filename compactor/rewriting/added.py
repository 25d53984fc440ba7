"""Columns of outputs that are not read as columns of the table: constants of each file, and the ids and versions of its rows.

A row's id is the one stored beside it, else the file's base id plus the row's physical position, deleted rows counted; its version is the
one stored, else the file's (Delta protocol, "Row Tracking"). Must be computed before deleted rows are dropped. Never guesses an id.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.rewrite import Bound, InputFile, ReadSpec, RowIds
from compactor.rewriting.problems import unsupported

ROW_BYTES = 16
"""Bytes that the id and the version of a row take."""


def added_fields(spec: ReadSpec) -> list[pa.Field]:
    """The fields that every output has behind those of the spec's schema."""
    ids = [] if spec.row_ids is None else [pa.field(spec.row_ids.id_column, pa.int64()), pa.field(spec.row_ids.version_column, pa.int64())]
    return [*spec.constants, *ids]


def stored_columns(spec: ReadSpec, schema: pa.Schema) -> list[int]:
    """Indices of the columns of a file of this schema that hold ids or versions of its rows."""
    if spec.row_ids is None:
        return []
    found = (schema.get_field_index(name) for name in (spec.row_ids.id_column, spec.row_ids.version_column))
    return [i for i in found if i >= 0]


class AddedColumns:
    """Makes the added columns of one input. `width`: how many there are."""

    def __init__(self, spec: ReadSpec, file: InputFile) -> None:
        self._fields = added_fields(spec)
        self.width = len(self._fields)
        self._ids, self._file = spec.row_ids, file
        self._constants = [_scalar(value, field.type) for value, field in zip(file.constants, spec.constants, strict=True)]

    def beside(self, rows: pa.Table, first: int) -> pa.Table:
        """Physical `rows`, the first of them at position `first` of the file, with the added columns behind their own."""
        columns: list[pa.Array | pa.ChunkedArray] = [pa.repeat(value, rows.num_rows) for value in self._constants]
        if self._ids is not None:
            columns += self._row_ids(self._ids, rows, first)
        for field, column in zip(self._fields, columns, strict=True):
            rows = rows.append_column(field, column)
        return rows

    def behind(self, data: pa.Table, rows: pa.Table) -> pa.Table:
        """The columns of `data`, and behind them the added ones of `rows`, which end in them."""
        tail = rows.num_columns - self.width
        fields = [*data.schema, *self._fields]
        return pa.Table.from_arrays([*data.columns, *rows.columns[tail:]], schema=pa.schema(fields))

    def _row_ids(self, ids: RowIds, rows: pa.Table, first: int) -> list[pa.ChunkedArray | pa.Array]:
        base, version = self._file.base_row_id, self._file.row_version
        position = None if base is None else pa.array(np.arange(base + first, base + first + rows.num_rows, dtype=np.int64))
        default = None if version is None else pa.repeat(pa.scalar(version, pa.int64()), rows.num_rows)
        return [_stored_or(rows, ids.id_column, position), _stored_or(rows, ids.version_column, default)]


def _stored_or(rows: pa.Table, name: str, default: pa.Array | None) -> pa.ChunkedArray | pa.Array:
    """The column that is stored under `name`, its gaps filled from `default`."""
    index = rows.schema.get_field_index(name)
    stored = rows.column(index) if index >= 0 else None
    if stored is not None and not pa.types.is_integer(stored.type):
        raise unsupported(f'Column "{name}" holds {stored.type} in this file, but it is to hold ids or versions of rows.')
    if stored is not None and stored.null_count == 0:
        return stored.cast(pa.int64())
    if default is None:
        raise unsupported(f'Some of its rows have no value in "{name}", and the table\'s log has none for the file.')
    return default if stored is None else pc.coalesce(stored.cast(pa.int64()), default)


def _scalar(value: Bound | None, kind: pa.DataType) -> pa.Scalar:
    """A constant, dates given as days and timestamps as microseconds since 1970."""
    if value is None or not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return pa.scalar(value, kind)
    stored = pa.int32() if pa.types.is_date(kind) else pa.int64()
    return pa.array([value], stored).view(kind)[0]
