"""Fingerprint: a digest of the multiset of rows of some files, and what was proved with it. Values only; how rows are hashed is not here.

Additive and independent of order: the fingerprint of two sets of rows together is the sum of theirs, so batches, files, groups and commits
compose. Two fingerprints can be compared only when they were made by the same algorithm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FINGERPRINT_ALGORITHM = "rows-1"
"""Names the function from rows to fingerprints. Whatever changes a digest of any row changes this name."""

ProofLevel = Literal["counts", "full"]
"""counts: rows read and not deleted equal the rows written. full: also their fingerprints, the outputs' as read again from the store."""

ProofReader = Literal["auto", "arrow"]
"""Who reads what a proof compares. auto: the native reader, a little of it Arrow too, and Arrow alone what the native one leaves."""

Proven = Literal["counts", "bytes", "full"]
"""What was proven in the end. bytes: `full` was asked for, and where row groups were copied as they were, their bytes have the same
checksum when read again from the store as when they were read from their source; fingerprints are equal where rows were decoded."""

CHECKSUM_ALGORITHM = "bytes-2"
"""Names the sum modulo 2^128 of the fingerprints of decoded rows and of the XXH3 of 128 bits of each range that was copied. It guards
against faults, not against somebody who chooses bytes. `bytes-1` had the first 128 bits of SHA-256 instead."""

_MODULUS = 1 << 128


def readers_together(readers: Iterable[str | None]) -> str | None:
    """Who read anything, by name with a plus between them, where several read with some names each; None where nobody did."""
    return "+".join(sorted({name for some in readers if some for name in some.split("+")})) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFingerprint:
    """The fingerprint of one committed group, as a journal keeps it: `digest` as Fingerprint.digest writes it."""

    group_id: int
    digest: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """`sum`: the rows' hashes added up modulo 2^128; `rows`: how many there are."""

    sum: int = 0
    rows: int = 0

    def __add__(self, other: Fingerprint) -> Fingerprint:
        """Of both sets of rows together."""
        return Fingerprint(sum=(self.sum + other.sum) % _MODULUS, rows=self.rows + other.rows)

    @property
    def digest(self) -> str:
        """The sum as 32 hexadecimal digits, as logs and journals keep it."""
        return f"{self.sum:032x}"
