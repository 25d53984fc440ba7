"""The table's schema as workers need it: the physical Arrow schema of a ReadSpec, and the types and columns that cannot be written.

Protocol sections "Schema Serialization Format", "Column Mapping", "Type Widening", "Void". Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from compactor.errors import TableRefused
from compactor.model.rewrite import ReadSpec
from compactor.tables.base import Refusal
from compactor.tables.delta.protocol import mapping_mode, physical_name
from compactor.tables.delta.row_tracking import row_id_columns, row_ids
from compactor.tables.delta.state import Metadata

Type = str | Mapping[str, Any]
Field = Mapping[str, Any]

_VARIANT = pa.struct([pa.field("metadata", pa.binary(), nullable=False), pa.field("value", pa.binary(), nullable=False)])
_PRIMITIVES = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "variant": _VARIANT,
}
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
_INTEGERS = ("byte", "short", "integer", "long")
_DIGITS = {"byte": 3, "short": 5, "integer": 10, "long": 20}
_FIELD_ID = b"PARQUET:field_id"
_ID = "delta.columnMapping.id"
_NESTED_IDS = "delta.columnMapping.nested.ids"
_TYPE_CHANGES = "delta.typeChanges"


def data_fields(metadata: Metadata) -> list[Field]:
    """The fields of the schema that are stored in files: neither partition columns nor void."""
    partitions = {name.lower() for name in metadata.partition_columns}
    return [field for field in metadata.schema["fields"] if str(field["name"]).lower() not in partitions and field["type"] != "void"]


def holds_variants(metadata: Metadata) -> bool:
    """Whether a column of the schema is a variant or holds one."""
    return any(_mentions(field["type"], "variant") for field in metadata.schema["fields"])


def _mentions(kind: Type, primitive: str) -> bool:
    if isinstance(kind, str):
        return kind == primitive
    parts = [field["type"] for field in kind["fields"]] if kind["type"] == "struct" else []
    parts += [kind[part] for part in ("elementType", "keyType", "valueType") if part in kind]
    return any(_mentions(part, primitive) for part in parts)


def read_spec(metadata: Metadata, features: frozenset[str], inside: Sequence[str] = ()) -> ReadSpec:
    """How to read the table's files. `inside`: physical names of the partition columns that outputs hold as constants.

    Raises TableRefused for a schema that schema_refusals would name.
    """
    refusals = schema_refusals(metadata, features)
    if refusals:
        raise TableRefused(refusals[0].why, reason=refusals[0].reason)
    mode = mapping_mode(metadata, features)
    fields = [_arrow_field(field, mode) for field in data_fields(metadata)]
    match: Literal["name", "id"] = "id" if mode == "id" else "name"
    every = {physical_name(field, mode): field for field in metadata.schema["fields"]}
    partitions = {name.lower() for name in metadata.partition_columns}
    tolerated = (*(name for name, field in every.items() if str(field["name"]).lower() in partitions), *row_id_columns(metadata))
    constants = pa.schema([_arrow_field(every[name], mode) for name in inside])
    return ReadSpec(schema=pa.schema(fields), match=match, constants=constants, row_ids=row_ids(metadata, features), tolerated=tolerated)


def _arrow_field(field: Field, mode: str) -> pa.Field:
    described = field.get("metadata") or {}
    name = physical_name(field, mode)
    ids = described.get(_NESTED_IDS) or {} if mode != "none" else {}
    own = described.get(_ID) if mode != "none" else None
    return _named(name, _arrow_type(field["type"], mode, _Ids(ids=ids, prefix=name)), own)


def _named(name: str, kind: pa.DataType, field_id: int | None, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable, {_FIELD_ID: str(field_id).encode()} if field_id is not None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ids:
    """Ids of the elements, keys and values below one struct field, by dotted path from its physical name."""

    ids: Mapping[str, int]
    prefix: str

    def below(self, part: str) -> _Ids:
        return _Ids(ids=self.ids, prefix=f"{self.prefix}.{part}")

    def field(self, part: str, kind: Type, mode: str, *, nullable: bool = True) -> pa.Field:
        inner = self.below(part)
        return _named(part, _arrow_type(kind, mode, inner), self.ids.get(inner.prefix), nullable=nullable)


def _arrow_type(kind: Type, mode: str, ids: _Ids) -> pa.DataType:
    """The physical type: everything nullable but map keys. The type must be one that schema_refusals accepts."""
    if isinstance(kind, str):
        return _primitive(kind)
    if kind["type"] == "struct":
        return pa.struct([_arrow_field(field, mode) for field in kind["fields"] if field["type"] != "void"])
    if kind["type"] == "array":
        return pa.list_(ids.field("element", kind["elementType"], mode))
    return pa.map_(ids.field("key", kind["keyType"], mode, nullable=False), ids.field("value", kind["valueType"], mode))


def _primitive(name: str) -> pa.DataType | None:
    """The Arrow type of a primitive, or None when it cannot be written."""
    if name == "decimal":
        return pa.decimal128(10, 0)
    if match := _DECIMAL.fullmatch(name):
        precision, scale = int(match[1]), int(match[2])
        return pa.decimal128(precision, scale) if 1 <= precision <= 38 and scale <= precision else None
    return _PRIMITIVES.get(name)


def schema_refusals(metadata: Metadata, features: frozenset[str]) -> list[Refusal]:
    """Every type or column of the schema that cannot be rewritten, by name, in the order of the schema."""
    mode = mapping_mode(metadata, features)
    refusals = [refusal for field in metadata.schema["fields"] for refusal in _field_refusals(field, str(field["name"]), mode, top=True)]
    if not data_fields(metadata):
        refusals.append(Refusal(reason="schema:no-data-columns", why="The table has no column that is stored in its files."))
    return refusals


def _field_refusals(field: Field, name: str, mode: str, *, top: bool = False) -> Iterator[Refusal]:
    described = field.get("metadata") or {}
    if top and field["type"] == "void":
        return
    if mode != "none" and (described.get("delta.columnMapping.physicalName") is None or not isinstance(described.get(_ID), int)):
        yield Refusal(reason="feature:columnMapping", why=f'The column "{name}" has no id or physical name although columns are mapped.')
    for change in described.get(_TYPE_CHANGES) or ():
        if not _widening_known(str(change.get("fromType")), str(change.get("toType"))):
            what = f"{change.get('fromType')} to {change.get('toType')}"
            yield Refusal(reason="feature:typeWidening", why=f'The column "{name}" was widened from {what}, which is not supported.')
    yield from _type_refusals(field["type"], name, mode)


def _type_refusals(kind: Type, name: str, mode: str) -> Iterator[Refusal]:
    if isinstance(kind, str):
        if _primitive(kind) is None:
            yield Refusal(reason=f"type:{kind}", why=f'The column "{name}" has the type "{kind}", which cannot be rewritten.')
    elif kind["type"] == "struct":
        if not kind["fields"]:
            yield Refusal(reason="type:empty-struct", why=f'The column "{name}" is a struct without fields, which Parquet cannot hold.')
        stored = [field for field in kind["fields"] if field["type"] != "void"]
        if kind["fields"] and not stored:
            yield Refusal(reason="type:void", why=f'The column "{name}" is a struct of nothing but void fields, which Parquet cannot hold.')
        for field in stored:
            yield from _field_refusals(field, f"{name}.{field['name']}", mode)
    elif kind["type"] == "array":
        yield from _type_refusals(kind["elementType"], f"{name}.element", mode)
    elif kind["type"] == "map":
        yield from _type_refusals(kind["keyType"], f"{name}.key", mode)
        yield from _type_refusals(kind["valueType"], f"{name}.value", mode)
    else:
        yield Refusal(reason=f"type:{kind['type']}", why=f'The column "{name}" has the type "{kind["type"]}", which is not known.')


def _widening_known(old: str, new: str) -> bool:
    """Whether values of type `old` can be cast to `new` without loss, by the protocol's list of type changes."""
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(old) < _INTEGERS.index(new)
    if (old, new) in {("float", "double"), ("date", "timestamp_ntz"), ("byte", "double"), ("short", "double"), ("integer", "double")}:
        return True
    target = _DECIMAL.fullmatch(new)
    if target is None:
        return False
    whole, scale = int(target[1]) - int(target[2]), int(target[2])
    if old in _INTEGERS:
        return whole >= _DIGITS[old]
    source = _DECIMAL.fullmatch(old)
    return source is not None and scale >= int(source[2]) and whole >= int(source[1]) - int(source[2])
