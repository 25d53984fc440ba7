"""Random Delta types, values of them, and the Arrow types that files store them as. From a seeded generator; no pyarrow defaults."""

from __future__ import annotations

import datetime
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa

from support.reader_log import Action

LEAVES = {
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_TEXTS = ["", "a", "Grüße", "日本語", "\U0001f600" * 20, "x" * 31, "y" * 33, "\0", "\uffff", "prefix " * 9, "NULL"]
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
WIDER: dict[str, list[str]] = {
    "byte": ["short", "integer", "long", "double", "decimal(12,2)"],
    "short": ["integer", "long", "double", "decimal(15,5)"],
    "integer": ["long", "double", "decimal(20,0)"],
    "long": ["decimal(25,5)"],
    "float": ["double"],
    "date": ["timestamp_ntz"],
}


def random_type(chance: Random, depth: int) -> Any:
    """A type nested at most `depth` deep."""
    if depth == 0 or chance.random() < 0.6:
        if chance.random() < 0.15:
            precision = chance.choice((1, 5, 9, 10, 18, 19, 38))
            return f"decimal({precision},{chance.randint(0, precision)})"
        return chance.choice(list(LEAVES))
    shape = chance.randrange(3)
    if shape == 0:
        fields = [random_field(chance, f"m{i}", depth - 1) for i in range(chance.randint(1, 3))]
        return {"type": "struct", "fields": fields}
    if shape == 1:
        return {"type": "array", "elementType": random_type(chance, depth - 1), "containsNull": True}
    key = chance.choice(["string", "integer", "date", "boolean"])
    return {"type": "map", "keyType": key, "valueType": random_type(chance, depth - 1), "valueContainsNull": True}


def random_field(chance: Random, name: str, depth: int) -> Action:
    """A field of a random type, without column mapping."""
    return {"name": name, "type": random_type(chance, depth), "nullable": True, "metadata": {}}


def widened(chance: Random, kind: str) -> str | None:
    """A wider type that the protocol allows, if there is one."""
    if kind.startswith("decimal"):
        precision, scale = map(int, kind[8:-1].split(","))
        more = chance.randint(0, 38 - precision)
        finer = chance.randint(0, more)
        return f"decimal({precision + more},{scale + finer})" if more else None
    return chance.choice(WIDER[kind]) if kind in WIDER else None


def arrow_type(kind: Any, mapping: str) -> pa.DataType:
    """How files store a type."""
    if isinstance(kind, str):
        return pa.decimal128(*map(int, kind[8:-1].split(","))) if kind.startswith("decimal") else LEAVES[kind]
    if kind["type"] == "struct":
        return pa.struct([arrow_field(field, mapping) for field in kind["fields"]])
    if kind["type"] == "array":
        return pa.list_(pa.field("element", arrow_type(kind["elementType"], mapping)))
    return pa.map_(arrow_type(kind["keyType"], mapping), arrow_type(kind["valueType"], mapping))


def arrow_field(field: Action, mapping: str) -> pa.Field:
    """How files store a field: physical name and field id where columns are mapped."""
    if mapping == "none":
        return pa.field(field["name"], arrow_type(field["type"], mapping))
    number = str(field["metadata"]["delta.columnMapping.id"]).encode()
    name = field["metadata"]["delta.columnMapping.physicalName"]
    return pa.field(name, arrow_type(field["type"], mapping), metadata={b"PARQUET:field_id": number})


def random_value(chance: Random, kind: Any, nulls: float, mapping: str) -> Any:
    """A value as pyarrow takes it, perhaps null."""
    if chance.random() < nulls:
        return None
    if isinstance(kind, str):
        return _scalar(chance, kind)
    if kind["type"] == "struct":
        names = [arrow_field(field, mapping).name for field in kind["fields"]]
        return {name: random_value(chance, field["type"], nulls, mapping) for name, field in zip(names, kind["fields"], strict=True)}
    if kind["type"] == "array":
        return [random_value(chance, kind["elementType"], nulls, mapping) for _ in range(chance.randrange(4))]
    keys = dict.fromkeys(_scalar(chance, kind["keyType"]) for _ in range(chance.randrange(4)))
    return [(key, random_value(chance, kind["valueType"], nulls, mapping)) for key in keys]


def _scalar(chance: Random, kind: str) -> Any:
    if kind in _BITS:
        top = 1 << (_BITS[kind] - 1)
        return chance.choice([-top, top - 1, 0, chance.randint(-top, top - 1), chance.randint(-9, 9)])
    if kind in ("float", "double"):
        small = [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), chance.uniform(-1e6, 1e6)]
        return chance.choice(small if kind == "float" else [*small, 5e-324, 1.7e308, 0.1])
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "string":
        return chance.choice([*_TEXTS, str(chance.random())])
    if kind == "binary":
        return chance.choice([b"", b"\xff\x00", bytes([chance.randrange(256)]) * chance.randrange(60)])
    if kind == "date":
        return datetime.date.fromordinal(chance.choice([1, 719_163, 3_652_059, chance.randint(1, 3_652_059)]))
    if kind in ("timestamp", "timestamp_ntz"):
        zone = datetime.UTC if kind == "timestamp" else None
        micros = chance.choice([_FIRST_US, _LAST_US, -1, 0, chance.randint(_FIRST_US, _LAST_US), chance.randint(10**14, 10**15)])
        return datetime.datetime(1970, 1, 1, tzinfo=zone) + datetime.timedelta(microseconds=micros)
    precision, scale = map(int, kind[8:-1].split(","))
    most = 10**precision - 1
    number = chance.choice([most, 0, chance.randint(0, most), chance.randint(0, min(most, 9))])
    return Decimal((chance.randrange(2), tuple(map(int, str(number))), -scale))
