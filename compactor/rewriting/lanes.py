"""The arithmetic of row fingerprints: two lanes of 64 bits a row, vectorised. Pure; knows neither the types of columns nor tables.

A value is one or more words of 64 bits. Each word is scrambled by a fixed bijection and adds its product with two odd factors to the two
lanes of its row, modulo 2^64; the factors stand for the column and the place of the word in a long value. Scrambling is a multiplication,
which moves what differs upwards, and a reversal of the bytes, which brings it down again, where no factor loses it. For two rows that
differ in whatever way, few of all choices of factors make both lanes agree (fewer than one in 2^112), and a change of one word always
changes the first lane. When all values have been added, `finished` makes 128 bits of each row by another bijection, one that is far from
additive, so that values cannot move from row to row unseen.

Nothing here may change without a new name of the algorithm (model/fingerprint.py): digests are kept and compared later.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

BLOCK = 32_768
"""Words handled at once: with what they need beside them they stay within a processor's second-level cache."""

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xD6E8FEB86659FD93)
_C = np.uint64(0xC2B2AE3D27D4EB4F)
_29, _32 = np.uint64(29), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_FEW_COLUMNS = 3
"""Up to here one column of words after the other is faster than a product of matrices."""


def words_of_name(name: str, count: int) -> Words:
    """`count` words that follow from `name` alone, the same on every machine."""
    return np.frombuffer(hashlib.shake_128(name.encode()).digest(8 * count), "<u8").astype(np.uint64)


class Lanes:
    """The two lanes of some rows."""

    __slots__ = ("first", "second")

    def __init__(self, first: Words, second: Words) -> None:
        self.first, self.second = first, second

    @classmethod
    def zeros(cls, rows: int) -> Lanes:
        """Lanes to which nothing has been added."""
        return cls(np.zeros(rows, np.uint64), np.zeros(rows, np.uint64))

    def slice(self, start: int, stop: int) -> Lanes:
        """A view of some of the rows: what is added to it is added to them."""
        return Lanes(self.first[start:stop], self.second[start:stop])

    def add(self, words: Words, start: np.uint64, factors: Words, mask: Words | None = None) -> None:
        """One word a row. `start`: added to it, so that a value of zero is not nothing; `factors`: two, odd; `mask`: all ones, or zero
        where the row gets nothing."""
        scrambled = words + start
        np.multiply(scrambled, _A, out=scrambled)
        scrambled.byteswap(inplace=True)
        if mask is not None:
            np.bitwise_and(scrambled, mask, out=scrambled)
        self.first += scrambled * factors[0]
        np.multiply(scrambled, factors[1], out=scrambled)
        self.second += scrambled

    def add_matrix(self, words: Words, factors: Words) -> None:
        """Several words a row, of which those that are zero add nothing. `factors`: two rows, odd, one column for each of words."""
        if words.shape[1] <= _FEW_COLUMNS:
            for column, one, other in zip(words.T, *factors, strict=True):
                scrambled = column * _A
                scrambled.byteswap(inplace=True)
                self.first += scrambled * one
                np.multiply(scrambled, other, out=scrambled)
                self.second += scrambled
            return
        scrambled = words * _A
        scrambled.byteswap(inplace=True)
        sums = scrambled @ np.ascontiguousarray(factors.T)
        self.first += sums[:, 0]
        self.second += sums[:, 1]

    def add_counts(self, counts: Words, factors: Words, mask: Words | None = None) -> None:
        """One small number a row (a length, a presence) times two odd factors."""
        counted = counts if mask is None else counts & mask
        self.first += counted * factors[0]
        self.second += counted * factors[1]

    def add_lanes(self, other: Lanes, mask: Words) -> None:
        """What other lanes of the same rows hold, where the mask says so."""
        self.first += other.first & mask
        self.second += other.second & mask

    def multiply(self, factors: Words) -> None:
        """Bind each row to factors of its own: two rows, odd."""
        self.first *= factors[0]
        self.second *= factors[1]

    def add_taken(self, table: Lanes, indices: Integers) -> None:
        """Row r gets what row indices[r] of `table` holds."""
        self.first += table.first.take(indices)
        self.second += table.second.take(indices)

    def add_rows(self, part: Lanes, rows: Integers) -> None:
        """Row rows[i] gets what row i of `part` holds; no row is named twice."""
        self.first[rows] += part.first
        self.second[rows] += part.second

    def add_sums(self, parts: Lanes, ends: Integers) -> None:
        """Row r gets the sum of the parts from ends[r] to ends[r + 1]."""
        for lane, values in ((self.first, parts.first), (self.second, parts.second)):
            running = np.zeros(len(values) + 1, np.uint64)
            np.cumsum(values, out=running[1:])
            taken = running.take(ends)
            lane += taken[1:] - taken[:-1]

    def finished(self, keys: Words) -> Lanes:
        """The 128 bits of each row: high 64 in `first`, low in `second`. `keys`: two words."""
        high = mixed(self.first + keys[0])
        return Lanes(high, mixed((self.second ^ high) + keys[1]))

    def total(self) -> int:
        """The rows as numbers of 128 bits, `first` the high half, added up modulo 2^128."""
        low = (int((self.second >> _32).sum()) << 32) + int((self.second & _LOW).sum())
        return ((int(self.first.sum()) << 64) + low) % (1 << 128)


def mixed(words: Words) -> Words:
    """A bijection in which each bit of the result depends on all bits of the word. Overwrites its argument."""
    shifted = words >> _32
    np.bitwise_xor(words, shifted, out=words)
    for factor in (_B, _C):
        np.multiply(words, factor, out=words)
        np.right_shift(words, _29, out=shifted)
        np.bitwise_xor(words, shifted, out=words)
    return words


def factors_at(bases: Words, positions: Words) -> Words:
    """Two odd factors, in two rows, for each position in a long value or list. `bases`: two words."""
    return np.stack([mixed(positions * _A + base) | np.uint64(1) for base in bases])
