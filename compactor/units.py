"""Sizes and durations as people write them ("256MiB", "15m"), to and from plain integers. Used at the edges only.

Binary and decimal units are both understood and never confused: `MiB` is 1024², `MB` is 1000². A bare number is bytes or seconds.
"""

from __future__ import annotations

import re

from compactor.errors import UsageError

_BYTES = {
    "": 1, "b": 1,
    "k": 1024, "kb": 1000, "kib": 1024,
    "m": 1024**2, "mb": 1000**2, "mib": 1024**2,
    "g": 1024**3, "gb": 1000**3, "gib": 1024**3,
    "t": 1024**4, "tb": 1000**4, "tib": 1024**4,
}  # fmt: skip
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def parse_bytes(text: str | int) -> int:
    """Bytes in a size such as `256MiB`, `1.5GB`, `1048576` or Spark's `128m`.

    Raises UsageError when the text is no size or is negative.
    """
    return int(_parse(text, _BYTES, 'a size such as "256MiB" or "1GB"'))


def parse_seconds(text: str | float) -> float:
    """Seconds in a duration such as `15m`, `1.5h`, `30` or `2d`. Raises UsageError when the text is none."""
    return _parse(text, _SECONDS, 'a duration such as "15m" or "2h"')


def _parse(text: str | float, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    if isinstance(text, int | float) and not isinstance(text, bool):
        if text < 0:
            raise UsageError(f"{text} is negative; write {wanted}.")
        return float(text) if isinstance(text, float) else text
    match = _NUMBER.fullmatch(str(text))
    unit = match[2].lower() if match else ""
    if match is None or unit not in units:
        raise UsageError(f'"{text}" is not {wanted}.')
    number = float(match[1]) if "." in match[1] else int(match[1])
    return number * units[unit]


def format_bytes(size: float) -> str:
    """A size for people, in binary units with at most one decimal: `256 MiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            text = f"{value:.0f}" if unit == "B" or abs(value) >= 100 else f"{value:.1f}"
            return f"{text} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def format_seconds(seconds: float) -> str:
    """A duration for people: `850 ms`, `12.4 s`, `3 m 20 s`, `2 h 5 m`, `7 d`, `2 d 3 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest} s"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60} m"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
