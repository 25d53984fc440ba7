"""Hands tables to the native kernel that adds up rows: each array as its layout, its key, its buffers and its children.

What a value is worth is decided there (native/src/values.rs) as lane_values.py decides it; layouts that few tables have are brought to
others first, by the same functions as here. Checks nothing: the kernel believes neither lengths nor offsets nor indices.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pyarrow as pa

from compactor.rewriting.lane_values import ELEMENT, as_list, with_offsets, words_of_path

_Described = tuple[str, object, int, int, list[object], tuple[object, ...]]


class NativeKey:
    """A column, or a place inside one, as the kernel knows it."""

    __slots__ = ("_algorithm", "_children", "_kernels", "_path", "known")

    def __init__(self, kernels: ModuleType, algorithm: str, path: tuple[str | int, ...] = ()) -> None:
        self._kernels, self._algorithm, self._path = kernels, algorithm, path
        self._children: dict[str | int, NativeKey] = {}
        self.known: object = kernels.Key(words_of_path(algorithm, path).tolist())

    def child(self, step: str | int) -> NativeKey:
        """The key of a field, or of the elements of a list."""
        found = self._children.get(step)
        if found is None:
            found = self._children[step] = NativeKey(self._kernels, self._algorithm, (*self._path, step))
        return found


class NativeRows:
    """Adds up the rows of tables of one logical schema."""

    few_rows = 1024
    """Smaller tables wait for others: describing a table costs as much as adding up some hundreds of rows."""

    def __init__(self, kernels: ModuleType, algorithm: str) -> None:
        self._kernels = kernels
        self._root = NativeKey(kernels, algorithm)

    def sum_of(self, rows: pa.Table) -> int:
        """The sum of these rows modulo 2^128. Raises IndexError or ValueError when an array contradicts itself, TypeError for a type that
        no table has."""
        columns = [
            [_described(chunk, key) for chunk in column.chunks]
            for column, key in zip(rows.itercolumns(), map(self._root.child, rows.column_names), strict=True)
        ]
        total: int = self._kernels.sum_of_rows(rows.num_rows, self._root.known, columns)
        return total


def _described(array: pa.Array, key: NativeKey) -> _Described:
    kind = array.type.id
    layout = _LAYOUTS.get(kind)
    if layout is not None:
        return (layout, key.known, len(array), array.offset, array.buffers(), ())
    describer = _DESCRIBERS.get(kind)
    if describer is not None and len(array):
        return describer(array, key)
    if isinstance(array, pa.ExtensionArray):
        return _described(array.storage, key)
    if array.null_count == len(array):
        return ("nothing", key.known, len(array), 0, [], ())
    raise TypeError(f"values of type {array.type} have no fingerprint")


def _struct(array: pa.StructArray, key: NativeKey) -> _Described:
    kind = array.type
    fields = tuple(_described(array.field(i), key.child(kind.field(i).name)) for i in range(kind.num_fields))
    return ("struct", key.known, len(array), array.offset, array.buffers()[:1], fields)


def _list(array: pa.Array, key: NativeKey) -> _Described:
    lists = as_list(array)
    layout = "list32" if pa.types.is_list(lists.type) else "list64"
    return (layout, key.known, len(lists), lists.offset, lists.buffers()[:2], (_described(lists.values, key.child(ELEMENT)),))


def _dictionary(array: pa.DictionaryArray, key: NativeKey) -> _Described:
    values = array.dictionary
    if len(values) > len(array):
        return _described(array.dictionary_decode(), key)
    layout = "dictionary-" + _LAYOUTS[array.type.index_type.id]
    return (layout, key.known, len(array), array.offset, array.buffers(), (_described(values, key),))


def _bytes(array: pa.Array, key: NativeKey) -> _Described:
    return _described(with_offsets(array), key)


def _small_decimal(array: pa.Array, key: NativeKey) -> _Described:
    return _described(array.cast(pa.decimal128(array.type.precision, array.type.scale)), key)


_LAYOUTS: dict[int, str] = {
    **{getattr(pa.lib, f"Type_{sign}INT{bits}"): f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{getattr(pa.lib, f"Type_{name}"): "int32" for name in ("DATE32", "TIME32")},
    **{getattr(pa.lib, f"Type_{name}"): "int64" for name in ("DATE64", "TIME64", "TIMESTAMP", "DURATION")},
    pa.lib.Type_BOOL: "bits",
    pa.lib.Type_HALF_FLOAT: "float16",
    pa.lib.Type_FLOAT: "float32",
    pa.lib.Type_DOUBLE: "float64",
    pa.lib.Type_DECIMAL128: "words2",
    pa.lib.Type_DECIMAL256: "words4",
    pa.lib.Type_STRING: "bytes32",
    pa.lib.Type_BINARY: "bytes32",
    pa.lib.Type_LARGE_STRING: "bytes64",
    pa.lib.Type_LARGE_BINARY: "bytes64",
}
"""How the kernel reads arrays of these types, by the type's id."""

_DESCRIBERS: dict[int, Callable[[pa.Array, NativeKey], _Described]] = {
    **{getattr(pa.lib, f"Type_DECIMAL{bits}"): _small_decimal for bits in (32, 64)},
    **{getattr(pa.lib, f"Type_{kind}"): _bytes for kind in ("STRING_VIEW", "BINARY_VIEW", "FIXED_SIZE_BINARY")},
    **{getattr(pa.lib, f"Type_{kind}"): _list for kind in ("LIST", "LARGE_LIST", "FIXED_SIZE_LIST", "LIST_VIEW", "LARGE_LIST_VIEW", "MAP")},
    pa.lib.Type_STRUCT: _struct,
    pa.lib.Type_DICTIONARY: _dictionary,
}
