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
from compactor.rewriting.leaves import is_list

ELEMENT = 0
"""The step of a path into a list. Names are texts, so that it is no field's."""

_ONE = np.uint64(1)
_WIDEST_NUMBER = 4
_NARROW_WORDS = 8
"""Texts of up to this many words are padded to the longest among them without a further look."""
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
        if len(self._known) < stop <= _LONGEST_WORDS:
            self._known = factors_at(self._bases, np.arange(stop, dtype=np.uint64))
        if stop <= len(self._known):
            return self._known[start:stop]
        return factors_at(self._bases, np.arange(start, stop, dtype=np.uint64))

    def factors_at(self, positions: Integers) -> Words:
        """Factors of these places."""
        if len(positions) and positions.max() < _LONGEST_WORDS:
            return self.factors_between(0, int(positions.max()) + 1).take(positions, axis=0)
        return factors_at(self._bases, positions.astype(np.uint64))


def add_values(array: pa.Array, key: Key, lanes: Lanes) -> None:
    """Add each value of `array` to its row of `lanes`. Raises NotImplementedError for a type that no table has."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if len(array) == 0 or array.null_count == len(array):
        return
    _adder(array.type)(array, key, lanes)


def _adder(kind: pa.DataType) -> Callable[[pa.Array, Key, Lanes], None]:
    types = pa.types
    if types.is_dictionary(kind):
        return _add_dictionary
    if types.is_floating(kind):
        return _add_floats
    if types.is_decimal(kind):
        return _add_decimals
    if types.is_struct(kind):
        return _add_structs
    if types.is_map(kind) or is_list(kind):
        return _add_lists
    if _is_bytes(kind):
        return _add_bytes
    if types.is_primitive(kind):
        return _add_integers
    raise NotImplementedError(f"values of type {kind} have no fingerprint")


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(
        texts or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind)
    )


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
    kind = array.type
    if pa.types.is_boolean(kind):
        packed = np.frombuffer(array.buffers()[1], np.uint8)[array.offset >> 3 :]
        return np.unpackbits(packed, bitorder="little", count=(array.offset & 7) + len(array))[array.offset & 7 :]
    if pa.types.is_floating(kind):
        name = f"f{kind.bit_width // 8}"
    else:
        name = f"{'u' if pa.types.is_unsigned_integer(kind) else 'i'}{kind.bit_width // 8}"
    return np.frombuffer(array.buffers()[1], name)[array.offset :][: len(array)]


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
    kind = array.type
    if pa.types.is_fixed_size_binary(kind):
        array = array.cast(pa.binary())
    elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        array = array.cast(pa.large_binary())
    text = pa.large_string() if pa.types.is_large_binary(array.type) or pa.types.is_large_string(array.type) else pa.string()
    return pa.Array.from_buffers(text, len(array), array.buffers(), array.null_count, array.offset)


def _add_texts(array: pa.Array, key: Key, lanes: Lanes) -> None:
    mask = _mask(array)
    if mask is not None:
        array = array.fill_null("")
    ends = np.frombuffer(array.buffers()[1], "i8" if pa.types.is_large_string(array.type) else "i4")[array.offset :][: len(array) + 1]
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
    rows = max(1, BLOCK // words)
    factors = key.factors_between(0, words)
    for start in range(0, len(array), rows):
        block = pc.ascii_rpad(array.slice(start, rows), words * 8, padding="\0")
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
    lengths = lists.value_lengths().fill_null(0).to_numpy().astype(np.int64)
    lanes.add_counts(lengths.view(np.uint64) + _ONE, key.count, mask)
    elements = lists.flatten()
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    for start in range(0, len(elements), BLOCK):
        stop = min(start + BLOCK, len(elements))
        first = int(np.searchsorted(ends, start, side="right")) - 1
        last = int(np.searchsorted(ends, stop, side="left"))
        here = ends[first : last + 1]
        inside = np.clip(here, start, stop) - start
        positions = np.arange(start, stop) - np.repeat(here[:-1], np.diff(inside))
        parts = _bound(elements.slice(start, stop - start), positions, key)
        lanes.slice(first, last).add_sums(parts, inside)


def _bound(elements: pa.Array, positions: Integers, key: Key) -> Lanes:
    """What each element adds to its list: its own 128 bits, bound to its position."""
    own = Lanes.zeros(len(elements))
    add_values(elements, key.child(ELEMENT), own)
    finished, factors = own.finished(key.finish), key.factors_at(positions)
    return Lanes(finished.first * factors[:, 0], finished.second * factors[:, 1])


def _as_list(array: pa.Array) -> pa.Array:
    """A map, or any kind of list, as a list with offsets."""
    kind = array.type
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays([array.keys, array.items], names=["key", "value"])
        return pa.Array.from_buffers(pa.list_(entries.type), len(array), array.buffers()[:2], array.null_count, array.offset, [entries])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return array
    return array.cast(pa.large_list(kind.value_field))
