"""The arithmetic of row fingerprints: two lanes of 64 bits a row, vectorised. Pure; knows neither the types of columns nor tables.

A value is one or more words of 64 bits. Each word is scrambled by a fixed bijection and adds its product with two odd factors to the two
lanes of its row, modulo 2^64; the factors stand for the column and the place of the word in a long value. Scrambling is a multiplication,
which moves what differs upwards, and a reversal of the bytes, which brings it down again, where no factor loses it. For two rows that
differ in whatever way, few of all choices of factors make both lanes agree (fewer than one in 2^112), and a change of one word always
changes the first lane. When all values have been added, `finish` makes 128 bits of each row by another bijection, one that is far from
additive, so that values cannot move from row to row unseen.

Nothing here may change without a new name of the algorithm (model/fingerprint.py): digests are kept and compared later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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
_MANY_ROWS = 2048
"""From here on one column of words after the other is faster than a product of matrices."""


def words_of_name(name: str, count: int) -> Words:
    """`count` words that follow from `name` alone, the same on every machine."""
    return np.frombuffer(hashlib.shake_128(name.encode()).digest(8 * count), "<u8").astype(np.uint64)


class Lanes:
    """The two lanes of some rows, and room for what is made on the way to them: fresh memory would cost more than the arithmetic.

    words: one word a row, for whoever prepares what is added next; mask: another one, for a mask.
    """

    __slots__ = ("_products", "first", "mask", "second", "words")

    def __init__(self, all_words: Iterable[Words]) -> None:
        """all_words: first, second, words, mask and room for products, one word a row each."""
        self.first, self.second, self.words, self.mask, self._products = all_words

    @classmethod
    def zeros(cls, rows: int) -> Lanes:
        """Lanes to which nothing has been added."""
        return cls(np.zeros((5, rows), np.uint64))

    def clear(self) -> None:
        """As if nothing had been added."""
        self.first.fill(0)
        self.second.fill(0)

    def slice(self, start: int, stop: int) -> Lanes:
        """A view of some of the rows: what is added to it is added to them."""
        return Lanes([words[start:stop] for words in (self.first, self.second, self.words, self.mask, self._products)])

    def add(self, words: Words, start: np.uint64, factors: Words, mask: Words | None = None) -> None:
        """One word a row. `start`: added to it, so that a value of zero is not nothing; `factors`: two, odd; `mask`: all ones, or zero
        where the row gets nothing. `words` may be the room of that name: it is overwritten."""
        scrambled = np.add(words, start, out=self.words)
        np.multiply(scrambled, _A, out=scrambled)
        scrambled.byteswap(inplace=True)
        if mask is not None:
            np.bitwise_and(scrambled, mask, out=scrambled)
        self._add_products(scrambled, factors)

    def add_matrix(self, words: Words, factors: Words) -> None:
        """Several words a row, of which those that are zero add nothing. `factors`: two rows, odd, one column for each of words."""
        if len(words) >= _MANY_ROWS:
            for column, pair in zip(words.T, factors.T, strict=True):
                scrambled = np.multiply(column, _A, out=self.words)
                scrambled.byteswap(inplace=True)
                self._add_products(scrambled, pair)
            return
        scrambled = words * _A
        scrambled.byteswap(inplace=True)
        sums = scrambled @ np.ascontiguousarray(factors.T)
        self.first += sums[:, 0]
        self.second += sums[:, 1]

    def _add_products(self, words: Words, factors: Words) -> None:
        for lane, factor in zip((self.first, self.second), factors, strict=True):
            lane += np.multiply(words, factor, out=self._products)

    def add_counts(self, counts: Words, factors: Words, mask: Words | None = None) -> None:
        """One small number a row (a length, a presence) times two odd factors."""
        self._add_products(counts if mask is None else np.bitwise_and(counts, mask, out=self.words), factors)

    def add_lanes(self, other: Lanes, mask: Words) -> None:
        """What other lanes of the same rows hold, where the mask says so."""
        self.first += other.first & mask
        self.second += other.second & mask

    def multiply(self, factors: Words) -> None:
        """Bind each row to factors of its own: two rows, odd."""
        self.first *= factors[0]
        self.second *= factors[1]

    def add_taken(self, table: Lanes, indices: Integers, factors: Words) -> None:
        """Row r gets what row indices[r] of `table` holds, times two odd factors. `indices` are within the table and may be in `words`."""
        for lane, values, factor in zip((self.first, self.second), (table.first, table.second), factors, strict=True):
            taken = values.take(indices, out=self._products, mode="clip")
            lane += taken if factor == 1 else np.multiply(taken, factor, out=taken)

    def add_rows(self, part: Lanes, rows: Integers) -> None:
        """Row rows[i] gets what row i of `part` holds; no row is named twice."""
        self.first[rows] += part.first
        self.second[rows] += part.second

    def add_sums(self, parts: Lanes, ends: Integers) -> None:
        """Row r gets the sum of the parts from ends[r] to ends[r + 1]."""
        for lane, values in ((self.first, parts.first), (self.second, parts.second)):
            running = np.empty(len(values) + 1, np.uint64)
            running[0] = 0
            np.cumsum(values, out=running[1:])
            taken = running.take(ends)
            lane += taken[1:] - taken[:-1]

    def finish(self, keys: Words) -> None:
        """Make the 128 bits of each row of its lanes: the high 64 in `first`, the low in `second`. `keys`: two words."""
        self.first += keys[0]
        mixed(self.first, self.words)
        self.second ^= self.first
        self.second += keys[1]
        mixed(self.second, self.words)

    def total(self) -> int:
        """The rows as numbers of 128 bits, `first` the high half, added up modulo 2^128."""
        high = int(np.right_shift(self.second, _32, out=self.words).sum())
        low = int(np.bitwise_and(self.second, _LOW, out=self.words).sum())
        return ((int(self.first.sum()) << 64) + (high << 32) + low) % (1 << 128)


class Pool:
    """Lanes for values inside others, used again and again. Not thread-safe."""

    def __init__(self) -> None:
        self._idle: list[Lanes] = []

    @contextmanager
    def zeros(self, rows: int) -> Iterator[Lanes]:
        """Lanes to which nothing has been added, for the length of a block of code."""
        lanes = self._idle.pop() if self._idle else Lanes.zeros(BLOCK + 1)
        if rows > len(lanes.first):
            lanes = Lanes.zeros(rows)
        part = lanes.slice(0, rows)
        part.clear()
        yield part
        self._idle.append(lanes)


def mixed(words: Words, room: Words | None = None) -> Words:
    """A bijection in which each bit of the result depends on all bits of the word. Overwrites its argument, and `room` of the same size."""
    shifted = np.right_shift(words, _32, out=room)
    np.bitwise_xor(words, shifted, out=words)
    for factor in (_B, _C):
        np.multiply(words, factor, out=words)
        np.right_shift(words, _29, out=shifted)
        np.bitwise_xor(words, shifted, out=words)
    return words


def factors_at(bases: Words, positions: Words) -> Words:
    """Two odd factors, in two rows, for each position in a long value or list. `bases`: two words."""
    return np.stack([mixed(positions * _A + base) | np.uint64(1) for base in bases])
