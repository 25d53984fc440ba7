"""Variants: a struct of two binaries, `metadata` and `value`, neither null where the variant is not. Copied as they are, never shredded.

A file may keep a variant shredded (its values spread over typed columns); such a file is not rewritten. Delta protocol sections "Variant
Data Type" and "Variant Shredding"; Parquet's "Variant Encoding".
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from compactor.rewriting.problems import unsupported

_PARTS = ("metadata", "value")


def is_variant(kind: pa.DataType) -> bool:
    """Whether a type of a ReadSpec's schema is a variant: no other struct there has children that may not be null."""
    return (
        pa.types.is_struct(kind)
        and tuple(child.name for child in kind) == _PARTS
        and not any(child.nullable for child in kind)
        and all(pa.types.is_binary(child.type) for child in kind)
    )


def variant_step(source: pa.DataType, target: pa.StructType, name: str) -> Callable[[pa.Array], pa.Array] | None:
    """How a variant as a file holds it becomes `target`; None when it is that already. Raises FileProblem when it is shredded."""
    parts = {child.name: child for child in source} if pa.types.is_struct(source) else {}
    if "typed_value" in parts:
        raise unsupported(f'The variant column "{name}" is shredded in this file.')
    if sorted(parts) != list(_PARTS) or not all(_is_bytes(child.type) for child in parts.values()):
        raise unsupported(f'Column "{name}" holds {source} in this file, which is no variant.')
    if tuple(parts) == _PARTS and source == target and not any(child.nullable for child in source):
        return None

    def convert(array: pa.Array) -> pa.Array:
        children = [_filled(array.field(source.get_field_index(part)), array, name).cast(pa.binary()) for part in _PARTS]
        return pa.StructArray.from_arrays(children, fields=list(target), mask=array.is_null() if array.null_count else None)

    return convert


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _filled(part: pa.Array, variant: pa.Array, name: str) -> pa.Array:
    """The part without nulls: those below a null variant are empty."""
    if part.null_count == 0:
        return part
    if pc.any(pc.and_(part.is_null(), variant.is_valid())).as_py():
        raise unsupported(f'The variant column "{name}" has a value without metadata or bytes in this file.')
    return pc.fill_null(part, b"")


def nulls(rows: int, kind: pa.DataType) -> pa.Array:
    """So many nulls of a type, whose children are empty where they may not be null themselves."""
    if not pa.types.is_struct(kind) or not kind.num_fields:
        return pa.nulls(rows, kind)
    children = [nulls(rows, child.type) if child.nullable else pa.repeat(pa.scalar(b"", child.type), rows) for child in kind]
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=pa.repeat(True, rows))
