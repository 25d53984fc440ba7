"""Own tables whose files do not have the table's schema: columns missing, too many, in another order or case, or of a narrower type."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from support.delta_tables import HandTable, append, make_table, table_of
from support.own_tables.registry import add_file, alter, commit_files, own, plain

WIDENING = ["typeWidening", "timestampNtz", "appendOnly", "invariants"]


def change(before: str, after: str, path: str | None = None) -> dict[str, Any]:
    """Field metadata that tells of a widened type."""
    return {"delta.typeChanges": [{"fromType": before, "toType": after, **({"fieldPath": path} if path else {})}]}


@own()
def columns_added_later(root: Path) -> HandTable:
    table = plain(root)
    point = {"type": "struct", "fields": [{"name": "x", "type": "integer", "nullable": True, "metadata": {}}]}
    alter(table, lambda fields: fields.append({"name": "added", "type": "long", "nullable": True, "metadata": {}}))
    alter(table, lambda fields: fields.append({"name": "point", "type": point, "nullable": True, "metadata": {}}))
    new = pa.table({"n": [90], "s": ["x"], "x": [1.0], "added": [5], "point": pa.array([{"x": 1}], pa.struct([("x", pa.int32())]))})
    return commit_files(table, add_file(table, new))


@own()
def struct_members_added_later(root: Path) -> HandTable:
    narrow, wide = pa.struct([("x", pa.int64())]), pa.struct([("y", pa.string()), ("x", pa.int64())])
    table = make_table(root, pa.table({"p": pa.array([{"x": 1}, None, {"x": None}], narrow)}))
    alter(table, lambda fields: fields[0]["type"]["fields"].insert(0, {"name": "y", "type": "string", "nullable": True, "metadata": {}}))
    return commit_files(table, add_file(table, pa.table({"p": pa.array([{"y": "a", "x": 2}, None], wide)})))


@own()
def files_of_other_column_order(root: Path) -> HandTable:
    table = plain(root)
    return commit_files(table, add_file(table, pa.table({"x": [0.5, None], "s": ["a", "b"], "n": [101, 102]})))


@own()
def files_with_extra_columns(root: Path) -> HandTable:
    """Change types of an update, and a column that the table no longer has."""
    table = plain(root)
    more = pa.table({"n": [1, 2], "s": ["a", "b"], "x": [0.5, 1.5], "_change_type": ["insert", "delete"], "gone": [1, 2]})
    return commit_files(table, add_file(table, more))


@own()
def files_with_partition_columns_inside(root: Path) -> HandTable:
    """What the log says of a partition wins over what is in the file."""
    table = make_table(root, table_of(n=range(6), p=["a", "b", "a", "b", "a", "b"]), partition_by=["p"])
    return commit_files(table, add_file(table, pa.table({"p": ["wrong", "wrong"], "n": [50, 51]}), partition={"p": "a"}, folder="p=a/"))


@own()
def files_of_other_case(root: Path) -> HandTable:
    """Without column mapping names match whatever their case, as legacy writers need."""
    table = plain(root)
    return commit_files(table, add_file(table, pa.table({"N": [100, 101], "S": ["a", None], "X": [0.5, 1.0]})))


@own()
def files_without_any_known_column(root: Path) -> HandTable:
    table = plain(root)
    return commit_files(table, add_file(table, pa.table({"other": [1, 2, 3]})))


@own()
def widened_types(root: Path) -> HandTable:
    """Every widening that the protocol lists, each with files from before and after."""
    day = datetime.date(1969, 12, 31)
    before = {
        "b": pa.array([-128, None, 127], pa.int8()),
        "s": pa.array([-32768, None, 32767], pa.int16()),
        "i": pa.array([-(2**31), None, 2**31 - 1], pa.int32()),
        "f": pa.array([0.1, None, float("-inf")], pa.float32()),
        "bd": pa.array([-128, None, 127], pa.int8()),
        "id": pa.array([-(2**31), None, 2**31 - 1], pa.int32()),
        "d": pa.array([day, None, datetime.date(9999, 12, 31)], pa.date32()),
        "e": pa.array([Decimal("-9.99"), None, Decimal("9.99")], pa.decimal128(3, 2)),
        "de": pa.array([-5, None, 5], pa.int16()),
        "le": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
    }
    names = ("byte", "short", "integer", "float", "byte", "integer", "date", "decimal(3,2)", "short", "long")
    widened = ("long", "integer", "long", "double", "double", "double", "timestamp_ntz", "decimal(20,6)", "decimal(10,4)", "decimal(38,10)")
    table = make_table(root, pa.table(before), files=3, features=WIDENING)

    def widen(fields: list[dict[str, Any]]) -> None:
        for field, old, new in zip(fields, names, widened, strict=True):
            field["type"] = new
            field["metadata"] = change(old, new)

    alter(table, widen, **{"delta.enableTypeWidening": "true"})
    after = {
        "b": pa.array([2**40], pa.int64()),
        "s": pa.array([2**20], pa.int32()),
        "i": pa.array([2**40], pa.int64()),
        "f": pa.array([0.1], pa.float64()),
        "bd": pa.array([0.1], pa.float64()),
        "id": pa.array([0.1], pa.float64()),
        "d": pa.array([datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)], pa.timestamp("us")),  # noqa: DTZ001 - without zone
        "e": pa.array([Decimal("12345678901234.567891")], pa.decimal128(20, 6)),
        "de": pa.array([Decimal("999999.9999")], pa.decimal128(10, 4)),
        "le": pa.array([Decimal("9" * 28 + "." + "9" * 10)], pa.decimal128(38, 10)),
    }
    return commit_files(table, add_file(table, pa.table(after)))


@own()
def widened_nested_types(root: Path) -> HandTable:
    kinds = pa.struct([("a", pa.int8())]), pa.list_(pa.int16()), pa.map_(pa.int8(), pa.int32())
    values = [{"a": 1}, None], [[1, None], []], [[(1, 2)], None]
    before = pa.table({name: pa.array(v, kind) for name, v, kind in zip("slm", values, kinds, strict=True)})
    table = make_table(root, before, files=2, features=WIDENING)

    def widen(fields: list[dict[str, Any]]) -> None:
        fields[0]["type"]["fields"][0] |= {"type": "long", "metadata": change("byte", "long")}
        fields[1]["type"]["elementType"] = "integer"
        fields[1]["metadata"] = change("short", "integer", "element")
        fields[2]["type"] |= {"keyType": "short", "valueType": "long"}
        fields[2]["metadata"] = {
            "delta.typeChanges": [
                *change("byte", "short", "key")["delta.typeChanges"],
                *change("integer", "long", "value")["delta.typeChanges"],
            ]
        }

    alter(table, widen, **{"delta.enableTypeWidening": "true"})
    kinds = pa.struct([("a", pa.int64())]), pa.list_(pa.int32()), pa.map_(pa.int16(), pa.int64())
    values = [{"a": 2**40}], [[2**20]], [[(300, 2**40)]]
    after = pa.table({name: pa.array(v, kind) for name, v, kind in zip("slm", values, kinds, strict=True)})
    return commit_files(table, add_file(table, after))


@own("refused", "string")
def widening_that_nobody_supports(root: Path) -> HandTable:
    table = make_table(root, table_of(n=[1, 2]), features=WIDENING)

    def widen(fields: list[dict[str, Any]]) -> None:
        fields[0] |= {"type": "string", "metadata": change("long", "string")}

    alter(table, widen, **{"delta.enableTypeWidening": "true"})
    return table


@own()
def void_columns(root: Path) -> HandTable:
    """A column of the type void is in no file."""
    table = plain(root)
    alter(table, lambda fields: fields.insert(1, {"name": "nothing", "type": "void", "nullable": True, "metadata": {}}))
    append(table, table_of(n=[30], s=["a"], x=[0.5]))
    return table


@own()
def required_columns(root: Path) -> HandTable:
    """A column that may not be null stays so in the schema, whatever the files say."""
    table = plain(root)
    schema = json.loads(table.metadata["schemaString"])
    schema["fields"][0]["nullable"] = False
    table.metadata |= {"schemaString": json.dumps(schema)}
    table.commit([{"metaData": table.metadata}])
    required = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("s", pa.string()), pa.field("x", pa.float64())])
    return commit_files(table, add_file(table, pa.table([[60], ["a"], [0.5]], schema=required)))
