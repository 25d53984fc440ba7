"""Which columns are worth a dictionary: read as one (strings stay indices from page to page) and written as one.

Reading is decided from the footer of a task's first file, writing from a sample of the first row group of each output. Both only choose an
encoding: a wrong guess costs time or bytes, never a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.rewriting.leaves import Leaf, is_list, leaves

_PLAIN_STRING_BYTES = 4
"""A string takes at least this in PLAIN pages (its length), so a chunk with less a value is all indices."""
_GLANCE = 2_048
_SAMPLE = 16_384
_SAMPLE_CHUNKS = 8
_PAGE_LIMIT_BYTES = 1024 * 1024
_GROWING = 0.955
"""By how many doublings distinct values may grow when the sample doubles: 131,000 values in all, which fill a dictionary page of 8-byte
values, grow by this much, unique ones by 1."""

DICTIONARY_OF_STRINGS = pa.dictionary(pa.int32(), pa.string())


def worth_reading(schema: pa.Schema, metadata: pq.FileMetaData) -> frozenset[str]:
    """Parquet paths of the string columns of `schema` that the file described by `metadata` keeps as small dictionaries.

    None inside of structs, lists or maps: Arrow reads those only in one piece, and a dictionary that changes between row groups or pages
    makes several.
    """
    if metadata.num_row_groups == 0:
        return frozenset()
    group = metadata.row_group(0)
    strings = {leaf.parquet_path for leaf in leaves(schema) if pa.types.is_string(leaf.type) and len(leaf.path) == 1 and not leaf.repeated}
    found = set()
    for chunk in map(group.column, range(group.num_columns)):
        small = chunk.total_uncompressed_size < _PLAIN_STRING_BYTES * chunk.num_values
        if small and chunk.has_dictionary_page and chunk.path_in_schema in strings:
            found.add(chunk.path_in_schema)
    return frozenset(found)


def with_dictionaries(schema: pa.Schema, paths: frozenset[str]) -> pa.Schema:
    """`schema` with the string leaves at these Parquet paths as dictionaries."""
    chosen = iter([leaf.parquet_path in paths for leaf in leaves(schema)])
    return pa.schema([field.with_type(_replaced(field.type, chosen)) for field in schema], metadata=schema.metadata)


def _replaced(kind: pa.DataType, chosen: Iterator[bool]) -> pa.DataType:
    """The type with its chosen leaves replaced; takes one item of `chosen` for each leaf, depth first."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_replaced(field.type, chosen)) for field in kind])
    if pa.types.is_map(kind):
        key = kind.key_field.with_type(_replaced(kind.key_type, chosen))
        return pa.map_(key, kind.item_field.with_type(_replaced(kind.item_type, chosen)))
    if is_list(kind):
        return pa.list_(kind.value_field.with_type(_replaced(kind.value_type, chosen)))
    return DICTIONARY_OF_STRINGS if next(chosen) else kind


def worth_writing(rows: pa.Table) -> list[str]:
    """Parquet paths of the leaves of `rows`, the first row group of a file, that repeat their values enough for a dictionary."""
    return [leaf.parquet_path for leaf, values in _leaf_values(rows) if _repeats(leaf.type, values)]


def _leaf_values(rows: pa.Table) -> Iterator[tuple[Leaf, list[pa.Array]]]:
    """Each leaf with arrays of its values from a few places of the table; none where the leaf is a dictionary already."""
    found = iter(leaves(rows.schema))
    for column in rows.columns:
        chunks = column.chunks
        some = chunks[:: max(1, len(chunks) // _SAMPLE_CHUNKS)][:_SAMPLE_CHUNKS]
        parts = [_flat(chunk) for chunk in some]
        for values in zip(*parts, strict=True):
            yield next(found), list(values)
        if not parts:
            break


def _flat(array: pa.Array) -> list[pa.Array]:
    """The leaves of one array, depth first. Values of null parents may appear: this is a sample."""
    kind = array.type
    if pa.types.is_struct(kind):
        return [leaf for i in range(kind.num_fields) for leaf in _flat(array.field(i))]
    if pa.types.is_map(kind):
        return [*_flat(array.keys), *_flat(array.items)]
    if is_list(kind):
        return _flat(array.values)
    return [array]


def _repeats(kind: pa.DataType, parts: list[pa.Array]) -> bool:
    if pa.types.is_dictionary(kind):
        return True
    if pa.types.is_boolean(kind):
        return False
    glance = [part[: _GLANCE // len(parts)] for part in parts]
    if _distinct(glance) <= sum(map(len, glance)) // 4:
        return True
    sample = [part[: _SAMPLE // len(parts)] for part in parts]
    half = [part[: (len(part) + 1) // 2] for part in sample]
    many, fewer = _distinct(sample), _distinct(half)
    if many <= 1 or fewer == 0:
        return True
    total = sum(map(len, sample))
    width = _width(kind, sample, total)
    growth = math.log2(many / fewer) if total > 1024 else many / total
    return growth < _GROWING and many * width < _PAGE_LIMIT_BYTES


def _distinct(parts: list[pa.Array]) -> int:
    return int(pc.count_distinct(pa.chunked_array(parts), mode="only_valid").as_py())


def _width(kind: pa.DataType, parts: list[pa.Array], values: int) -> float:
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return float(sum(part.nbytes for part in parts)) / max(1, values)
