"""What the values of an Arrow array add to the lanes of their rows, by type, whatever the layout: chunks, slices, dictionaries, offsets
of 32 or 64 bits, bytes under a null.

Null adds nothing, so a column that a file lacks and one full of nulls are the same. All NaNs are one value, and so are 0.0 and -0.0.
Integers count by value whatever their width, and floats as doubles. Texts and bytes are their bytes and their length. A list adds its
length and each element bound to its position, a struct its presence and its fields, a map is the list of its entries in order.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from compactor.rewriting.lanes import BLOCK, Integers, Lanes, Pool, Words, factors_at, words_of_name

ELEMENT = 0
"""The step of a path into a list. Names are texts, so that it is no field's."""

_ONE = np.uint64(1)
_ONES = np.ones(2, np.uint64)
_ALL_OR_NOTHING = np.array([0, 0xFFFFFFFFFFFFFFFF], np.uint64)
_WIDEST_NUMBER = 4
_NARROW_WORDS = 8
"""Texts of up to this many words are padded to the longest among them without a further look."""
_PADDED_WORDS = 2 * BLOCK
_SHORT_LIST = 64
"""Longer lists are not added side by side: that takes a pass for each position, and a single list may have millions."""
_PADDED_LISTS = 4
"""Lists are taken side by side where that at most makes them this many times as long."""
_LONGEST_WORDS = 8192
"""Longer texts are taken one by one."""


def words_of_path(algorithm: str, path: tuple[str | int, ...]) -> Words:
    """The words that a key consists of."""
    return words_of_name(json.dumps([algorithm, *path]), 18)


class Key:
    """A column, or a place inside one, as the words that bind values to it. Made from names alone."""

    def __init__(self, algorithm: str, path: tuple[str | int, ...] = (), pool: Pool | None = None) -> None:
        self._algorithm, self._path = algorithm, path
        self.pool = pool or Pool()
        self._children: dict[str | int, Key] = {}
        words = words_of_path(algorithm, path)
        self.starts, pairs = words[:4], words[4:14].reshape(5, 2) | _ONE
        self.factors, self.count = pairs[:_WIDEST_NUMBER], pairs[_WIDEST_NUMBER]
        self.finish, self._bases = words[14:16], words[16:18]
        self._known = factors_at(self._bases, np.arange(_NARROW_WORDS, dtype=np.uint64))

    def child(self, step: str | int) -> Key:
        """The key of a field, or of the elements of a list."""
        if step not in self._children:
            self._children[step] = Key(self._algorithm, (*self._path, step), self.pool)
        return self._children[step]

    def factors_between(self, start: int, stop: int) -> Words:
        """Factors of the places start to stop of a long value."""
        if self._known.shape[1] < stop <= _LONGEST_WORDS:
            self._known = factors_at(self._bases, np.arange(stop, dtype=np.uint64))
        if stop <= self._known.shape[1]:
            return self._known[:, start:stop]
        return factors_at(self._bases, np.arange(start, stop, dtype=np.uint64))

    def factors_at(self, positions: Integers, longest: int) -> Words:
        """Factors of these places, all of them below `longest`."""
        if longest > _LONGEST_WORDS:
            return factors_at(self._bases, positions.view(np.uint64))
        return self.factors_between(0, longest).take(positions, axis=1)


