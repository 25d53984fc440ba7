"""Partition values and literals as comparable Python values, by the table's column type. Pure.

Partition values are strings in the log (Delta protocol, "Partition Value Serialization"); null and the empty string are both null there.
A timestamp without a zone is in the zone of whoever wrote it, which a log does not tell: it is compared as UTC.
Floats compare as Spark compares them: NaN equals NaN and is above everything, and -0.0 equals 0.0. Strings compare by code point; binary
values by the UTF-8 bytes of the string that the log holds.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

Value = int | str | bytes | bool | Decimal | tuple[bool, float] | date | datetime
Parser = Callable[[str], Value]

_INTEGERS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(-?\d+)\s*\)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?")


def parser_for(column_type: str) -> Parser | None:
    """What turns the text of a value of this column type into a comparable value; it raises ValueError for a text that is none.
    None when values of the type cannot be compared."""
    if column_type in _INTEGERS:
        bits = _INTEGERS[column_type]
        return lambda text: _integer(text, bits)
    decimal = _DECIMAL.fullmatch(column_type)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2])
        return lambda text: _decimal(text, precision, scale)
    simple: dict[str, Parser] = {
        "float": lambda text: _float(text, single=True),
        "double": lambda text: _float(text, single=False),
        "date": _date,
        "timestamp": lambda text: _timestamp(text, zoned=True),
        "timestamp_ntz": lambda text: _timestamp(text, zoned=False),
        "boolean": _boolean,
        "string": lambda text: text,
        "binary": lambda text: text.encode("utf-8", "surrogatepass"),
    }
    return simple.get(column_type)


def _integer(text: str, bits: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("not a whole number")
    value = int(text)
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError("out of range")
    return value


def _decimal(text: str, precision: int, scale: int) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a decimal number")
    value = Decimal(text)
    _, digits, exponent = value.normalize().as_tuple()
    places = -int(exponent)
    if value and (places > scale or len(digits) - places > precision - scale):
        raise ValueError("too many digits")
    return value


def _float(text: str, *, single: bool) -> tuple[bool, float]:
    if not _NUMBER.fullmatch(text) and text.lower().lstrip("+-") not in ("nan", "infinity", "inf"):
        raise ValueError("not a number")
    value = float(text)
    if math.isnan(value):
        return True, 0.0
    if single and math.isfinite(value):
        try:
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            raise ValueError("out of range") from None
    return False, value + 0.0  # turns -0.0 into 0.0


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError("not a date")
    return date.fromisoformat(text)


def _timestamp(text: str, *, zoned: bool) -> datetime:
    match = _TIMESTAMP.fullmatch(text)
    if not match or (match[1] and not zoned):
        raise ValueError("not a timestamp")
    fraction = re.search(r"\.(\d+)", text)
    if fraction and len(fraction[1].rstrip("0")) > 6:
        raise ValueError("finer than a microsecond")
    if fraction:
        text = text.replace(fraction[0], "." + fraction[1][:6].ljust(6, "0"))
    value = datetime.fromisoformat(text)
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("not true or false")
    return text.lower() == "true"
