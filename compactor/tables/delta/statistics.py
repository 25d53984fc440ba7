"""Typed column statistics to the JSON string of `add.stats` (protocol sections "Per-file Statistics" and "Column Mapping"). Pure.

Nested like the data, keyed by physical names. Bounds must really bound under the widening that the protocol asks of readers (a timestamp
maximum stands for the whole millisecond); where that cannot be said exactly, the bound is left out, never guessed. Decimals are written
digit by digit: they never pass through a float.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from compactor.model.rewrite import Bound, ColumnStatistics, OutputFile
from compactor.tables.delta.protocol import mapping_mode, physical_name
from compactor.tables.delta.state import Metadata

DEFAULT_STRING_PREFIX = 32
_UNIX_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - civil arithmetic only; the zone is written by hand
_DAY_ZERO = datetime.date(1970, 1, 1)
_INTEGERS = frozenset({"byte", "short", "integer", "long"})
_HIGHEST = "\U0010ffff"
_DELETE = "\x7f"

LeafTypes = Mapping[tuple[str, ...], str]
Tree = dict[str, Any]


def leaf_types(metadata: Metadata, features: frozenset[str]) -> dict[tuple[str, ...], str]:
    """The type of every primitive leaf outside arrays and maps, by its path of physical names, as the schema spells it."""
    found: dict[tuple[str, ...], str] = {}
    _walk(metadata.schema, (), mapping_mode(metadata, features), found)
    return found


def _walk(struct: Mapping[str, Any], prefix: tuple[str, ...], mode: str, found: dict[tuple[str, ...], str]) -> None:
    for field in struct.get("fields", ()):
        path = (*prefix, physical_name(field, mode))
        kind = field["type"]
        if isinstance(kind, str):
            found[path] = kind
        elif kind.get("type") == "struct":
            _walk(kind, path, mode, found)


def string_prefix(configuration: Mapping[str, str]) -> int:
    """How many UTF-16 units of a string a bound keeps, by `delta.dataSkippingStringPrefixLength`."""
    text = configuration.get("delta.dataSkippingStringPrefixLength", "")
    return int(text) if text.isdecimal() and int(text) > 0 else DEFAULT_STRING_PREFIX


def stats_json(output: OutputFile, types: LeafTypes, *, tight_bounds: bool | None, prefix: int = DEFAULT_STRING_PREFIX) -> str:
    """The value of `add.stats` for an output. `tight_bounds`: what to say of that; None where deletion vectors are not supported."""
    lows: Tree = {}
    highs: Tree = {}
    nulls: Tree = {}
    for column in output.statistics:
        _place(nulls, column.path, column.null_count)
        low, high = _bounds(column, types.get(column.path, ""), prefix)
        if low is not None:
            _place(lows, column.path, low)
        if high is not None:
            _place(highs, column.path, high)
    stats: Tree = {"numRecords": output.rows, "minValues": lows, "maxValues": highs, "nullCount": nulls}
    if tight_bounds is not None:
        stats["tightBounds"] = tight_bounds
    return orjson.dumps(stats).decode()


def _place(tree: Tree, path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _bounds(column: ColumnStatistics, kind: str, prefix: int) -> tuple[object | None, object | None]:
    """Minimum and maximum as JSON values (or fragments); None where there is none to write."""
    low, high = column.minimum, column.maximum
    if _is_nan(low) or _is_nan(high):
        return None, None
    if kind == "string":
        return (
            _string_minimum(low, prefix) if isinstance(low, str) else None,
            _string_maximum(high, prefix, column.maximum_cut) if isinstance(high, str) else None,
        )
    return _least(_scalar(low, kind)), _scalar(high, kind)


def _least(value: object | None) -> object | None:
    """A lower bound. HAZARD: DataFusion orders minus zero below zero where it skips files, and as equal where it compares rows."""
    return -0.0 if isinstance(value, float) and value == 0 else value


def _is_nan(value: Bound | None) -> bool:
    return (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def _scalar(value: Bound | None, kind: str) -> object | None:
    """One bound of a fixed-size type; None for types that carry no bounds (boolean, binary) and for values JSON cannot hold."""
    if value is None or isinstance(value, bool | bytes | str):
        return None
    if kind.startswith("decimal"):
        return _decimal(Decimal(value)) if isinstance(value, int | Decimal) else None
    if kind in ("float", "double"):
        return float(value) + 0.0 if math.isfinite(value) else None  # + 0.0: minus zero becomes zero
    if not isinstance(value, int):
        return None
    if kind == "date":
        return _date(value)
    if kind in ("timestamp", "timestamp_ntz"):
        return _timestamp(value, "Z" if kind == "timestamp" else "")
    return value if kind in _INTEGERS else None


def _decimal(value: Decimal) -> orjson.Fragment | None:
    if not value.is_finite():
        return None
    return orjson.Fragment(format(value if value else abs(value), "f").encode())


def _date(days: int) -> str | None:
    try:
        return (_DAY_ZERO + datetime.timedelta(days=days)).isoformat()
    except OverflowError:  # a year outside 1..9999
        return None


def _timestamp(microseconds: int, zone: str) -> str | None:
    """Floored to milliseconds, before 1970 too."""
    try:
        moment = _UNIX_EPOCH + datetime.timedelta(milliseconds=microseconds // 1000)
    except OverflowError:  # a year outside 1..9999
        return None
    return moment.isoformat(timespec="milliseconds") + zone


def _units(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1


def _cut_at(text: str, prefix: int) -> int:
    """How many characters of `text` fit `prefix` UTF-16 units without splitting a surrogate pair."""
    units = 0
    for index, character in enumerate(text):
        units += _units(character)
        if units > prefix:
            return index
    return len(text)


def _string_minimum(text: str, prefix: int) -> str:
    """A prefix sorts before every string that starts with it."""
    return text[: _cut_at(text, prefix)]


def _string_maximum(text: str, prefix: int, was_cut: bool) -> str | None:
    """A prefix and one character that sorts after whatever was cut off; None when none does within twice the prefix.

    `was_cut`: the worker kept only the beginning of the value, so that its end here is not the value's end.
    """
    start = _cut_at(text, prefix)
    if start == len(text) and not was_cut:
        return text
    for end in range(start, _cut_at(text, 2 * prefix)):
        if text[end] < _DELETE:
            return text[:end] + _DELETE
        if text[end] < _HIGHEST:
            return text[:end] + _HIGHEST
    return None
