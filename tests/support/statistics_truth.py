"""Holds the statistics of an add against the rows of its file: counts are exact, bounds bound. Shares no code with the compactor.

By the protocol's "Per-file Statistics": counts are of physical rows, strings may be cut, timestamps are cut to milliseconds and readers
widen the upper one by a millisecond.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from support.reader import converter, locate, open_file, python_values, stored_name
from support.reader_log import Action, Log

Leaf = tuple[tuple[str, ...], Any, list[Any]]


def check_statistics(log: Log, add: Action) -> None:
    """Assert that what `add.stats` says of its file is true, for every column that it speaks of."""
    stats = json.loads(add["stats"], parse_float=Decimal, parse_int=Decimal)
    stored = open_file(log, add).read()
    assert stats["numRecords"] == stored.num_rows, f"numRecords of {add['path']} is {stats['numRecords']}, rows are {stored.num_rows}"
    leaves = {path: (kind, values) for path, kind, values in _leaves(log, stored)}
    for section in ("minValues", "maxValues", "nullCount"):
        unknown = {path for path, _ in _walk(stats.get(section) or {})} - leaves.keys()
        assert not unknown, f"{section} of {add['path']} speaks of {unknown}, which is no column of the file"
    for path, count in _walk(stats.get("nullCount") or {}):
        nulls = sum(value is None for value in leaves[path][1])
        assert count == nulls, f"nullCount of {path} in {add['path']} is {count}, nulls are {nulls}"
    for section, sign in (("minValues", 1), ("maxValues", -1)):
        for path, bound in _walk(stats.get(section) or {}):
            kind, values = leaves[path]
            for value in values:
                assert value is None or _within(value, bound, kind, sign), (
                    f"{section} of {path} in {add['path']} is {bound!r}, a value {value!r}"
                )


def _leaves(log: Log, stored: pa.Table) -> Iterator[Leaf]:
    """Every column that may have statistics: its physical path, Delta type and comparable values, null below a null struct."""
    for field in log.fields:
        at = locate(list(stored.schema), field, log.mapping)
        if at is not None and field["name"] not in log.partition_columns:
            convert = converter(stored.schema.field(at).type, field["type"], log.mapping)
            yield from _below(
                (stored_name(field, log.mapping),), field["type"], [convert(v) for v in python_values(stored.column(at))], log.mapping
            )


def _below(path: tuple[str, ...], kind: Any, values: list[Any], mapping: str) -> Iterator[Leaf]:
    if not isinstance(kind, dict) or kind["type"] != "struct":
        yield path, kind, values
        return
    for i, field in enumerate(kind["fields"]):
        inner = [None if value is None else value[i] for value in values]
        yield from _below((*path, stored_name(field, mapping)), field["type"], inner, mapping)


def _walk(section: Action, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _walk(value, (*path, name))
        else:
            yield (*path, name), value


def _within(value: Any, bound: Any, kind: str, sign: int) -> bool:
    """Whether a value is not below (sign 1) or not above (-1) its bound."""
    if kind == "string":
        low, high = (bound, value) if sign > 0 else (value, bound)
        return bool(low.encode() <= high.encode())
    if kind == "date":
        return bool(sign * (value - (datetime.date.fromisoformat(bound) - datetime.date(1970, 1, 1)).days) >= 0)
    if kind in ("timestamp", "timestamp_ntz"):
        moment = datetime.datetime.fromisoformat(bound)
        epoch = datetime.datetime(1970, 1, 1, tzinfo=moment.tzinfo and datetime.UTC)
        micros = (moment - epoch) // datetime.timedelta(microseconds=1)
        return value >= micros if sign > 0 else value < micros + 1000
    if value == "NaN":
        return sign > 0  # greater than every number; an upper bound would hide it
    if kind in ("float", "double"):
        return bool(sign * float(value) >= sign * float(bound))
    return bool(sign * Decimal(value) >= sign * Decimal(bound))
