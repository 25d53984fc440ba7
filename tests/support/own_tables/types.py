"""Own tables of types: every primitive with its extremes, nested ones, all physical forms of decimals and timestamps, variants."""

from __future__ import annotations

import datetime
import json
import struct
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from support.delta_tables import HandTable, make_table, table_of
from support.own_tables.mapping import nested_rows
from support.own_tables.registry import add_file, commit_files, no_rows, own, own_each, resized
from support.parquet_footer import I32, Field, joined, member, split

UTC = datetime.UTC
_DECIMAL = 5  # Parquet's ConvertedType of that name
EXTREMES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "byte": (pa.int8(), [-128, 127]),
    "short": (pa.int16(), [-(2**15), 2**15 - 1]),
    "integer": (pa.int32(), [-(2**31), 2**31 - 1]),
    "long": (pa.int64(), [-(2**63), 2**63 - 1, 2**53 + 1]),
    "float": (pa.float32(), [float("nan"), float("inf"), -0.0, 1e-45]),
    "double": (pa.float64(), [float("-inf"), 5e-324, 0.1, -0.0]),
    "boolean": (pa.bool_(), [True, False]),
    "string": (pa.string(), ["", "é" * 40, "\U0010ffff" * 40, "a" * 31 + "\U0001f600" + "z" * 9, "\0", "\ud7ff"]),
    "binary": (pa.binary(), [b"", b"\xff\xfe", bytes(300)]),
    "date": (pa.date32(), [datetime.date(1, 1, 1), datetime.date(1582, 10, 4), datetime.date(9999, 12, 31)]),
    "timestamp": (
        pa.timestamp("us", "UTC"),
        [datetime.datetime(1, 1, 1, tzinfo=UTC), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)],
    ),
    "timestamp_ntz": (pa.timestamp("us"), [datetime.datetime(1, 1, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)]),  # noqa: DTZ001
    "decimal(9,2)": (pa.decimal128(9, 2), [Decimal("-9999999.99"), Decimal("0.01")]),
    "decimal(18,0)": (pa.decimal128(18, 0), [Decimal("9" * 18), Decimal("-" + "9" * 18)]),
    "decimal(38,38)": (pa.decimal128(38, 38), [Decimal("0." + "9" * 38), Decimal("-0." + "9" * 38)]),
    "decimal(20,2)": (pa.decimal128(20, 2), [Decimal("9007199254740993.01"), None]),
}
EXACT_FEATURES = ["timestampNtz", "appendOnly", "invariants"]


def extremes() -> pa.Table:
    size = max(len(values) for _, values in EXTREMES.values()) + 1
    return pa.table({name: pa.array([*values, *[None] * (size - len(values))], kind) for name, (kind, values) in EXTREMES.items()})


@own()
def every_type(root: Path) -> HandTable:
    rows = extremes()
    table = make_table(root, rows.slice(0, 0), features=EXACT_FEATURES)
    return commit_files(table, *(add_file(table, rows.slice(i, 2)) for i in range(0, rows.num_rows, 2)))


@own()
def every_type_of_nulls_only(root: Path) -> HandTable:
    rows = pa.table({name: pa.nulls(3, kind) for name, (kind, _) in EXTREMES.items()})
    return make_table(root, rows, files=3, features=EXACT_FEATURES)


@own()
def timestamps_of_96_bits(root: Path) -> HandTable:
    """Beyond what nanoseconds of 64 bits can hold: read in those, the year 9999 becomes 1816."""
    moments = [
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime.datetime(1, 1, 1, tzinfo=UTC),
        None,
        datetime.datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
    ]
    rows = pa.table({"t": pa.array(moments, pa.timestamp("us", "UTC")), "n": range(4)})
    table = make_table(root, rows.slice(0, 0))
    adds = [add_file(table, rows.slice(i, 1), use_deprecated_int96_timestamps=True) for i in range(4)]
    nested = pa.table({"t": pa.array([None], pa.timestamp("us", "UTC")), "n": [9]})
    return commit_files(table, *adds, add_file(table, nested))


@own_each(millis={"unit": "ms"}, micros={"unit": "us"})
def timestamps_in(root: Path, unit: str) -> HandTable:
    moments = [datetime.datetime(2024, 2, 29, 1, 2, 3, 4000, UTC), None, datetime.datetime(1960, 1, 1, 0, 0, 0, 1000, UTC)]
    rows = pa.table({"t": pa.array(moments, pa.timestamp(unit, "UTC"))})
    table = make_table(root, no_rows(t=pa.timestamp("us", "UTC")))
    return commit_files(table, *(add_file(table, rows.slice(i, 1)) for i in range(3)))


