"""The tail of a Parquet file made of row groups that were encoded elsewhere: Bloom filters, column indexes, offset indexes, the footer.

Whatever an offset was in the file that a row group comes from, here it is where its bytes lie now. The schema, the order of columns and the
version are those of a file that the encoder itself would have written. Pure: metadata in, bytes out.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence

from compactor.rewriting.fragment import ChunkExtras, Range
from compactor.rewriting.parquet_fields import OFFSET_INDEX_PAGES, PAGE_OFFSET, ColumnChunk, ColumnMetaData, FileMetaData, RowGroup
from compactor.rewriting.thrift_compact import BINARY, I16, I32, I64, LIST, STRUCT, Items, Struct, write_struct

MAGIC = b"PAR1"
_MOST_ORDINALS = 1 << 15
_OFFSETS = (ColumnMetaData.DATA_PAGE_OFFSET, ColumnMetaData.DICTIONARY_PAGE_OFFSET)

Change = tuple[int, object] | None


class Moves:
    """Where runs of bytes lie now. Every offset asked for lies in one of them."""

    def __init__(self, moved: Sequence[tuple[Range, int]]) -> None:
        """moved: each run with its new start, ascending by the old one."""
        self._starts = [run.start for run, _ in moved]
        self._shifts = [start - run.start for run, start in moved]

    def __call__(self, offset: int) -> int:
        """The new place of what was at `offset`."""
        return offset + self._shifts[max(0, bisect_right(self._starts, offset) - 1)] if self._shifts else offset


class Assembly:
    """The row groups of a file in the making."""

    def __init__(self, like: Struct, created_by: str) -> None:
        """like: the footer of an empty file of the same schema."""
        self._like, self._created_by = like, created_by
        self._groups: list[Struct] = []
        self._extras: list[Sequence[ChunkExtras]] = []

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def rows(self) -> int:
        """Rows of all row groups."""
        return sum(group.whole(RowGroup.NUM_ROWS) for group in self._groups)

    def add(self, group: Struct, moves: Moves, extras: Sequence[ChunkExtras]) -> None:
        """A row group whose pages have been written; `extras`: of each of its columns."""
        chunks = [_moved_chunk(chunk, moves) for chunk in group.structs(RowGroup.COLUMNS)]
        starts = [_first_byte(chunk) for chunk in chunks]
        ordinal = len(self._groups)
        sizes = (chunk.struct(ColumnChunk.META_DATA) for chunk in chunks)
        compressed = sum(meta.whole(ColumnMetaData.TOTAL_COMPRESSED_SIZE) for meta in sizes if meta is not None)
        changes: dict[int, Change] = {
            RowGroup.COLUMNS: (LIST, Items(STRUCT, tuple(chunks))),
            RowGroup.FILE_OFFSET: (I64, starts[0]) if starts else None,
            RowGroup.TOTAL_COMPRESSED_SIZE: (I64, compressed),
            RowGroup.ORDINAL: (I16, ordinal) if ordinal < _MOST_ORDINALS else None,
        }
        self._groups.append(group.changed(changes))
        self._extras.append([_moved_extras(extra, moves) for extra in extras])

    def tail(self, position: int) -> bytes:
        """Everything behind the pages, which end at `position`: to the last byte of the file."""
        out = bytearray()
        places: list[list[dict[int, Change]]] = [[{} for _ in extras] for extras in self._extras]
        for (offset, length), part in _PARTS:
            for extras, into in zip(self._extras, places, strict=True):
                for extra, changes in zip(extras, into, strict=True):
                    if (data := part(extra)) is not None:
                        changes |= {offset: (I64, position + len(out)), length: (I32, len(data))}
                        out += data
        groups = [_placed(group, into) for group, into in zip(self._groups, places, strict=True)]
        footer = write_struct(self._footer(groups))
        return bytes(out) + footer + struct.pack("<I", len(footer)) + MAGIC

    def _footer(self, groups: Sequence[Struct]) -> Struct:
        return self._like.changed(
            {
                FileMetaData.NUM_ROWS: (I64, self.rows),
                FileMetaData.ROW_GROUPS: (LIST, Items(STRUCT, tuple(groups))),
                FileMetaData.KEY_VALUE_METADATA: None,
                FileMetaData.CREATED_BY: (BINARY, self._created_by.encode()),
            }
        )


def _bloom(extra: ChunkExtras) -> bytes | None:
    return extra.bloom_filter


def _column_index(extra: ChunkExtras) -> bytes | None:
    return extra.column_index


def _offset_index(extra: ChunkExtras) -> bytes | None:
    return None if extra.offset_index is None else write_struct(extra.offset_index)


_BLOOM = (-1, -2)
"""Stand-ins for the two fields of a Bloom filter's place, which are those of the metadata and not of the chunk around it."""
_PARTS = (
    (_BLOOM, _bloom),
    ((ColumnChunk.COLUMN_INDEX_OFFSET, ColumnChunk.COLUMN_INDEX_LENGTH), _column_index),
    ((ColumnChunk.OFFSET_INDEX_OFFSET, ColumnChunk.OFFSET_INDEX_LENGTH), _offset_index),
)


