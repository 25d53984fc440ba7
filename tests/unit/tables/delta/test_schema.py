"""Schema to ReadSpec, and what cannot be written."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from compactor.errors import TableRefused
from compactor.tables.delta.protocol import parse_metadata
from compactor.tables.delta.schema import read_spec, schema_refusals
from compactor.tables.delta.state import Metadata

NONE: frozenset[str] = frozenset()
MAPPED = frozenset({"columnMapping"})


def field(name: str, kind: Any, **metadata: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": False, "metadata": metadata}


def struct(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": list(fields)}


def array(kind: Any) -> dict[str, Any]:
    return {"type": "array", "elementType": kind, "containsNull": False}


def mapping(key: Any, value: Any) -> dict[str, Any]:
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": False}


def metadata(*fields: dict[str, Any], partitions: tuple[str, ...] = (), **properties: str) -> Metadata:
    raw = {"id": "i", "schemaString": json.dumps(struct(*fields)), "partitionColumns": list(partitions), "configuration": properties}
    return parse_metadata(raw, "t")


def mapped(name: str, kind: Any, number: int, **more: Any) -> dict[str, Any]:
    return field(name, kind, **{"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}, **more)


def test_types_and_nullability() -> None:
    """Every type has its physical Arrow type; all is nullable but map keys; partition columns and void are left out."""
    names = ["string", "long", "integer", "short", "byte", "float", "double", "boolean", "binary", "date", "timestamp", "timestamp_ntz"]
    fields = [field(name, name) for name in names]
    nested = field("n", struct(field("l", array("decimal(20,3)")), field("m", mapping("string", struct(field("x", "decimal"))))))
    spec = read_spec(metadata(*fields, field("P", "long"), field("v", "void"), nested, partitions=("p",)), NONE)
    inner = pa.map_(pa.field("key", pa.string(), nullable=False), pa.field("value", pa.struct([pa.field("x", pa.decimal128(10, 0))])))
    expected = [
        *zip(names, [pa.string(), pa.int64(), pa.int32(), pa.int16(), pa.int8(), pa.float32(), pa.float64(), pa.bool_(), pa.binary(),
                     pa.date32(), pa.timestamp("us", "UTC"), pa.timestamp("us")], strict=True),
        ("n", pa.struct([pa.field("l", pa.list_(pa.field("element", pa.decimal128(20, 3)))), pa.field("m", inner)])),
    ]  # fmt: skip
    assert [(f.name, f.type) for f in spec.schema] == expected
    assert all(f.nullable for f in spec.schema)
    assert spec.match == "name"


@pytest.mark.parametrize("mode", ["name", "id"])
def test_column_mapping_gives_physical_names_and_ids_at_every_level(mode: str) -> None:
    """Under column mapping struct fields at any depth carry physical name and id; elements, keys and values the nested ids, if any."""
    ids = {"col-3.element": 101, "col-3.element.element": 102, "col-5.key": 103, "col-5.value": 104}
    inner = struct(
        mapped("l", array(array(struct(mapped("y", "long", 4)))), 3, **{"delta.columnMapping.nested.ids": ids}),
        mapped("m", mapping("string", "long"), 5, **{"delta.columnMapping.nested.ids": ids}),
    )
    described = metadata(mapped("a", "long", 1), mapped("s", inner, 2), **{"delta.columnMapping.mode": mode})
    spec = read_spec(described, MAPPED)
    assert spec.match == mode

    def number(one: pa.Field) -> str:
        return (one.metadata or {}).get(b"PARQUET:field_id", b"-").decode()

    listed, pairs = spec.schema.field(1).type.field(0), spec.schema.field(1).type.field(1)
    element = listed.type.value_field
    assert [(f.name, number(f)) for f in spec.schema] == [("col-1", "1"), ("col-2", "2")]
    assert [(f.name, number(f)) for f in (listed, pairs)] == [("col-3", "3"), ("col-5", "5")]
    assert (number(element), number(element.type.value_field)) == ("101", "102")
    assert (element.type.value_field.type.field(0).name, number(element.type.value_field.type.field(0))) == ("col-4", "4")
    assert (number(pairs.type.key_field), number(pairs.type.item_field)) == ("103", "104")


def test_mapping_without_the_feature_is_no_mapping() -> None:
    """The property alone maps nothing: only the protocol can."""
    spec = read_spec(metadata(mapped("a", "long", 1), **{"delta.columnMapping.mode": "id"}), NONE)
    assert (spec.schema.names, spec.match, spec.schema.field(0).metadata) == (["a"], "name", None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([field("a", "interval day to second")], "type:interval day to second"),
        ([field("a", "varchar(10)")], "type:varchar(10)"),
        ([field("a", "decimal(39,2)")], "type:decimal(39,2)"),
        ([field("a", "geometry(4326)")], "type:geometry(4326)"),
        ([field("a", struct(field("b", "void")))], "type:void"),
        ([field("a", array("void"))], "type:void"),
        ([field("a", mapping("string", "void"))], "type:void"),
        ([field("a", struct())], "type:empty-struct"),
        ([field("a", array({"type": "udt"}))], "type:udt"),
        ([field("a", "void")], "schema:no-data-columns"),
        ([field("a", "double", **{"delta.typeChanges": [{"fromType": "long", "toType": "double"}]})], "feature:typeWidening"),
        ([field("a", "decimal(5,2)", **{"delta.typeChanges": [{"fromType": "short", "toType": "decimal(5,2)"}]})], "feature:typeWidening"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(fields: list[dict[str, Any]], reason: str) -> None:
    """A type that cannot be rewritten refuses the table with a reason that names it, wherever it is nested."""
    described = metadata(*fields)
    assert [r.reason for r in schema_refusals(described, NONE)] == [reason]
    with pytest.raises(TableRefused) as refused:
        read_spec(described, NONE)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("old", "new"),
    [("byte", "long"), ("integer", "double"), ("float", "double"), ("date", "timestamp_ntz"), ("byte", "decimal(4,1)"),
     ("long", "decimal(20,0)"), ("decimal(5,2)", "decimal(9,4)")],
)  # fmt: skip
def test_lossless_widenings_pass(old: str, new: str) -> None:
    """Type changes that lose nothing are no reason to refuse."""
    assert not schema_refusals(metadata(field("a", new, **{"delta.typeChanges": [{"fromType": old, "toType": new}]})), NONE)


def test_a_mapped_column_without_an_id_is_refused() -> None:
    """A column without id or physical name under column mapping cannot be found in files."""
    described = metadata(mapped("a", "long", 1), field("b", "long"), **{"delta.columnMapping.mode": "name"})
    assert [(r.reason, "b" in r.why) for r in schema_refusals(described, MAPPED)] == [("feature:columnMapping", True)]