@own_each(**{f"{p}_{s}": {"precision": p, "scale": s} for p, s in ((1, 1), (9, 9), (9, 0), (18, 6), (19, 0), (38, 0), (38, 18))})
def decimals_of(root: Path, precision: int, scale: int) -> HandTable:
    """The same column stored as an integer of 32 or 64 bits where it fits, and as bytes of a fixed length."""
    kind = pa.decimal128(precision, scale)
    largest = Decimal((0, (9,) * precision, -scale))
    rows = pa.table({"d": pa.array([largest, largest.copy_negate(), None, Decimal(0).scaleb(-scale)], kind)})
    table = make_table(root, rows.slice(0, 0))
    adds = [add_file(table, rows.slice(i, 2), store_decimal_as_integer=integer) for i in (0, 2) for integer in (False, True)]
    return commit_files(table, *adds)


@own_each(**{f"{p}_{s}": {"precision": p, "scale": s} for p, s in ((5, 2), (18, 6), (38, 18))})
def decimals_as_bytes(root: Path, precision: int, scale: int) -> HandTable:
    """Decimals in as many bytes as each value takes, as some writers store them, in one file of two. pyarrow writes no such file."""
    largest = 10**precision - 1
    unscaled = [largest, -largest, None, 0, 1, -1, 127, -128, 128]
    kind = pa.decimal128(precision, scale)
    values = pa.array([None if n is None else Decimal(n).scaleb(-scale, Context(prec=40)) for n in unscaled], kind)
    table = make_table(root, pa.table({"d": values.slice(0, 0)}))
    stored = [None if n is None else n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True) for n in unscaled]
    add = add_file(table, pa.table({"d": pa.array(stored, pa.binary())}), write_statistics=False, store_schema=False)
    target = table.root / add["path"]
    body, footer = split(target.read_bytes())
    element = member(footer, 2).value.values[1]
    element[:] = [field for field in element if field.id <= 4] + [Field(6, I32, _DECIMAL), Field(7, I32, scale), Field(8, I32, precision)]
    target.write_bytes(joined(body, footer))
    return commit_files(table, resized(add, target), add_file(table, pa.table({"d": values})))


@own()
def nested_columns(root: Path) -> HandTable:
    return make_table(root, nested_rows(30), files=5)


@own()
def deeply_nested_columns(root: Path) -> HandTable:
    deep = pa.list_(pa.map_(pa.string(), pa.struct([("a", pa.list_(pa.struct([("b", pa.map_(pa.int32(), pa.list_(pa.float64())))])))])))
    value = [[("k", {"a": [{"b": [(1, [0.5, None])]}, None, {"b": []}]}), ("l", None)], None, []]
    rows = pa.table({"deep": pa.array([value, None, [], [None], value], deep), "n": range(5)})
    return make_table(root, rows, files=3)


@own("refused", "Parquet cannot hold")
def structs_without_members(root: Path) -> HandTable:
    """A struct of no members has no column in any file."""
    table = make_table(root, table_of(n=range(4)), files=2)
    empty = {"name": "e", "type": {"type": "struct", "fields": []}, "nullable": True, "metadata": {}}
    table.fields.append(empty)
    table.metadata |= {"schemaString": json.dumps({"type": "struct", "fields": table.fields})}
    table.commit([{"metaData": table.metadata}])
    return table


def variant(number: int) -> dict[str, bytes]:
    """The variant of a small integer."""
    return {"metadata": b"\x01\x00\x00", "value": struct.pack("<Bb", 3 << 2, number)}


VARIANT = pa.struct([pa.field("metadata", pa.binary(), nullable=False), pa.field("value", pa.binary(), nullable=False)])


def _variants(root: Path, feature: str) -> HandTable:
    table = make_table(root, no_rows(n=pa.int64(), v=pa.string()), features=[feature, "appendOnly", "invariants"])
    table.fields[1]["type"] = "variant"
    table.metadata |= {"schemaString": json.dumps({"type": "struct", "fields": table.fields})}
    table.commit([{"metaData": table.metadata}])
    return table


@own_each(final={"feature": "variantType"}, preview={"feature": "variantType-preview"})
def variants(root: Path, feature: str) -> HandTable:
    table = _variants(root, feature)
    stored = pa.table({"n": [1, 2, 3], "v": pa.array([variant(1), None, variant(-5)], VARIANT)})
    return commit_files(table, *(add_file(table, stored.slice(i, 1)) for i in range(3)))


@own(left=1)
def variants_of_which_some_are_shredded(root: Path) -> HandTable:
    table = _variants(root, "variantShredding-preview")
    table.protocol["readerFeatures"].append("variantType")
    table.protocol["writerFeatures"].append("variantType")
    table.commit([{"protocol": table.protocol}])
    stored = pa.table({"n": [1, 2, 3], "v": pa.array([variant(1), None, variant(-5)], VARIANT)})
    shredded = pa.struct([pa.field("metadata", pa.binary(), nullable=False), ("value", pa.binary()), ("typed_value", pa.int32())])
    odd = pa.table({"n": [4], "v": pa.array([{"metadata": b"\x01\x00\x00", "value": None, "typed_value": 7}], shredded)})
    return commit_files(table, *(add_file(table, stored.slice(i, 1)) for i in range(3)), add_file(table, odd))