def _moved_chunk(chunk: Struct, moves: Moves) -> Struct:
    """The chunk at its new place, with nothing said of what lies outside its pages."""
    meta = chunk.struct(ColumnChunk.META_DATA)
    assert meta is not None
    changes: dict[int, Change] = dict.fromkeys((ColumnMetaData.BLOOM_FILTER_OFFSET, ColumnMetaData.BLOOM_FILTER_LENGTH))
    for field in _OFFSETS:
        if (offset := meta.integer(field)) is not None:
            changes[field] = (I64, moves(offset))
    return chunk.changed(
        {
            ColumnChunk.FILE_OFFSET: (I64, 0),
            ColumnChunk.META_DATA: (STRUCT, meta.changed(changes)),
            **dict.fromkeys((ColumnChunk.OFFSET_INDEX_OFFSET, ColumnChunk.OFFSET_INDEX_LENGTH)),
            **dict.fromkeys((ColumnChunk.COLUMN_INDEX_OFFSET, ColumnChunk.COLUMN_INDEX_LENGTH)),
        }
    )


def _first_byte(chunk: Struct) -> int:
    meta = chunk.struct(ColumnChunk.META_DATA)
    assert meta is not None
    return min(offset for field in _OFFSETS if (offset := meta.integer(field)) is not None)


def _moved_extras(extra: ChunkExtras, moves: Moves) -> ChunkExtras:
    if extra.offset_index is None:
        return extra
    pages = tuple(
        page.changed({PAGE_OFFSET: (I64, moves(page.whole(PAGE_OFFSET)))}) for page in extra.offset_index.structs(OFFSET_INDEX_PAGES)
    )
    index = extra.offset_index.changed({OFFSET_INDEX_PAGES: (LIST, Items(STRUCT, pages))})
    return ChunkExtras(column_index=extra.column_index, offset_index=index, bloom_filter=extra.bloom_filter)


def _placed(group: Struct, places: Sequence[dict[int, Change]]) -> Struct:
    """The row group with the places of its indexes and Bloom filters."""
    chunks = []
    for chunk, changes in zip(group.structs(RowGroup.COLUMNS), places, strict=True):
        bloom: dict[int, Change] = {
            field: changes.pop(stand_in) for field, stand_in in zip(_BLOOM_FIELDS, _BLOOM, strict=True) if stand_in in changes
        }
        meta = chunk.struct(ColumnChunk.META_DATA)
        assert meta is not None
        if bloom:
            changes[ColumnChunk.META_DATA] = (STRUCT, meta.changed(bloom))
        chunks.append(chunk.changed(changes))
    return group.changed({RowGroup.COLUMNS: (LIST, Items(STRUCT, tuple(chunks)))})


_BLOOM_FIELDS = (ColumnMetaData.BLOOM_FILTER_OFFSET, ColumnMetaData.BLOOM_FILTER_LENGTH)