def add_values(array: pa.Array, key: Key, lanes: Lanes) -> None:
    """Add each value of `array` to its row of `lanes`. Raises TypeError for a type that no table has."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if len(array) == 0 or array.null_count == len(array):
        return
    adder = _ADDERS.get(array.type.id)
    if adder is None:
        raise TypeError(f"values of type {array.type} have no fingerprint")
    adder(array, key, lanes)


def _mask(array: pa.Array, lanes: Lanes) -> Words | None:
    """All ones where there is a value, zero where there is null, in the room that lanes have; None when there is no null."""
    if array.null_count == 0:
        return None
    low = array.offset
    packed = np.frombuffer(array.buffers()[0], np.uint8)[low >> 3 : (low + len(array) + 7) >> 3]
    bits = np.unpackbits(packed, bitorder="little")[low & 7 :][: len(array)]
    return _ALL_OR_NOTHING.take(bits, out=lanes.mask, mode="clip")


def _numbers(array: pa.Array) -> npt.NDArray[np.generic]:
    """The stored numbers, those under nulls too."""
    if array.type.id == pa.lib.Type_BOOL:
        packed = np.frombuffer(array.buffers()[1], np.uint8)[array.offset >> 3 :]
        return np.unpackbits(packed, bitorder="little", count=(array.offset & 7) + len(array))[array.offset & 7 :]
    stored = _NUMBERS[array.type.id]
    return np.frombuffer(array.buffers()[1], stored)[array.offset :][: len(array)]


def _add_integers(array: pa.Array, key: Key, lanes: Lanes) -> None:
    words = _numbers(array)
    if words.itemsize < 8:
        np.copyto(lanes.words.view(np.int64), words, casting="unsafe")
        words = lanes.words
    lanes.add(words.view(np.uint64), key.starts[0], key.factors[0], _mask(array, lanes))


def _add_floats(array: pa.Array, key: Key, lanes: Lanes) -> None:
    with np.errstate(invalid="ignore"):
        doubles = np.add(_numbers(array), 0.0, out=lanes.words.view(np.float64))  # -0.0 becomes 0.0
    missing = np.isnan(doubles)
    if missing.any():
        doubles[missing] = np.nan
    lanes.add(doubles.view(np.uint64), key.starts[0], key.factors[0], _mask(array, lanes))


def _add_decimals(array: pa.Array, key: Key, lanes: Lanes) -> None:
    if array.type.bit_width < 128:
        array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
    width = array.type.bit_width // 64
    words = np.frombuffer(array.buffers()[1], "<u8").reshape(-1, width)[array.offset :][: len(array)]
    mask = _mask(array, lanes)
    for i in range(width):
        lanes.add(words[:, i], key.starts[i], key.factors[i], mask)


def _add_dictionary(array: pa.DictionaryArray, key: Key, lanes: Lanes) -> None:
    distinct = len(array.dictionary)
    if distinct > len(array):
        add_values(array.dictionary_decode(), key, lanes)
        return
    indices = lanes.words.view(np.int64)
    np.copyto(indices, _numbers(array.indices), casting="unsafe")
    mask = _mask(array.indices, lanes)
    if mask is not None:
        np.bitwise_and(lanes.words, mask, out=lanes.words)
    if not 0 <= int(indices.min()) <= int(indices.max()) < distinct:
        raise IndexError("an index lies beyond its dictionary")
    if mask is not None:
        lanes.words += np.bitwise_and(np.bitwise_not(mask, out=mask), np.uint64(distinct), out=mask)
    with key.pool.zeros(distinct + 1) as table:  # the last adds nothing: it is null's
        add_values(array.dictionary, key, table.slice(0, distinct))
        lanes.add_taken(table, indices, _ONES)


def _add_bytes(array: pa.Array, key: Key, lanes: Lanes) -> None:
    array = with_offsets(array)
    for start in range(0, len(array), BLOCK):
        stop = min(start + BLOCK, len(array))
        _add_texts(array.slice(start, stop - start), key, lanes.slice(start, stop))


def with_offsets(array: pa.Array) -> pa.Array:
    """The same bytes as a string or large string, so that Arrow's functions for ASCII, which look at bytes, take them."""
    if array.type.id in (pa.lib.Type_STRING, pa.lib.Type_LARGE_STRING):
        return array
    if array.type.id == pa.lib.Type_FIXED_SIZE_BINARY:
        array = array.cast(pa.binary())
    elif array.type.id in (pa.lib.Type_STRING_VIEW, pa.lib.Type_BINARY_VIEW):
        array = array.cast(pa.large_binary())
    text = pa.string() if array.type.id == pa.lib.Type_BINARY else pa.large_string()
    return pa.Array.from_buffers(text, len(array), array.buffers(), array.null_count, array.offset)


def _add_texts(array: pa.Array, key: Key, lanes: Lanes) -> None:
    mask = _mask(array, lanes)
    if mask is not None:
        array = array.fill_null("")
    ends = np.frombuffer(array.buffers()[1], "i4" if array.type.id == pa.lib.Type_STRING else "i8")[array.offset :][: len(array) + 1]
    lengths = np.subtract(ends[1:], ends[:-1], out=lanes.words.view(np.int64))
    shortest, longest = int(lengths.min()), int(lengths.max())
    lengths += 1
    lanes.add_counts(lanes.words, key.count, mask)
    words = (longest + 7) >> 3
    if words == 0:
        return
    if shortest == longest and words <= _NARROW_WORDS:
        _add_even(array, int(ends[0]), longest, key, lanes)
        return
    if words <= _NARROW_WORDS or (words <= _LONGEST_WORDS and words * 8 * len(array) <= 2 * int(ends[-1] - ends[0])):
        _add_padded(array, words, key, lanes)
        return
    classes = np.frexp((np.diff(ends).astype(np.int64) + 7) >> 3)[1]
    for size in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == size)
        with key.pool.zeros(len(rows)) as part:
            if 1 << size > _LONGEST_WORDS:
                _add_longest(array, rows, key, part)
            else:
                _add_padded(array.take(pa.array(rows)), 1 << size, key, part)
            lanes.add_rows(part, rows)


