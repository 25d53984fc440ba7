"""Makes the rows of any file fit a ReadSpec: finds each column by name or field id, recursively, and converts its values.

A column that the file lacks becomes null, one that the spec lacks is dropped, a narrower type is widened (conversions.py). Never guesses:
what cannot be converted without changing a value's meaning raises FileProblem("unsupported-file") that names the column. Rows stay in
place; nothing is read. Matching follows the Delta protocol's "Column Mapping": by physical name, or in id mode by field id only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import pyarrow as pa

from compactor.rewriting.conversions import conversion, logical
from compactor.rewriting.leaves import fixed_row_bytes, is_list
from compactor.rewriting.problems import unsupported
from compactor.rewriting.variant import is_variant, nulls, variant_step

Match = Literal["name", "id"]
Step = Callable[[pa.Array], pa.Array]

_FIELD_ID = b"PARQUET:field_id"


class Conformer:
    """Turns tables of one file schema into tables of `target`. Made once for each distinct file schema, used for all its rows."""

    def __init__(self, source: pa.Schema, target: pa.Schema, match: Match) -> None:
        """Raises FileProblem when a column cannot be converted, or when a name could mean two columns of the file."""
        if match == "id" and len(source) and not any(map(_field_id, source)):
            raise unsupported("The file's columns have no field ids, and the table finds columns by field id.")
        self.target = target
        self.fixed_row_bytes = fixed_row_bytes(target)
        found = match_fields(list(source), list(target), match)
        self._plan = [
            (i, field.type, None if i is None else _step(source.field(i).type, field.type, match, field.name))
            for i, field in zip(found, target, strict=True)
        ]
        fits = all(step is None for _, _, step in self._plan) and found == list(range(len(source)))
        self._identity = fits and bool(source.equals(target))

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The same rows in the target schema (whose metadata is not promised)."""
        if self._identity:
            return rows
        columns = [self._column(rows, i, kind, step) for i, kind, step in self._plan]
        if not columns:
            return rows.select([])
        return pa.Table.from_arrays(columns, schema=self.target)

    def _column(self, rows: pa.Table, i: int | None, kind: pa.DataType, step: Step | None) -> pa.ChunkedArray:
        if i is None:
            return pa.chunked_array([nulls(rows.num_rows, kind)], kind)
        column = rows.column(i)
        return column if step is None else pa.chunked_array([step(chunk) for chunk in column.chunks], kind)


def match_fields(source: list[pa.Field], target: list[pa.Field], match: Match) -> list[int | None]:
    """For each target field the index of its field in `source`, or None when the file lacks it."""
    if match == "id":
        by_id = {_field_id(field): i for i, field in enumerate(source) if _field_id(field) is not None}
        return [by_id.get(_field_id(field)) for field in target]
    exact: dict[str, list[int]] = {}
    folded: dict[str, list[int]] = {}
    for i, field in enumerate(source):
        exact.setdefault(field.name, []).append(i)
        folded.setdefault(field.name.lower(), []).append(i)
    return [_only(exact.get(field.name) or folded.get(field.name.lower()) or (), field.name) for field in target]


def _only(found: Iterable[int], name: str) -> int | None:
    candidates = list(found)
    if len(candidates) > 1:
        raise unsupported(f'Column "{name}" could be any of {len(candidates)} columns of the file.')
    return candidates[0] if candidates else None


def _field_id(field: pa.Field) -> bytes | None:
    return (field.metadata or {}).get(_FIELD_ID)


def _step(source: pa.DataType, target: pa.DataType, match: Match, name: str) -> Step | None:
    """The conversion of an array, or None when the array fits as it is."""
    source = logical(source)
    if is_variant(target):
        step = variant_step(source, target, name)
        return None if step is None else lambda array: step(_storage(array))
    if pa.types.is_struct(target) and pa.types.is_struct(source):
        return _struct_step(source, target, match, name)
    if pa.types.is_map(target) and pa.types.is_map(source):
        return _map_step(source, target, match, name)
    if pa.types.is_list(target) and is_list(source):
        return _list_step(source, target, match, name)
    return conversion(source, target, name)


def _struct_step(source: pa.StructType, target: pa.StructType, match: Match, name: str) -> Step | None:
    found = match_fields(list(source), list(target), match)
    steps = [
        None if i is None else _step(source.field(i).type, field.type, match, f"{name}.{field.name}")
        for i, field in zip(found, target, strict=True)
    ]
    if source == target and found == list(range(source.num_fields)) and not any(steps):
        return None

    def convert(array: pa.Array) -> pa.Array:
        array = _storage(array)
        children = [
            nulls(len(array), field.type) if i is None else _apply(step, array.field(i))
            for i, step, field in zip(found, steps, target, strict=True)
        ]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(children, fields=list(target), mask=mask) if children else _empty_struct(array, target)

    return convert


def _empty_struct(array: pa.Array, target: pa.DataType) -> pa.Array:
    return pa.array([None if missing else {} for missing in array.is_null().to_pylist()], target)


def _list_step(source: pa.DataType, target: pa.ListType, match: Match, name: str) -> Step | None:
    step = _step(source.value_type, target.value_type, match, f"{name}.element")
    if step is None and source == target and source.value_field.name == target.value_field.name:
        return None

    def convert(array: pa.Array) -> pa.Array:
        array = _storage(array)
        if not pa.types.is_list(array.type):
            array = array.cast(pa.list_(array.type.value_field))
        return _rebuilt(array, target, _apply(step, array.values))

    return convert


def _map_step(source: pa.MapType, target: pa.MapType, match: Match, name: str) -> Step | None:
    key = _step(source.key_type, target.key_type, match, f"{name}.key")
    item = _step(source.item_type, target.item_type, match, f"{name}.value")
    if key is None and item is None and source == target:
        return None
    fields = [target.key_field, target.item_field]

    def convert(array: pa.Array) -> pa.Array:
        array = _storage(array)
        keys, items = array.keys, array.items
        return _rebuilt(array, target, pa.StructArray.from_arrays([_apply(key, keys), _apply(item, items)], fields=fields))

    return convert


def _rebuilt(array: pa.Array, target: pa.DataType, values: pa.Array) -> pa.Array:
    """The list or map `array` over new values: same validity, offsets and slice."""
    return pa.Array.from_buffers(target, len(array), array.buffers()[:2], array.null_count, array.offset, [values])


def _apply(step: Step | None, array: pa.Array) -> pa.Array:
    return array if step is None else step(array)


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array
