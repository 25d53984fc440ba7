"""Thrift's compact protocol, as far as Parquet's footers and page indexes need it: bytes to values and back, whatever the fields mean.

Fields that nobody here knows survive, in their order and kind; what writers of today write comes out byte for byte as it went in. Bytes are
hostile: depth, lengths and the number of values are bounded, and anything beyond raises ThriftProblem. Reads nothing but what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
MOST_DEPTH = 16
MOST_VALUES = 1_000_000
"""Fields and elements of one message. A footer of twelve columns and two thousand row groups has fewer."""

_SIGNED_64 = 1 << 63
_WIDTHS = {DOUBLE: 8, UUID: 16}
_FITS = {I16: 1 << 15, I32: 1 << 31, I64: 1 << 63}


class ThriftProblem(ValueError):
    """Bytes that are no such message, or a message whose values are not of the kind that is asked for."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list or set: the kind of its elements, and them. Truth values stay bytes, in which 1 is true."""

    kind: int
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map: the kinds of its keys and values (0 and 0 when it is empty), and them."""

    key_kind: int
    value_kind: int
    values: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Struct:
    """Fields by id in the order in which they came: kind and value. Truth values of fields are bool, doubles their eight bytes."""

    fields: Mapping[int, tuple[int, Any]]

    def __contains__(self, field_id: int) -> bool:
        return field_id in self.fields

    def integer(self, field_id: int) -> int | None:
        """The whole number in a field; None when the field is not there. Raises ThriftProblem when it is something else."""
        value = self._of(field_id, (BYTE, I16, I32, I64))
        return None if value is None else int(value)

    def whole(self, field_id: int) -> int:
        """The whole number in a field that must be there and not be negative. Raises ThriftProblem."""
        value = self.integer(field_id)
        if value is None or value < 0:
            raise ThriftProblem(f"field {field_id} is {'missing' if value is None else 'negative'}")
        return value

    def truth(self, field_id: int) -> bool | None:
        """The truth value in a field; None when the field is not there. Raises ThriftProblem."""
        value = self._of(field_id, (TRUE, FALSE))
        return None if value is None else bool(value)

    def binary(self, field_id: int) -> bytes | None:
        """The bytes in a field; None when the field is not there. Raises ThriftProblem."""
        value = self._of(field_id, (BINARY,))
        return None if value is None else bytes(value)

    def struct(self, field_id: int) -> Struct | None:
        """The struct in a field; None when the field is not there. Raises ThriftProblem."""
        value: Struct | None = self._of(field_id, (STRUCT,))
        return value

    def structs(self, field_id: int) -> tuple[Struct, ...]:
        """The structs of a list; none when the field is not there. Raises ThriftProblem."""
        return self._elements(field_id, (STRUCT,))

    def integers(self, field_id: int) -> tuple[int, ...]:
        """The whole numbers of a list; none when the field is not there. Raises ThriftProblem."""
        return self._elements(field_id, (BYTE, I16, I32, I64))

    def changed(self, changes: Mapping[int, tuple[int, Any] | None]) -> Struct:
        """The same with some fields put in the place of others, or (None) left out; new ones stand where their id belongs."""
        fields = {field_id: kept for field_id, kept in self.fields.items() if field_id not in changes}
        fields |= {field_id: change for field_id, change in changes.items() if change is not None}
        return Struct(dict(sorted(fields.items())))

    def _of(self, field_id: int, kinds: tuple[int, ...]) -> Any:
        found = self.fields.get(field_id)
        if found is None:
            return None
        if found[0] not in kinds:
            raise ThriftProblem(f"field {field_id} is of kind {found[0]}")
        return found[1]

    def _elements(self, field_id: int, kinds: tuple[int, ...]) -> tuple[Any, ...]:
        items = self._of(field_id, (LIST, SET))
        if items is None or not items.values:
            return ()
        if items.kind not in kinds:
            raise ThriftProblem(f"field {field_id} has elements of kind {items.kind}")
        found: tuple[Any, ...] = items.values
        return found


def read_struct(data: bytes | memoryview, most_values: int = MOST_VALUES) -> tuple[Struct, int]:
    """The struct that `data` begins with, and how many bytes it takes. Raises ThriftProblem."""
    reader = _Reader(data, most_values)
    return reader.struct(0), reader.at


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes | memoryview, most_values: int) -> None:
        self._data = bytes(data)  # of which a byte is looked up faster than of a view; footers are small
        self._size, self._left = len(self._data), most_values
        self.at = 0

    def struct(self, depth: int) -> Struct:
        if depth >= MOST_DEPTH:
            raise ThriftProblem("it is nested too deeply")
        fields: dict[int, tuple[int, Any]] = {}
        last = 0
        while head := self._byte():
            kind = head & 0x0F
            last = last + (head >> 4) if head >> 4 else self._signed(_FITS[I16])
            if last in fields:
                raise ThriftProblem(f"field {last} is there twice")
            self._spend(1)
            fields[last] = (TRUE, kind == TRUE) if kind in (TRUE, FALSE) else (kind, self._value(kind, depth))
        return Struct(fields)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _FITS:
            return self._signed(_FITS[kind])
        if kind == BINARY:
            return self._take(self._varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            return self._items(depth + 1)
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind in _WIDTHS:
            return self._take(_WIDTHS[kind])
        if kind == MAP:
            return self._pairs(depth + 1)
        raise ThriftProblem(f"there is no kind {kind}")

    def _items(self, depth: int) -> Items:
        if depth >= MOST_DEPTH:
            raise ThriftProblem("it is nested too deeply")
        head = self._byte()
        kind, count = head & 0x0F, head >> 4
        if count == 15:
            count = self._varint()
        self._spend(count)
        return Items(kind, tuple([self._value(kind, depth) for _ in range(count)]))

    def _pairs(self, depth: int) -> Pairs:
        if depth >= MOST_DEPTH:
            raise ThriftProblem("it is nested too deeply")
        count = self._varint()
        if count == 0:
            return Pairs(0, 0, ())
        self._spend(2 * count)
        kinds = self._byte()
        keys, values = kinds >> 4, kinds & 0x0F
        return Pairs(keys, values, tuple((self._value(keys, depth), self._value(values, depth)) for _ in range(count)))

    def _spend(self, values: int) -> None:
        """Every value takes a byte at least, so no more can follow than bytes are left."""
        self._left -= values
        if self._left < 0 or values > self._size - self.at:
            raise ThriftProblem("it claims more values than it may have")

    def _byte(self) -> int:
        at = self.at
        if at >= self._size:
            raise ThriftProblem("it ends too early")
        self.at = at + 1
        return self._data[at]

    def _take(self, length: int) -> bytes:
        if length > self._size - self.at:
            raise ThriftProblem("it ends too early")
        self.at += length
        return self._data[self.at - length : self.at]

    def _varint(self) -> int:
        at = self.at
        if at < self._size and self._data[at] < 0x80:  # most numbers are small
            self.at = at + 1
            return self._data[at]
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise ThriftProblem("a number does not end")
        if value >= 1 << 64:
            raise ThriftProblem("a number is too large")
        return value

    def _signed(self, limit: int) -> int:
        raw = self._varint()
        value = (raw >> 1) ^ -(raw & 1)
        if not -limit <= value < limit:
            raise ThriftProblem("a number is too large for its kind")
        return value


def write_struct(struct: Struct) -> bytes:
    """The struct as bytes."""
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


def _write_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for field_id, (kind, value) in struct.fields.items():
        code = (TRUE if value else FALSE) if kind in (TRUE, FALSE) else kind
        if 0 < field_id - last < 16:
            out.append((field_id - last) << 4 | code)
        else:
            out.append(code)
            _write_signed(out, field_id)
        last = field_id
        if kind not in (TRUE, FALSE):
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _FITS:
        _write_signed(out, value)
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind in (LIST, SET):
        _write_items(out, value)
    elif kind in (TRUE, FALSE, BYTE):
        out.append(value & 0xFF)
    elif kind in _WIDTHS:
        out += value
    else:
        _write_pairs(out, value)


def _write_items(out: bytearray, items: Items) -> None:
    count = len(items.values)
    if count < 15:
        out.append(count << 4 | items.kind)
    else:
        out.append(0xF0 | items.kind)
        _write_varint(out, count)
    for value in items.values:
        _write_value(out, items.kind, value)


def _write_pairs(out: bytearray, pairs: Pairs) -> None:
    _write_varint(out, len(pairs.values))
    if pairs.values:
        out.append(pairs.key_kind << 4 | pairs.value_kind)
    for key, value in pairs.values:
        _write_value(out, pairs.key_kind, key)
        _write_value(out, pairs.value_kind, value)


def _write_signed(out: bytearray, value: int) -> None:
    _write_varint(out, ((value << 1) ^ (value >> 63)) & (2 * _SIGNED_64 - 1))


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