def _add_padded(array: pa.Array, words: int, key: Key, lanes: Lanes) -> None:
    """Texts of at most `words` words, without nulls: padded to that, since words of zero add nothing."""
    rows = max(1, _PADDED_WORDS // words)
    factors, padding = key.factors_between(0, words), pc.PadOptions(words * 8, "\0")
    for start in range(0, len(array), rows):
        block = pc.call_function("ascii_rpad", [array.slice(start, rows)], padding)
        matrix = np.frombuffer(block.buffers()[2], "<u8", count=len(block) * words).reshape(-1, words)
        lanes.slice(start, start + len(block)).add_matrix(matrix, factors)


def _add_even(array: pa.Array, start: int, length: int, key: Key, lanes: Lanes) -> None:
    """Texts of one length, without nulls: they lie beside each other already, from byte `start` on."""
    words = (length + 7) >> 3
    texts = np.frombuffer(array.buffers()[2], f"S{length}", count=len(array), offset=start)
    if length < 8:
        padded = lanes.words.view("S8")
        np.copyto(padded, texts)
    else:
        padded = texts if length == 8 * words and start % 8 == 0 else texts.astype(f"S{8 * words}")
    lanes.add_matrix(padded.view("<u8").reshape(-1, words), key.factors_between(0, words))


def _add_longest(array: pa.Array, rows: Integers, key: Key, lanes: Lanes) -> None:
    """Very long texts, each by itself in pieces."""
    for i, row in enumerate(rows.tolist()):
        text = array[row].as_buffer()
        row_lanes = lanes.slice(i, i + 1)
        for start in range(0, (text.size + 7) >> 3, BLOCK):
            data = text[8 * start : 8 * (start + BLOCK)].to_pybytes()
            piece = np.frombuffer(data + b"\0" * (-len(data) % 8), "<u8")
            row_lanes.add_matrix(piece.reshape(1, -1), key.factors_between(start, start + len(piece)))


def _add_structs(array: pa.StructArray, key: Key, lanes: Lanes) -> None:
    mask = _mask(array, lanes)
    if mask is None:
        _add_fields(array, key, lanes)
    else:
        with key.pool.zeros(len(array)) as fields:
            _add_fields(array, key, fields)
            lanes.add_lanes(fields, mask)
    lanes.words.fill(_ONE)
    lanes.add_counts(lanes.words, key.count, mask)


def _add_fields(array: pa.StructArray, key: Key, lanes: Lanes) -> None:
    for i, field in enumerate(array.type):
        add_values(array.field(i), key.child(field.name), lanes)


def _add_lists(array: pa.Array, key: Key, lanes: Lanes) -> None:
    """Elements in blocks of one size, wherever lists begin and end: a list may be larger than memory allows at once."""
    mask = _mask(array, lanes)
    lists = as_list(array)
    ends = _ends(lists)
    lengths = np.subtract(ends[1:], ends[:-1], out=lanes.words.view(np.int64))
    longest = int(lengths.max())
    lengths += 1
    lanes.add_counts(lanes.words, key.count, mask)
    elements = lists.flatten()
    start = 0
    while start < len(elements):
        whole = int(ends[np.searchsorted(ends, start + BLOCK, side="right") - 1])  # where the last list ends that is here to its end
        stop = whole if whole > start else min(start + BLOCK, len(elements))
        first = int(np.searchsorted(ends, start, side="right")) - 1
        last = int(np.searchsorted(ends, stop, side="left"))
        inside = ends[first : last + 1] - start
        skipped = -int(inside[0])
        inside[0], inside[-1] = 0, stop - start
        with key.pool.zeros(stop - start + 1) as part:  # the last stays zero, for lists that have no more elements
            values, here = part.slice(0, stop - start), lanes.slice(first, last)
            add_values(elements.slice(start, stop - start), key.child(ELEMENT), values)
            if skipped == 0 and longest <= _SHORT_LIST and longest * (last - first) <= _PADDED_LISTS * (stop - start):
                _add_side_by_side(part, inside, key.factors_between(0, longest), here)
            else:
                values.multiply(key.factors_at(_positions(inside, skipped), longest))
                here.add_sums(values, inside)
        start = stop


def _ends(lists: pa.Array) -> Integers:
    """Where each list ends in the elements of all, after a zero; a list that is null has none, whatever lies under it."""
    if lists.null_count == 0:
        kind = np.dtype("i4" if pa.types.is_list(lists.type) else "i8")
        offsets = np.frombuffer(lists.buffers()[1], kind)[lists.offset :][: len(lists) + 1]
        return offsets.astype(np.int64) - int(offsets[0])
    ends = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(lists.value_lengths().fill_null(0).to_numpy(), out=ends[1:])
    return ends


def _add_side_by_side(part: Lanes, inside: Integers, factors: Words, lanes: Lanes) -> None:
    """First elements of all lists, then second ones, and so on. part: the elements' lanes and a zero; inside: where lists begin and end."""
    starts, ends, nothing = inside[:-1], inside[1:], len(part.first) - 1
    indices, instead = lanes.words.view(np.int64), lanes.mask.view(np.int64)
    for i in range(int((ends - starts).max())):
        np.add(starts, i, out=indices)
        np.multiply(indices >= ends, nothing, out=instead)
        np.maximum(indices, instead, out=indices)
        lanes.add_taken(part, indices, factors[:, i])


def _positions(inside: Integers, skipped: int) -> Integers:
    """The position of each element of a block in its own list. inside: where lists begin and end in the block, of the first of which
    `skipped` elements lie before it."""
    elements = int(inside[-1])
    begun = np.zeros(elements + 1, np.int64)
    begun[inside[:-1]] = inside[:-1]
    positions: Integers = np.arange(elements, dtype=np.int64) - np.maximum.accumulate(begun[:elements])
    positions[: int(inside[1])] += skipped
    return positions


def as_list(array: pa.Array) -> pa.Array:
    """A map, or any kind of list, as a list with offsets."""
    kind = array.type
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays([array.keys, array.items], names=["key", "value"])
        return pa.Array.from_buffers(pa.list_(entries.type), len(array), array.buffers()[:2], array.null_count, array.offset, [entries])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return array
    return array.cast(pa.large_list(kind.value_field))


_INTEGERS = {
    **{getattr(pa.lib, f"Type_{sign}INT{bits}"): f"{sign.lower() or 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{getattr(pa.lib, f"Type_{name}"): "i4" for name in ("DATE32", "TIME32")},
    **{getattr(pa.lib, f"Type_{name}"): "i8" for name in ("DATE64", "TIME64", "TIMESTAMP", "DURATION")},
}
_FLOATS = {pa.lib.Type_HALF_FLOAT: "f2", pa.lib.Type_FLOAT: "f4", pa.lib.Type_DOUBLE: "f8"}
_NUMBERS = _INTEGERS | _FLOATS
"""How numbers of each Arrow type are stored, by the type's id."""

_ADDERS: dict[int, Callable[[pa.Array, Key, Lanes], None]] = {
    **dict.fromkeys([*_INTEGERS, pa.lib.Type_BOOL], _add_integers),
    **dict.fromkeys(_FLOATS, _add_floats),
    **{getattr(pa.lib, f"Type_DECIMAL{bits}"): _add_decimals for bits in (32, 64, 128, 256)},
    **{getattr(pa.lib, f"Type_{size}{kind}"): _add_bytes for size in ("", "LARGE_") for kind in ("STRING", "BINARY")},
    **{getattr(pa.lib, f"Type_{kind}"): _add_bytes for kind in ("STRING_VIEW", "BINARY_VIEW", "FIXED_SIZE_BINARY")},
    **{
        getattr(pa.lib, f"Type_{kind}"): _add_lists
        for kind in ("LIST", "LARGE_LIST", "FIXED_SIZE_LIST", "LIST_VIEW", "LARGE_LIST_VIEW", "MAP")
    },
    pa.lib.Type_STRUCT: _add_structs,
    pa.lib.Type_DICTIONARY: _add_dictionary,
}
