"""The leaf columns of an Arrow schema as Parquet stores them: their order, dotted Parquet paths, and paths of names.

Pure. Leaves are in depth-first order, which is the order of column chunks in a row group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf: `index` is its column chunk's, `parquet_path` its path there (`tags.list.element`), `repeated`: below a list or map.

    `path`: names from the top, in which a list or map adds nothing of its own; unique only for leaves that are not repeated.
    """

    index: int
    path: tuple[str, ...]
    parquet_path: str
    type: pa.DataType
    repeated: bool


def leaves(schema: pa.Schema) -> list[Leaf]:
    """All leaves of the schema. A struct without fields has none."""
    found: list[Leaf] = []
    for field in schema:
        for path, parquet_path, kind, repeated in _below(field.type, (field.name,), (field.name,), False):
            found.append(Leaf(index=len(found), path=path, parquet_path=".".join(parquet_path), type=kind, repeated=repeated))
    return found


Found = tuple[tuple[str, ...], tuple[str, ...], pa.DataType, bool]


def _below(kind: pa.DataType, path: tuple[str, ...], parquet: tuple[str, ...], repeated: bool) -> Iterator[Found]:
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _below(field.type, (*path, field.name), (*parquet, field.name), repeated)
    elif pa.types.is_map(kind):
        yield from _below(kind.key_type, path, (*parquet, "key_value", "key"), True)
        yield from _below(kind.item_type, path, (*parquet, "key_value", "value"), True)
    elif is_list(kind):
        yield from _below(kind.value_type, path, (*parquet, "list", "element"), True)
    else:
        yield path, parquet, kind, repeated


def is_list(kind: pa.DataType) -> bool:
    """Whether the type is any kind of list (not a map)."""
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def fixed_row_bytes(schema: pa.Schema) -> float:
    """Bytes of a decoded row at least: the widths of its leaves, with 4 for offsets or indices where values vary in length."""
    return sum(_leaf_bytes(leaf.type) for leaf in leaves(schema))


def _leaf_bytes(kind: pa.DataType) -> float:
    try:
        return 4.0 if pa.types.is_dictionary(kind) else float(kind.bit_width) / 8
    except ValueError:
        return 4.0
