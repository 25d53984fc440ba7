"""The extremes of a column chunk of floats, and whether one of them is NaN, by its pages: what no footer tells for certain costs a look at
the values and not their decoding.

Knows values that lie side by side, in pages or in a dictionary, in pages of both versions. Whatever else there is, or does not add up, has
no answer here and is left to who decodes. Sizes may be lies: no page is decompressed that claims to be larger than 64 MiB.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from compactor.rewriting import native
from compactor.rewriting.fragment import Range
from compactor.rewriting.parquet_fields import (
    CODECS,
    ColumnMetaData,
    DataHeader,
    DataHeaderV2,
    DictionaryHeader,
    Encoding,
    Kind,
    Page,
    PageHeader,
)
from compactor.rewriting.physical import Leaf
from compactor.rewriting.thrift_compact import Struct, ThriftProblem, read_struct

Read = Callable[[int, int], bytes | memoryview]
"""Brings (start, length) of the file; what is asked for begins where what was asked for before ended, or lies in it."""

FLOATS: dict[int, str] = {Kind.FLOAT: "<f4", Kind.DOUBLE: "<f8"}
_MOST_PAGE_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
"""What stays in a processor's cache while it is looked at."""
_HEADER_BYTES = 1024
_MOST_HEADER_BYTES = 1024 * 1024
_ARROW_CODECS = {"lz4": "lz4_raw"}
_NATIVE_CODECS = {number for number, name in CODECS.items() if name in ("none", "snappy", "gzip", "zstd", "lz4")}
_NO_ANSWER = (ThriftProblem, pa.ArrowException, OSError, ValueError, struct.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatValues:
    """Least and greatest of some floats; None where there are none. nan: one of them is NaN, and the extremes say nothing.

    indirect: they are those of a dictionary too, of which not every value need be in a row.
    """

    low: float | None = None
    high: float | None = None
    nan: bool = False
    indirect: bool = False


def float_values(meta: Struct, leaf: Leaf, pages: Range, read: Read) -> FloatValues | None:
    """What the pages of a column chunk hold; None when that takes decoding them. Raises what `read` raises."""
    kind = FLOATS.get(leaf.kind)
    if kind is None or leaf.repeated:
        return None
    if native.KERNELS is not None and meta.integer(ColumnMetaData.CODEC) in _NATIVE_CODECS:
        return _natively(meta, leaf, pages, read)
    source = _Source(pages, read)
    try:
        look = _Look(CODECS.get(meta.integer(ColumnMetaData.CODEC) or 0, ""), kind, leaf.optional)
        while not source.at_end and not look.nan:
            header = source.header()
            look.page(header, source.take(header.whole(PageHeader.COMPRESSED_SIZE)))
        return look.result(meta.whole(ColumnMetaData.NUM_VALUES))
    except _NO_ANSWER:
        return None


def floats_of_file(path: str, chunks: Mapping[int, tuple[Struct, Leaf, Range]]) -> dict[int, FloatValues]:
    """The same of column chunks of a file on this machine, without the interpreter in between, where the native package is; what is not
    among the answers is for `float_values` to look at."""
    known = {at: chunk for at, chunk in chunks.items() if chunk[1].kind in FLOATS and not chunk[1].repeated}
    if native.KERNELS is None or not known:
        return {}
    asked = [
        (pages.start, pages.length, meta.integer(ColumnMetaData.CODEC) or 0, leaf.kind == Kind.DOUBLE, leaf.optional)
        for meta, leaf, pages in known.values()
    ]
    looks = zip(known.items(), native.KERNELS.float_extremes(path, asked), strict=True)
    told = {at: _told(meta, seen) for (at, (meta, _, _)), seen in looks}
    return {at: seen for at, seen in told.items() if seen is not None}


def _natively(meta: Struct, leaf: Leaf, pages: Range, read: Read) -> FloatValues | None:
    """The same of a chunk that is read piece by piece."""
    assert native.KERNELS is not None
    look = native.KERNELS.FloatLook(meta.integer(ColumnMetaData.CODEC) or 0, leaf.kind == Kind.DOUBLE, leaf.optional)
    for start in range(pages.start, pages.end, _PIECE_BYTES):
        if not look.add(read(start, min(_PIECE_BYTES, pages.end - start))):
            break
    return _told(meta, look.seen())


def _told(meta: Struct, seen: tuple[int, tuple[float, float] | None, bool, bool] | None) -> FloatValues | None:
    if seen is None:
        return None
    values, extremes, nan, indirect = seen
    low, high = extremes or (None, None)
    if nan:
        return FloatValues(nan=True)
    return FloatValues(low=low, high=high, indirect=indirect) if values == meta.whole(ColumnMetaData.NUM_VALUES) else None


class _Source:
    """The bytes of a chunk from front to back, brought in pieces."""

    def __init__(self, pages: Range, read: Read) -> None:
        self._read, self._next, self._end = read, pages.start, pages.end
        self._here = memoryview(b"")

    @property
    def at_end(self) -> bool:
        return not self._here and self._next >= self._end

    def header(self) -> Struct:
        """The page header that comes next. Raises ThriftProblem."""
        wanted = _HEADER_BYTES
        while True:
            self._have(wanted)
            try:
                found, length = read_struct(self._here[:wanted])
            except ThriftProblem:
                if wanted >= _MOST_HEADER_BYTES or wanted > len(self._here):
                    raise
                wanted *= 4
                continue
            self._here = self._here[length:]
            return found

    def take(self, length: int) -> memoryview:
        """The next bytes. Raises ThriftProblem when there are not as many."""
        if length > _MOST_PAGE_BYTES or not self._have(length):
            raise ThriftProblem("a page reaches beyond its chunk, or is too large")
        taken, self._here = self._here[:length], self._here[length:]
        return taken

    def _have(self, length: int) -> bool:
        """Bring what is missing of the next `length` bytes; whether they are all there."""
        missing = length - len(self._here)
        if missing <= 0 or self._next >= self._end:
            return missing <= 0
        # What is left of a piece is put before what is missing, and not before a whole piece, which would be copied.
        size = min(missing if self._here else max(_PIECE_BYTES, missing), self._end - self._next)
        came = memoryview(self._read(self._next, size)).cast("B")
        self._next += size
        self._here = memoryview(b"".join((self._here, came))) if self._here else came
        return len(self._here) >= length


class _Look:
    """What was seen of the pages so far."""

    def __init__(self, codec: str, kind: str, optional: bool) -> None:
        self._codec = None if codec == "none" else pa.Codec(_ARROW_CODECS.get(codec, codec))
        self._kind, self._optional = np.dtype(kind), optional
        self._low: float | None = None
        self._high: float | None = None
        self._dictionary = self._indirect = False
        self._values = 0
        self.nan = False

    def page(self, header: Struct, data: memoryview) -> None:
        """Look at the next page. Raises what is in _NO_ANSWER."""
        size = header.whole(PageHeader.UNCOMPRESSED_SIZE)
        match header.integer(PageHeader.TYPE):
            case Page.DATA:
                inner = _part(header, PageHeader.DATA)
                self._data(inner, data, size)
            case Page.DATA_V2:
                self._data_v2(_part(header, PageHeader.DATA_V2), data, size)
            case Page.DICTIONARY:
                inner = _part(header, PageHeader.DICTIONARY)
                if inner.integer(DictionaryHeader.ENCODING) not in (Encoding.PLAIN, Encoding.PLAIN_DICTIONARY):
                    raise ThriftProblem("a dictionary of another encoding")
                self._dictionary = True
                self._look(self._plain(data, size), inner.whole(DictionaryHeader.NUM_VALUES))
            case Page.INDEX:
                pass
            case _:
                raise ThriftProblem("a page of an unknown kind")

    def result(self, values: int) -> FloatValues | None:
        """Of a chunk that says that it has so many values, nulls among them."""
        if self.nan:
            return FloatValues(nan=True)
        if self._values != values:
            return None
        return FloatValues(low=self._low, high=self._high, indirect=self._indirect)

    def _data(self, inner: Struct, data: memoryview, size: int) -> None:
        count = inner.whole(DataHeader.NUM_VALUES)
        if not self._encoded(inner.integer(DataHeader.ENCODING), count):
            return
        body = self._plain(data, size)
        if self._optional:
            if inner.integer(DataHeader.DEFINITION_ENCODING) != Encoding.RLE:
                raise ThriftProblem("levels of another encoding")
            (levels,) = struct.unpack_from("<I", body)
            body = _behind(body, 4 + levels)
        self._look(body, count)

    def _data_v2(self, inner: Struct, data: memoryview, size: int) -> None:
        count = inner.whole(DataHeaderV2.NUM_VALUES)
        if not self._encoded(inner.integer(DataHeaderV2.ENCODING), count):
            return
        levels = inner.whole(DataHeaderV2.DEFINITION_BYTES) + inner.whole(DataHeaderV2.REPETITION_BYTES)
        body, size = _behind(data, levels), size - levels
        self._look(body if inner.truth(DataHeaderV2.IS_COMPRESSED) is False else self._plain(body, size), count)

    def _encoded(self, encoding: int | None, count: int) -> bool:
        """Count a data page's values; whether they lie in it, and not in the dictionary."""
        self._values += count
        if encoding in (Encoding.RLE_DICTIONARY, Encoding.PLAIN_DICTIONARY) and self._dictionary:
            self._indirect = True
            return False
        if encoding != Encoding.PLAIN:
            raise ThriftProblem("values of another encoding")
        return True

    def _plain(self, data: memoryview, size: int) -> memoryview:
        if self._codec is None or not data:
            return data
        if not 0 <= size <= _MOST_PAGE_BYTES:
            raise ThriftProblem("a page that is too large")
        return memoryview(self._codec.decompress(data, decompressed_size=size))

    def _look(self, body: memoryview, most: int) -> None:
        values: npt.NDArray[np.floating] = np.frombuffer(body, self._kind)
        if len(values) > most:
            raise ThriftProblem("a page holds more values than it says")
        if not len(values):
            return
        with np.errstate(invalid="ignore"):  # a NaN becomes the extreme
            low, high = float(values.min()), float(values.max())
        self.nan |= low != low
        self._low = low if self._low is None else min(self._low, low)
        self._high = high if self._high is None else max(self._high, high)


def _part(header: Struct, field: int) -> Struct:
    inner = header.struct(field)
    if inner is None:
        raise ThriftProblem("a page header without its part")
    return inner


def _behind(data: memoryview, length: int) -> memoryview:
    if length > len(data):
        raise ThriftProblem("levels reach beyond their page")
    return data[length:]
