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

from compactor.rewriting.lanes import BLOCK, Integers, Lanes, Words, factors_at, words_of_name

ELEMENT = 0
"""The step of a path into a list. Names are texts, so that it is no field's."""

_ONE = np.uint64(1)
_WIDEST_NUMBER = 4
_NARROW_WORDS = 8
"""Texts of up to this many words are padded to the longest among them without a further look."""
_PADDED_WORDS = 2 * BLOCK
_LONGEST_WORDS = 8192
"""Longer texts are taken one by one."""


class Key:
    """A column, or a place inside one, as the words that bind values to it. Made from names alone."""

    def __init__(self, algorithm: str, path: tuple[str | int, ...] = ()) -> None:
        self._algorithm, self._path = algorithm, path
        self._children: dict[str | int, Key] = {}
        words = words_of_name(json.dumps([algorithm, *path]), 18)
        self.starts, pairs = words[:4], words[4:14].reshape(5, 2) | _ONE
        self.factors, self.count = pairs[:_WIDEST_NUMBER], pairs[_WIDEST_NUMBER]
        self.finish, self._bases = words[14:16], words[16:18]
        self._known = factors_at(self._bases, np.arange(_NARROW_WORDS, dtype=np.uint64))

    def child(self, step: str | int) -> Key:
        """The key of a field, or of the elements of a list."""
        if step not in self._children:
            self._children[step] = Key(self._algorithm, (*self._path, step))
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
    """Add each value of `array` to its row of `lanes`. Raises NotImplementedError for a type that no table has."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if len(array) == 0 or array.null_count == len(array):
        return
    adder = _ADDERS.get(array.type.id)
    if adder is None:
        raise NotImplementedError(f"values of type {array.type} have no fingerprint")
    adder(array, key, lanes)


def _mask(array: pa.Array, start: int = 0, stop: int | None = None) -> Words | None:
    """All ones where there is a value, zero where there is null; None when there is no null."""
    if array.null_count == 0:
        return None
    stop = len(array) if stop is None else stop
    validity = array.buffers()[0]
    low = array.offset + start
    packed = np.frombuffer(validity, np.uint8)[low >> 3 : (array.offset + stop + 7) >> 3]
    bits = np.unpackbits(packed, bitorder="little")[low & 7 :][: stop - start]
    return np.negative(bits.astype(np.uint64))


def _numbers(array: pa.Array) -> npt.NDArray[np.generic]:
    """The stored numbers, those under nulls too."""
    if array.type.id == pa.lib.Type_BOOL:
        packed = np.frombuffer(array.buffers()[1], np.uint8)[array.offset >> 3 :]
        return np.unpackbits(packed, bitorder="little", count=(array.offset & 7) + len(array))[array.offset & 7 :]
    stored = _NUMBERS[array.type.id]
    return np.frombuffer(array.buffers()[1], stored)[array.offset :][: len(array)]


def _add_integers(array: pa.Array, key: Key, lanes: Lanes) -> None:
    numbers = _numbers(array)
    for start in range(0, len(array), BLOCK):
        stop = min(start + BLOCK, len(array))
        block = numbers[start:stop]
        words = block.view(np.uint64) if block.itemsize == 8 else block.astype(np.int64).view(np.uint64)
        lanes.slice(start, stop).add(words, key.starts[0], key.factors[0], _mask(array, start, stop))


def _add_floats(array: pa.Array, key: Key, lanes: Lanes) -> None:
    numbers = _numbers(array)
    for start in range(0, len(array), BLOCK):
        stop = min(start + BLOCK, len(array))
        with np.errstate(invalid="ignore"):
            doubles = numbers[start:stop].astype(np.float64)
            doubles += 0.0  # -0.0 becomes 0.0
        missing = np.isnan(doubles)
        if missing.any():
            doubles[missing] = np.nan
        lanes.slice(start, stop).add(doubles.view(np.uint64), key.starts[0], key.factors[0], _mask(array, start, stop))


def _add_decimals(array: pa.Array, key: Key, lanes: Lanes) -> None:
    if array.type.bit_width < 128:
        array = array.cast(pa.decimal128(array.type.precision, array.type.scale))
    width = array.type.bit_width // 64
    words = np.frombuffer(array.buffers()[1], "<u8").reshape(-1, width)[array.offset :][: len(array)]
    for start in range(0, len(array), BLOCK):
        stop = min(start + BLOCK, len(array))
        mask = _mask(array, start, stop)
        for i in range(width):
            lanes.slice(start, stop).add(words[start:stop, i], key.starts[i], key.factors[i], mask)


def _add_dictionary(array: pa.DictionaryArray, key: Key, lanes: Lanes) -> None:
    distinct = len(array.dictionary)
    if distinct > len(array):
        add_values(array.dictionary_decode(), key, lanes)
        return
    table = Lanes.zeros(distinct + 1)  # the last adds nothing: it is null's
    add_values(array.dictionary, key, table.slice(0, distinct))
    indices = array.indices
    if indices.null_count:
        indices = indices.cast(pa.int64()).fill_null(distinct)
    numbers = _numbers(indices)
    for start in range(0, len(array), BLOCK):
        block = numbers[start : start + BLOCK].astype(np.int64)
        lanes.slice(start, start + len(block)).add_taken(table, block)


def _add_bytes(array: pa.Array, key: Key, lanes: Lanes) -> None:
    array = _with_offsets(array)
    for start in range(0, len(array), BLOCK):
        stop = min(start + BLOCK, len(array))
        _add_texts(array.slice(start, stop - start), key, lanes.slice(start, stop))


def _with_offsets(array: pa.Array) -> pa.Array:
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
    mask = _mask(array)
    if mask is not None:
        array = array.fill_null("")
    ends = np.frombuffer(array.buffers()[1], "i4" if array.type.id == pa.lib.Type_STRING else "i8")[array.offset :][: len(array) + 1]
    lengths = np.diff(ends).astype(np.int64)
    lanes.add_counts(lengths.view(np.uint64) + _ONE, key.count, mask)
    words = (int(lengths.max()) + 7) >> 3
    if words == 0:
        return
    if words <= _NARROW_WORDS or (words <= _LONGEST_WORDS and words * 8 * len(array) <= 2 * int(lengths.sum())):
        _add_padded(array, words, key, lanes)
        return
    classes = np.frexp((lengths + 7) >> 3)[1]
    for size in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == size)
        part = Lanes.zeros(len(rows))
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
    mask = _mask(array)
    fields = lanes if mask is None else Lanes.zeros(len(array))
    for i, field in enumerate(array.type):
        add_values(array.field(i), key.child(field.name), fields)
    if mask is not None:
        lanes.add_lanes(fields, mask)
    lanes.add_counts(np.ones(len(array), np.uint64), key.count, mask)


def _add_lists(array: pa.Array, key: Key, lanes: Lanes) -> None:
    """Elements in blocks of one size, wherever lists begin and end: a list may be larger than memory allows at once."""
    mask = _mask(array)
    lists = _as_list(array)
    counted = lists.value_lengths()
    lengths = (counted.fill_null(0) if counted.null_count else counted).to_numpy().astype(np.int64)
    lanes.add_counts(lengths.view(np.uint64) + _ONE, key.count, mask)
    elements = lists.flatten()
    longest = int(lengths.max())
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    for start in range(0, len(elements), BLOCK):
        stop = min(start + BLOCK, len(elements))
        first = int(np.searchsorted(ends, start, side="right")) - 1
        last = int(np.searchsorted(ends, stop, side="left"))
        lists_here = ends[first : last + 1]
        inside = lists_here - start
        inside[0], inside[-1] = 0, stop - start
        factors = key.factors_at(_positions(inside, start - int(lists_here[0])), longest)
        part = Lanes.zeros(stop - start)
        add_values(elements.slice(start, stop - start), key.child(ELEMENT), part)
        part.multiply(factors)
        lanes.slice(first, last).add_sums(part, inside)


def _positions(inside: Integers, skipped: int) -> Integers:
    """The position of each element of a block in its own list. inside: where lists begin and end in the block, of the first of which
    `skipped` elements lie before it."""
    elements = int(inside[-1])
    begun = np.zeros(elements + 1, np.int64)
    begun[inside[:-1]] = inside[:-1]
    positions: Integers = np.arange(elements, dtype=np.int64) - np.maximum.accumulate(begun[:elements])
    positions[: int(inside[1])] += skipped
    return positions


def _as_list(array: pa.Array) -> pa.Array:
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
