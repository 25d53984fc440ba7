"""Takes the Thrift parts of a Parquet file (footer, page headers) apart and puts them together again, with anything in them changed.

Only what damage tests need: Thrift's compact protocol, fields kept in their order, no knowledge of what they mean except for the few
constants below. Shares no code with the compactor.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
INTEGERS = (BYTE, I16, I32, I64)


@dataclass
class Field:
    """One field of a struct: its id, its kind, and its value (a list of Items for LIST, of Fields for STRUCT)."""

    id: int
    kind: int
    value: Any


@dataclass
class Items:
    """A list: the kind of its elements and their values."""

    kind: int
    values: list[Any]


class Reader:
    """Reads structs from bytes."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def struct(self) -> list[Field]:
        """The fields up to the stop byte."""
        fields, last = [], 0
        while head := self._byte():
            kind = head & 0x0F
            last = last + (head >> 4) if head >> 4 else unzigzag(self._varint())
            fields.append(Field(last, kind, kind == TRUE if kind in (TRUE, FALSE) else self._value(kind)))
        return fields

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return self._byte() == TRUE
        if kind == BYTE:
            return self._byte()
        if kind in (I16, I32, I64):
            return unzigzag(self._varint())
        if kind == DOUBLE:
            self.at += 8
            return self.data[self.at - 8 : self.at]
        if kind == BINARY:
            length = self._varint()
            self.at += length
            return self.data[self.at - length : self.at]
        if kind in (LIST, SET):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            return Items(head & 0x0F, [self._value(head & 0x0F) for _ in range(count)])
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"kind {kind}")


def packed(fields: list[Field]) -> bytes:
    """The struct as bytes. Fields whose ids do not grow are written in the long form."""
    out, last = bytearray(), 0
    for field in fields:
        kind = (TRUE if field.value else FALSE) if field.kind in (TRUE, FALSE) else field.kind
        if 0 < field.id - last < 16:
            out.append((field.id - last) << 4 | kind)
        else:
            out += bytes([kind]) + varint(zigzag(field.id))
        last = field.id
        if kind not in (TRUE, FALSE):
            out += _packed_value(kind, field.value)
    return bytes(out) + b"\0"


def _packed_value(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return bytes([TRUE if value else FALSE])
    if kind == BYTE:
        return bytes([value & 0xFF])
    if kind in (I16, I32, I64):
        return varint(zigzag(value))
    if kind == DOUBLE:
        return bytes(value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind in (LIST, SET):
        count = len(value.values)
        head = bytes([count << 4 | value.kind]) if count < 15 else bytes([0xF0 | value.kind]) + varint(count)
        return head + b"".join(_packed_value(value.kind, one) for one in value.values)
    return packed(value)


def varint(value: int) -> bytes:
    """An unsigned number of at most 64 bits, seven bits a byte."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def unzigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def split(data: bytes) -> tuple[bytes, list[Field]]:
    """A Parquet file as everything before the footer, and the footer."""
    (length,) = struct.unpack("<I", data[-8:-4])
    return data[: -8 - length], Reader(data, len(data) - 8 - length).struct()


def joined(body: bytes, footer: list[Field]) -> bytes:
    """A Parquet file of a body and a footer."""
    data = packed(footer)
    return body + data + struct.pack("<I", len(data)) + b"PAR1"


def everything(fields: list[Field]) -> Iterator[tuple[list[Field] | list[Any], int, int]]:
    """Every place of a struct that holds a value, at any depth: the container, the index in it and the kind of the value."""
    for i, field in enumerate(fields):
        yield fields, i, field.kind
        if field.kind == STRUCT:
            yield from everything(field.value)
        elif field.kind in (LIST, SET):
            for j, value in enumerate(field.value.values):
                yield field.value.values, j, field.value.kind
                if field.value.kind == STRUCT:
                    yield from everything(value)


def member(fields: list[Field], *ids: int) -> Field:
    """The field with these ids, one a level; an id of a list's element is its index."""
    found: Any = fields
    for i in ids[:-1]:
        found = found.values[i] if isinstance(found, Items) else next(field.value for field in found if field.id == i)
    return next(field for field in found if field.id == ids[-1])


NUM_ROWS = (3,)
ROW_GROUP_ROWS = (4, 0, 3)
ROW_GROUP_BYTES = (4, 0, 2)
CHUNK_VALUES = (4, 0, 1, 0, 3, 5)
CHUNK_UNCOMPRESSED = (4, 0, 1, 0, 3, 6)
CHUNK_COMPRESSED = (4, 0, 1, 0, 3, 7)
CHUNK_OFFSET = (4, 0, 1, 0, 3, 9)
CHUNK_CODEC = (4, 0, 1, 0, 3, 4)
"""Paths to numbers in a footer: of the file's rows, and of the first row group and its first column."""
