"""How long replaced files stay before VACUUM may remove them: `delta.deletedFileRetentionDuration`, as Delta spells intervals. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFAULT_S = 7 * 86_400.0
_UNITS = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 604_800.0,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?=\s|$)", re.IGNORECASE)


def retention_s(properties: Mapping[str, str]) -> float:
    """Seconds; the protocol's week when the property is absent or unreadable."""
    parts = _PART.findall(properties.get("delta.deletedFileRetentionDuration", ""))
    if not parts or any(unit.lower() not in _UNITS for _, unit in parts):
        return DEFAULT_S
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in parts)
