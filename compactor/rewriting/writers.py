"""Who wrote a Parquet file, by what it says of itself, and what that means for row groups that go on living under another name.

Readers work around faults of old writers when a file names one. A row group that is copied loses that name, so where a fault is in the
pages the row group must be decoded, and where it is in the statistics they are left out. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(r"\s*(?P<name>.*?)\s+version\s+\D{0,8}(?P<version>\d+(?:\.\d+)*)", re.DOTALL)
_FAULTY: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("parquet-mr", (1, 10)),  # sizes of dictionaries left out (before 1.2.9), broken DELTA_BYTE_ARRAY and bounds (before 1.8 and 1.10)
    ("parquet-cpp", (2**31,)),  # the library before it became Arrow's
)
_WRONG_DECIMALS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("parquet-cpp-arrow", (4,)),  # compared each byte with a sign
    ("parquet-rs", (14,)),  # compared without one
    ("polars", (2, 1)),  # merged the bounds of pages without one
)
"""Writers whose bounds of decimals in bytes were wrong before a version, which is the first one known to be right."""
_TRUSTED = ("parquet-mr", "parquet-cpp-arrow", "parquet-rs", "delta-rs", "duckdb", "polars")
"""Writers whose bounds of bytes are in the order of the type and may be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """`name` as files give it, lower-case; `faulty`: its pages cannot stand without readers knowing who wrote them; `trusted`: its bounds
    of bytes mean what they say, and (`decimals`) those of decimals in bytes."""

    name: str
    faulty: bool
    trusted: bool
    decimals: bool


def writer_of(created_by: bytes) -> Writer:
    """The writer of a file. One that does not say who it is counts as faulty."""
    match = _NAMED.match(created_by[:256].decode("utf-8", "replace"))
    if match is None:
        return Writer(name="", faulty=True, trusted=False, decimals=False)
    name = match["name"].lower()
    version = tuple(int(part) for part in match["version"].split(".")[:4])
    faulty = any(name == known and version < sound for known, sound in _FAULTY)
    trusted = not faulty and name.startswith(_TRUSTED)
    wrong = any(name.startswith(known) and version < sound for known, sound in _WRONG_DECIMALS)
    return Writer(name=name, faulty=faulty, trusted=trusted, decimals=trusted and not wrong)
