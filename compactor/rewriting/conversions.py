"""Conversions of leaf values: widenings that change no value, and the normal form of the many Arrow types one table type may come in.

The widenings are those of the Delta protocol, "Type Widening": integers to wider integers, to doubles and to decimals that hold them all,
float to double, date to timestamp without zone, decimals to larger ones. Timestamps of any unit become microseconds, those of
nanoseconds by floor, also before 1970. Everything else is refused by the column's name.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from compactor.rewriting.problems import FileProblem, unsupported

Step = Callable[[pa.Array], pa.Array]

_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
_PER_US = {"s": 1_000_000, "ms": 1_000, "us": 1}


def logical(kind: pa.DataType) -> pa.DataType:
    """The type whose values an array of type `kind` holds: extension types are their storage."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def conversion(source: pa.DataType, target: pa.DataType, name: str) -> Step | None:
    """How values of `source` become `target`; None when they are that already. Raises FileProblem when they cannot."""
    if pa.types.is_dictionary(target):
        return _to_dictionary(source, target, name)
    if source == target:
        return None
    if pa.types.is_dictionary(source):
        return _from_dictionary(source, target, name)
    if pa.types.is_null(source):
        return lambda array: pa.nulls(len(array), target)
    if pa.types.is_timestamp(source) and pa.types.is_timestamp(target):
        return _timestamp_step(source, target)
    if _widens(source, target) or _same_values(source, target):
        return _cast_step(target, name)
    raise unsupported(f'Column "{name}" holds {source} in this file, which cannot become {target}.')


def _to_dictionary(source: pa.DataType, target: pa.DictionaryType, name: str) -> Step | None:
    if source == target:
        return None
    plain = conversion(source, target.value_type, name)

    def convert(array: pa.Array) -> pa.Array:
        values = _storage(array) if plain is None else plain(array)
        return values.dictionary_encode().cast(target)

    return convert


def _from_dictionary(source: pa.DictionaryType, target: pa.DataType, name: str) -> Step:
    after = conversion(source.value_type, target, name)

    def convert(array: pa.Array) -> pa.Array:
        plain = _storage(array).dictionary_decode()
        return plain if after is None else after(plain)

    return convert


def _widens(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether every value of `source` is a value of `target`."""
    types = pa.types
    if types.is_integer(source):
        if types.is_integer(target):
            room = target.bit_width - (1 if types.is_unsigned_integer(source) and types.is_signed_integer(target) else 0)
            return source.bit_width <= room and not (types.is_signed_integer(source) and types.is_unsigned_integer(target))
        if types.is_float64(target):
            return bool(source.bit_width <= 32)
        return bool(types.is_decimal(target) and target.precision - target.scale >= _INTEGER_DIGITS[source.bit_width])
    if types.is_floating(source) and types.is_floating(target):
        return bool(source.bit_width <= target.bit_width)
    if types.is_decimal(source) and types.is_decimal(target):
        return bool(target.scale >= source.scale and target.precision - target.scale >= source.precision - source.scale)
    return bool(types.is_date(source) and types.is_timestamp(target) and target.tz is None)


def _same_values(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether the two are spellings of one type of table: strings and binaries of any layout, dates in days or milliseconds."""
    types = pa.types
    if types.is_date(source) and types.is_date(target):
        return True
    texts = types.is_string(source) or types.is_large_string(source) or types.is_string_view(source)
    bytes_ = types.is_binary(source) or types.is_large_binary(source) or types.is_binary_view(source) or types.is_fixed_size_binary(source)
    return bool((texts or bytes_) and (types.is_string(target) or types.is_binary(target)))


def _cast_step(target: pa.DataType, name: str) -> Step:
    def convert(array: pa.Array) -> pa.Array:
        try:
            return _storage(array).cast(target)
        except pa.ArrowInvalid as error:
            raise FileProblem("unsupported-file", f'Column "{name}" holds a value that is not a {target}: {error}.') from error

    return convert


def _timestamp_step(source: pa.TimestampType, target: pa.TimestampType) -> Step:
    """By the stored integer, never by local time: a file's zone says how to print an instant, not which one it is."""

    def convert(array: pa.Array) -> pa.Array:
        stored = _storage(array).view(pa.int64())
        if source.unit == target.unit:
            return stored.view(target)
        if source.unit == "ns":
            return _whole_micros(stored).view(target)
        return pc.multiply_checked(stored, pa.scalar(_PER_US[source.unit], pa.int64())).view(target)

    if target.unit != "us":
        raise unsupported(f"Timestamps of unit {target.unit} are not written.")
    return convert


def _whole_micros(nanos: pa.Array) -> pa.Array:
    """Nanoseconds as microseconds. Readers disagree on how to cut what lies between two (down, or toward zero), so nothing is cut."""
    divisor = pa.scalar(1_000, pa.int64())
    micros = pc.divide(nanos, divisor)
    if pc.any(pc.not_equal(pc.multiply(micros, divisor), nanos)).as_py():
        raise unsupported("It holds timestamps finer than the table's microseconds, which cannot be rewritten without a change.")
    return micros


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array
