"""The checksum of bytes that are copied as they are: XXH3 of 128 bits, many times faster than a cryptographic digest.

It guards against faults of memory, networks and stores, not against somebody who chooses bytes to deceive it; whoever could do that between
two reads of one run could as well have written other rows to begin with.
"""

from __future__ import annotations

from collections.abc import Iterable

import xxhash


def checksum_of_bytes(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Of these bytes, one piece after the other: 16 bytes."""
    checksum = xxhash.xxh3_128()
    for piece in pieces:
        checksum.update(piece)
    return checksum.digest()
