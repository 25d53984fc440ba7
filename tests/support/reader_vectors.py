"""Deletion vectors for judging: decodes every storage type and container kind by hand, by the protocol's appendix and the roaring format.

Shares no code and no library with the compactor. Raises ValueError for a vector that is not what its descriptor says.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

_ALPHABET = (
    "0123456789"
    + "".join(map(chr, range(ord("a"), ord("z") + 1)))
    + "".join(map(chr, range(ord("A"), ord("Z") + 1)))
    + ".-:+=^!/*?&<>()[]{}@%$#"
)
_MAGIC, _NO_RUNS, _RUNS = 1681511377, 12346, 12347


def deleted_positions(root: Path, vector: dict[str, Any] | None) -> set[int]:
    """Physical positions of the rows that `vector` deletes."""
    if not vector:
        return set()
    data = _stored(root, vector)
    magic, maps = struct.unpack_from("<IQ", data)
    if magic != _MAGIC:
        raise ValueError(f"magic number {magic}")
    found: set[int] = set()
    at = 12
    for _ in range(maps):
        (high,) = struct.unpack_from("<I", data, at)
        low, at = _bitmap(data, at + 4)
        found.update((high << 32) | position for position in low)
    if len(found) != vector["cardinality"]:
        raise ValueError(f"{len(found)} rows, not {vector['cardinality']}")
    return found


def _stored(root: Path, vector: dict[str, Any]) -> bytes:
    text, size = vector["pathOrInlineDv"], vector["sizeInBytes"]
    if vector["storageType"] == "i":
        return from_z85(text)[:size]
    if vector["storageType"] == "u":
        path = root / text[:-20] / f"deletion_vector_{UUID(bytes=from_z85(text[-20:]))}.bin"
    else:
        path = Path(re.sub(r"^file:/+", "/", unquote(text)))
    at, raw = vector.get("offset") or 0, path.read_bytes()
    (length,) = struct.unpack_from(">I", raw, at)
    data = raw[at + 4 : at + 4 + length]
    (checksum,) = struct.unpack_from(">I", raw, at + 4 + length)
    if length != size or zlib.crc32(data) != checksum:
        raise ValueError("size or checksum")
    return data


def from_z85(text: str) -> bytes:
    """Five characters for four bytes."""
    blocks = [text[i : i + 5] for i in range(0, len(text), 5)]
    return b"".join(
        sum(_ALPHABET.index(c) * 85**power for c, power in zip(block, (4, 3, 2, 1, 0), strict=True)).to_bytes(4, "big") for block in blocks
    )


def _bitmap(data: bytes, at: int) -> tuple[list[int], int]:
    """Values of a 32-bit roaring bitmap in portable form, and where it ends."""
    (cookie,) = struct.unpack_from("<I", data, at)
    if cookie & 0xFFFF == _RUNS:
        count, at = (cookie >> 16) + 1, at + 4
        flags = int.from_bytes(data[at : at + (count + 7) // 8], "little")
        at += (count + 7) // 8
        offsets = count >= 4
    elif cookie == _NO_RUNS:
        (count,) = struct.unpack_from("<I", data, at + 4)
        flags, offsets, at = 0, True, at + 8
    else:
        raise ValueError(f"cookie {cookie}")
    heads = [struct.unpack_from("<HH", data, at + 4 * i) for i in range(count)]
    at += 4 * count + (4 * count if offsets else 0)
    values: list[int] = []
    for i, (high, cardinality_less_1) in enumerate(heads):
        low, at = _container(data, at, cardinality_less_1 + 1, bool(flags >> i & 1))
        values.extend(high << 16 | value for value in low)
    return values, at


def _container(data: bytes, at: int, cardinality: int, runs: bool) -> tuple[list[int], int]:
    if runs:
        (count,) = struct.unpack_from("<H", data, at)
        pairs = [struct.unpack_from("<HH", data, at + 2 + 4 * i) for i in range(count)]
        return [value for start, more in pairs for value in range(start, start + more + 1)], at + 2 + 4 * count
    if cardinality <= 4096:
        return list(struct.unpack_from(f"<{cardinality}H", data, at)), at + 2 * cardinality
    bits = int.from_bytes(data[at : at + 8192], "little")
    return [value for value in range(65536) if bits >> value & 1], at + 8192
