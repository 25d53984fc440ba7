"""Partition values of the log as typed values, for tables whose files must hold them too (protocol section "Partition Value
Serialization"). Pure. A value that does not say exactly what it means, such as a timestamp without a zone, is an error, never a guess.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal, InvalidOperation

from compactor.model.rewrite import Bound

_INTEGER_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_MOMENT = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?")
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_EPOCH = datetime.date(1970, 1, 1).toordinal()


def typed_value(text: str | None, kind: str) -> Bound | None:
    """The value that `text` stands for in a partition column of type `kind`: dates as days, timestamps as microseconds since 1970.

    Null and the empty string are null. Raises ValueError, saying why, for a text that is no value of the type or leaves a choice.
    """
    if text is None or text == "":
        return None
    if kind == "string":
        return text
    if kind == "binary":
        return text.encode()
    if kind in _INTEGER_BITS:
        return _integer(text, _INTEGER_BITS[kind])
    if kind in ("float", "double"):
        return float(text)
    if kind == "boolean":
        return _boolean(text)
    if kind == "date":
        return _days(text)
    if kind in ("timestamp", "timestamp_ntz"):
        return _microseconds(text, zoned=kind == "timestamp")
    return _decimal(text, kind)


def _integer(text: str, bits: int) -> int:
    value = int(text)
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError("it is out of range")
    return value


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it is neither true nor false")
    return text.lower() == "true"


def _decimal(text: str, kind: str) -> Decimal:
    match = _DECIMAL.fullmatch("decimal(10,0)" if kind == "decimal" else kind)
    if match is None:
        raise ValueError(f"the type {kind} cannot be a partition column's")
    precision, scale = int(match[1]), int(match[2])
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("it is no number") from None
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("it is no number")
    whole, fraction = len(digits) + exponent, -exponent
    if value and (whole > precision - scale or (fraction > scale and any(digits[scale - fraction :]))):
        raise ValueError(f"it does not fit {kind}")
    return value


def _days(text: str) -> int:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("it is no date")
    return datetime.date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH


def _microseconds(text: str, *, zoned: bool) -> int:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("it is no timestamp")
    date, hour, minute, second, fraction, zone = match.groups()
    if zoned and zone is None:
        raise ValueError("it has no time zone, so only its writer knows which instant it is")
    if not zoned and zone is not None:
        raise ValueError("it has a time zone, which its column has not")
    digits = (fraction or "").ljust(6, "0")
    if digits[6:].strip("0") or int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise ValueError("it is no timestamp of microseconds")
    seconds = _days(date) * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second) - _offset_s(zone)
    return seconds * 1_000_000 + int(digits[:6])


def _offset_s(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds
