"""An independent reader of Delta tables on a local disk: the multiset of live rows, as values that compare exactly.

Shares no code with the compactor: plain JSON and pyarrow, deletion vectors decoded by hand. A row is a tuple with one value a column of the
schema: integers, exact decimals as text, timestamps as microseconds, NaN and minus zero as text, structs as tuples in the schema's order, a
null struct apart from a struct of nulls. Zone-less timestamps of partitions are taken as UTC.
"""

from __future__ import annotations

import datetime
import math
import struct
from collections import Counter
from collections.abc import Callable
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.reader_log import Action, Log, local_path, read_log
from support.reader_vectors import deleted_positions

Row = tuple[Any, ...]
Convert = Callable[[Any], Any]
_EXACT = Context(prec=80)
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - civil arithmetic
_UTC = _EPOCH.replace(tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def rows(table: Path | str | Log) -> Counter[Row]:
    """Every live row, counted. Raises whatever is wrong with a file or vector."""
    log = table if isinstance(table, Log) else read_log(table)
    found: Counter[Row] = Counter()
    for add in log.adds.values():
        found.update(file_rows(log, add))
    return found


def file_rows(log: Log, add: Action) -> list[Row]:
    """The rows of one live file that its deletion vector leaves."""
    stored = open_file(log, add).read()
    dead = deleted_positions(log.root, add.get("deletionVector"))
    columns = [_column(log, add, stored, field) for field in log.fields]
    return [row for i, row in enumerate(zip(*columns, strict=True)) if i not in dead]


def open_file(log: Log, add: Action) -> pq.ParquetFile:
    """The data file behind an add; timestamps of 96 bits in microseconds."""
    path = local_path(log.root, add["path"])
    return pq.ParquetFile(path, coerce_int96_timestamp_unit="us", arrow_extensions_enabled=False)


def engine_rows(found: pa.Table, fields: list[Action]) -> Counter[Row]:
    """Rows that another engine returned under logical names, as this reader has them. Raises when a value is not of its type."""
    columns = [
        [converter(found.schema.field(one["name"]).type, one["type"], "none")(v) for v in found[one["name"]].to_pylist()] for one in fields
    ]
    return Counter(zip(*columns, strict=True))


def _column(log: Log, add: Action, stored: pa.Table, field: Action) -> list[Any]:
    if field["name"] in log.partition_columns:
        key = stored_name(field, log.mapping)
        return [partition_value(add["partitionValues"].get(key), field["type"])] * stored.num_rows
    at = locate(list(stored.schema), field, log.mapping)
    if at is None:
        return [None] * stored.num_rows
    convert = converter(stored.schema.field(at).type, field["type"], log.mapping)
    return [convert(value) for value in python_values(stored.column(at))]


def python_values(column: pa.ChunkedArray) -> list[Any]:
    """The values as Python has them; timestamps as microseconds, since they may lie beyond what Python can hold."""
    if not pa.types.is_timestamp(column.type):
        values: list[Any] = column.to_pylist()
        return values
    times, over = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}[column.type.unit]
    return [None if value is None else value * times // over for value in column.cast(pa.int64()).to_pylist()]


def stored_name(field: Action, mapping: str) -> str:
    """The name of a column in files, statistics and partition values."""
    name = field["name"] if mapping == "none" else (field.get("metadata") or {}).get("delta.columnMapping.physicalName", field["name"])
    return str(name)


def locate(stored: list[pa.Field], field: Action, mapping: str) -> int | None:
    """Which of the stored fields holds a column of the schema; None when none does."""
    if mapping == "id":
        wanted = str((field.get("metadata") or {}).get("delta.columnMapping.id")).encode()
        return next((i for i, one in enumerate(stored) if (one.metadata or {}).get(b"PARQUET:field_id") == wanted), None)
    name = stored_name(field, mapping)
    exact = [i for i, one in enumerate(stored) if one.name == name]
    return next(iter(exact or [i for i, one in enumerate(stored) if one.name.lower() == name.lower()]), None)


def converter(stored: pa.DataType, kind: Any, mapping: str) -> Convert:
    """How Python values of a stored type become comparable ones of a Delta type."""
    if isinstance(kind, dict):
        return _nested(stored, kind, mapping)
    one = _scalar(stored, kind)
    return lambda value: None if value is None else one(value)


def _nested(stored: pa.DataType, kind: Action, mapping: str) -> Convert:
    if kind["type"] == "array":
        inner = converter(stored.value_type, kind["elementType"], mapping)
        return lambda value: None if value is None else tuple(inner(v) for v in value)
    if kind["type"] == "map":
        key, item = converter(stored.key_type, kind["keyType"], mapping), converter(stored.item_type, kind["valueType"], mapping)
        return lambda value: None if value is None else tuple(sorted(((key(k), item(v)) for k, v in _pairs(value)), key=repr))
    children = [stored.field(i) for i in range(stored.num_fields)]
    parts: list[tuple[str | None, Convert]] = []
    for field in kind["fields"]:
        at = locate(children, field, mapping)
        parts.append((None, lambda _: None) if at is None else (children[at].name, converter(children[at].type, field["type"], mapping)))
    return lambda value: None if value is None else tuple(convert(None if name is None else value[name]) for name, convert in parts)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items() if isinstance(value, dict) else value)


def _scalar(stored: pa.DataType, kind: str) -> Convert:
    if kind.startswith("decimal"):
        scale = int(kind.rstrip(")").partition(",")[2])
        return lambda value: str(Decimal(value).quantize(Decimal(1).scaleb(-scale), context=_EXACT))
    return {
        "string": lambda value: value.decode() if isinstance(value, bytes) else value,
        "binary": lambda value: value.encode() if isinstance(value, str) else bytes(value),
        "boolean": bool,
        "float": _float,
        "double": _float,
        "date": lambda value: (value - datetime.date(1970, 1, 1)).days,
        "timestamp": _microseconds,
        "timestamp_ntz": _microseconds,
        "variant": lambda value: tuple(sorted((name, repr(part)) for name, part in value.items())),
        "void": lambda _: None,
    }.get(kind, int)


def _float(value: Any) -> Any:
    number = float(value)
    if math.isnan(number):
        return "NaN"
    return "-0.0" if number == 0 and math.copysign(1, number) < 0 else number


def _microseconds(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, datetime.datetime):
        return (value - (_UTC if value.tzinfo else _EPOCH)) // _MICROSECOND
    return (datetime.datetime.combine(value, datetime.time()) - _EPOCH) // _MICROSECOND


def partition_value(text: str | None, kind: str) -> Any:
    """The value that a text of `partitionValues` stands for. Empty text is null, for strings too."""
    if text is None or text == "":
        return None
    if kind in ("float", "double"):
        number = float(text)
        finite = math.isfinite(number) and kind == "float"
        return "NaN" if math.isnan(number) else struct.unpack("f", struct.pack("f", number))[0] if finite else number
    if kind == "boolean":
        return text.lower() == "true"
    if kind == "date":
        return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days
    if kind in ("timestamp", "timestamp_ntz"):
        return _microseconds(datetime.datetime.fromisoformat(text))
    return text if kind == "string" else text.encode() if kind == "binary" else _scalar(pa.null(), kind)(text)
