"""Positions of deleted rows as bytes: a 64-bit roaring bitmap in its portable form behind a magic number, framed by size and CRC-32 in an
object (Delta protocol, "Deletion Vector Format" and "Deletion Vector File Storage Format"). Pure.

A bitmap that is not exactly what the log says is damage: going on would bring deleted rows back or lose live ones.
"""

from __future__ import annotations

import hashlib
import struct
import zlib

from pyroaring import BitMap64

_MAGIC = 1681511377
FRAME_BYTES = 8
"""What an object holds of a bitmap besides its bytes: the size before them, the checksum behind."""


def unpack(data: bytes | memoryview, cardinality: int, name: str) -> BitMap64:
    """The positions in `data`, of which the log says that there are `cardinality`. Raises ValueError, a sentence with `name`."""
    if len(data) < 4 or struct.unpack("<I", data[:4])[0] != _MAGIC:
        raise ValueError(f"The deletion vector in {name} does not begin with its magic number.")
    try:
        positions = BitMap64.deserialize(bytes(data[4:]))
    except (ValueError, IndexError) as error:
        raise ValueError(f"The deletion vector in {name} cannot be decoded.") from error
    if len(positions) != cardinality:
        raise ValueError(f"The deletion vector in {name} holds {len(positions)} rows, the log says {cardinality}.")
    return positions


def pack(positions: BitMap64) -> bytes:
    """The same as bytes, without a frame."""
    return struct.pack("<I", _MAGIC) + bytes(positions.serialize())


def frame(data: bytes) -> bytes:
    """A bitmap's bytes in their frame, as they stand in an object."""
    return struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))


VECTORS = "deletion_vector_"
"""How the names of all vectors in objects of their own begin."""


def vector_prefix(stem: str) -> str:
    """How the names of vectors begin that belong to rewritten files whose own names begin with `stem`.

    As a UUID of version 8 begins, so that no name of another writer, who draws them by chance (version 4), can begin like it.
    """
    digest = hashlib.sha256(stem.encode()).hexdigest()
    return f"{VECTORS}{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-"


def unframe(framed: bytes | memoryview, size_bytes: int, name: str) -> bytes:
    """The bitmap's bytes out of their frame. Raises ValueError, a sentence with `name`."""
    (size,) = struct.unpack(">I", framed[:4])
    if size != size_bytes:
        raise ValueError(f"The deletion vector in {name} has {size} bytes, the log says {size_bytes}.")
    data = bytes(framed[4 : 4 + size])
    if zlib.crc32(data) != struct.unpack(">I", framed[4 + size :])[0]:
        raise ValueError(f"The deletion vector in {name} does not have its checksum.")
    return data
