"""The encoded row groups of a file: its footer taken apart, and what of a row group may be repeated in another file.

Every number of a footer may be a lie. Ranges must lie inside the file and may not overlap; what does not add up raises ThriftProblem, and
the row group is decoded instead. Statistics whose meaning depends on who wrote them are left out (see writers.py). Reads page indexes and
Bloom filters, never pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from compactor.rewriting.fragment import ChunkExtras, Origin, Range
from compactor.rewriting.parquet_fields import OFFSET_INDEX_PAGES, PAGE_OFFSET, ColumnChunk, ColumnMetaData, FileMetaData, Kind, RowGroup
from compactor.rewriting.parquet_fields import Statistics as Stats
from compactor.rewriting.physical import Leaf, Node, leaves, tree
from compactor.rewriting.thrift_compact import BINARY, LIST, STRUCT, Items, Struct, ThriftProblem, read_struct
from compactor.rewriting.writers import Writer, writer_of

_HEADER_BYTES = 4
_MOST_INDEX_BYTES = 64 * 1024 * 1024
_GAP_BYTES = 64 * 1024
_BLOOM_HEADER_BYTES = 64
_BLOOM_BYTES = 1
"""Field of a Bloom filter's header: bytes of the filter."""
_OLD_BOUNDS = (Stats.MIN, Stats.MAX)
_BOUNDS = (Stats.MIN_VALUE, Stats.MAX_VALUE, Stats.IS_MIN_VALUE_EXACT, Stats.IS_MAX_VALUE_EXACT)
_BYTES = (Kind.BYTE_ARRAY, Kind.FIXED_LEN_BYTE_ARRAY, Kind.INT96)
_ELSEWHERE = (ColumnChunk.FILE_PATH, ColumnChunk.CRYPTO_METADATA, ColumnChunk.ENCRYPTED_COLUMN_METADATA)
_FLOATS = (Kind.FLOAT, Kind.DOUBLE)
_WIDTHS: dict[int, int] = {Kind.BOOLEAN: 1, Kind.INT32: 4, Kind.INT64: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFile:
    """A footer. `ordered`: for each leaf whether its bounds are in the order of its type; `end`: where the footer begins."""

    nodes: tuple[Node, ...]
    leaves: tuple[Leaf, ...]
    row_groups: tuple[Struct, ...]
    ordered: tuple[bool, ...]
    writer: Writer
    encrypted: bool
    end: int


def encoded_file(footer: bytes | memoryview, end: int) -> EncodedFile:
    """The file whose footer this is, `end` being where it begins. Raises ThriftProblem."""
    found, _ = read_struct(footer)
    nodes = tree(found.structs(FileMetaData.SCHEMA))
    flat = tuple(leaves(nodes))
    orders = found.structs(FileMetaData.COLUMN_ORDERS)
    ordered = tuple(1 in order for order in orders) if len(orders) == len(flat) else (False,) * len(flat)
    return EncodedFile(
        nodes=nodes,
        leaves=flat,
        row_groups=found.structs(FileMetaData.ROW_GROUPS),
        ordered=ordered,
        writer=writer_of(found.binary(FileMetaData.CREATED_BY) or b""),
        encrypted=FileMetaData.ENCRYPTION_ALGORITHM in found,
        end=end,
    )


def chunks_of_group(file: EncodedFile, index: int) -> list[tuple[Struct, Struct, Range]]:
    """Chunk, its metadata and where its pages lie, for each column of a row group. Raises ThriftProblem for what does not add up."""
    group = file.row_groups[index]
    rows, chunks = group.whole(RowGroup.NUM_ROWS), group.structs(RowGroup.COLUMNS)
    if len(chunks) != len(file.leaves):
        raise ThriftProblem(f"row group {index} has {len(chunks)} columns where the schema has {len(file.leaves)}")
    found = []
    for chunk, leaf in zip(chunks, file.leaves, strict=True):
        meta = chunk.struct(ColumnChunk.META_DATA)
        if meta is None or ColumnMetaData.INDEX_PAGE_OFFSET in meta or any(field in chunk for field in _ELSEWHERE):
            raise ThriftProblem(f"row group {index} keeps a column elsewhere, or encrypted")
        values = meta.whole(ColumnMetaData.NUM_VALUES)
        if values != rows if not leaf.repeated else values < rows:
            raise ThriftProblem(f"row group {index} has {rows} rows and a column of {values} values")
        if meta.integer(ColumnMetaData.TYPE) != leaf.kind:
            raise ThriftProblem(f"a column of row group {index} is of another type than the schema says")
        found.append((chunk, meta, _pages(meta, file.end)))
    return found


def _pages(meta: Struct, end: int) -> Range:
    first = meta.whole(ColumnMetaData.DATA_PAGE_OFFSET)
    dictionary = meta.integer(ColumnMetaData.DICTIONARY_PAGE_OFFSET) or 0
    start = min(first, dictionary) if dictionary > 0 else first
    pages = Range(start, meta.whole(ColumnMetaData.TOTAL_COMPRESSED_SIZE))
    empty = not pages.length and not meta.whole(ColumnMetaData.NUM_VALUES)
    if not empty and not _HEADER_BYTES <= start <= first < pages.end <= end:
        raise ThriftProblem("a column's pages lie outside the file")
    return pages


def runs_of(ranges: Iterable[Range]) -> list[Range]:
    """The ranges, ascending, those side by side as one. Raises ThriftProblem when two overlap: bytes would be copied more than once."""
    runs: list[Range] = []
    for found in sorted((found for found in ranges if found.length), key=lambda found: found.start):
        if runs and found.start < runs[-1].end:
            raise ThriftProblem("two columns have the same bytes")
        if runs and found.start == runs[-1].end:
            runs[-1] = Range(runs[-1].start, runs[-1].length + found.length)
        else:
            runs.append(found)
    return runs


def repeatable(file: EncodedFile, index: int, ours: Sequence[Leaf], without_nan: Collection[int] = ()) -> Struct:
    """The metadata of a row group with columns named as in `ours`, without statistics that would say too much elsewhere.

    without_nan: columns of floats of which it is known that none of their values is NaN.
    """
    chunks = []
    for at, (chunk, meta, _) in enumerate(chunks_of_group(file, index)):
        statistics = meta.struct(ColumnMetaData.STATISTICS)
        sayable = file.ordered[at] and (_bounds_hold(file, ours[at]) or (ours[at].kind in _FLOATS and file.writer.trusted))
        kept = None if statistics is None else _kept_statistics(statistics, ours[at], sayable, at in without_nan)
        path = Items(BINARY, tuple(name.encode("utf-8", "surrogateescape") for name in ours[at].path))
        changes: dict[int, tuple[int, object] | None] = {
            ColumnMetaData.PATH_IN_SCHEMA: (LIST, path),
            ColumnMetaData.STATISTICS: None if kept is None else (STRUCT, kept),
        }
        if (meta.integer(ColumnMetaData.DICTIONARY_PAGE_OFFSET) or 0) <= 0:
            changes[ColumnMetaData.DICTIONARY_PAGE_OFFSET] = None
        chunks.append(chunk.changed({ColumnChunk.META_DATA: (STRUCT, meta.changed(changes))}))
    return file.row_groups[index].changed({RowGroup.COLUMNS: (LIST, Items(STRUCT, tuple(chunks)))})


def _kept_statistics(statistics: Struct, leaf: Leaf, sayable: bool, without_nan: bool) -> Struct:
    """Counts always; bounds of whole numbers; of bytes only new ones, where they are `sayable`; of floats only where there is no NaN."""
    width = _WIDTHS.get(leaf.kind)
    if width is not None:
        bounds = [statistics.binary(field) for field in (*_OLD_BOUNDS, *_BOUNDS[:2])]
        return statistics if all(bound is None or len(bound) == width for bound in bounds) else without_bounds(statistics)
    if leaf.kind in _FLOATS and statistics.integer(Stats.NAN_COUNT) != 0 and not without_nan:
        return without_bounds(statistics)
    return statistics.changed(dict.fromkeys(_OLD_BOUNDS)) if sayable else without_bounds(statistics)


def without_bounds(statistics: Struct) -> Struct:
    """Only the counts."""
    return statistics.changed(dict.fromkeys((*_OLD_BOUNDS, *_BOUNDS)))


def extras_of(file: EncodedFile, index: int, origin: Origin, without_nan: Collection[int] = ()) -> list[ChunkExtras]:
    """Indexes and Bloom filters of each column of a row group, as far as they are there and fit. Raises StorageError."""
    chunks = chunks_of_group(file, index)
    wanted = [_extra_ranges(chunk, meta, file.end, origin) for chunk, meta, _ in chunks]
    brought = _bring([found for ranges in wanted for found in ranges if found is not None], origin)
    extras = []
    for at, ((_, _, pages), (column, offset, bloom)) in enumerate(zip(chunks, wanted, strict=True)):
        offset_index = None if offset is None else _offset_index(brought[offset], pages)
        holds = _bounds_hold(file, file.leaves[at]) or (at in without_nan and file.writer.trusted)
        sayable = offset_index is not None and file.ordered[at] and holds
        extras.append(
            ChunkExtras(
                column_index=bytes(brought[column]) if column is not None and sayable else None,
                offset_index=offset_index,
                bloom_filter=None if bloom is None else bytes(brought[bloom]),
            )
        )
    return extras


def _bounds_hold(file: EncodedFile, leaf: Leaf) -> bool:
    """Whether new bounds of a column may be repeated."""
    if leaf.kind not in _BYTES:
        return leaf.kind in _WIDTHS
    return file.writer.decimals if leaf.meaning.startswith("decimal") else file.writer.trusted and leaf.meaning != "16-bit float"


def _extra_ranges(chunk: Struct, meta: Struct, end: int, origin: Origin) -> tuple[Range | None, Range | None, Range | None]:
    """Where the column index, the offset index and the Bloom filter lie; None for one that is not there, or not where it could be."""
    found = []
    for start, length in (
        (chunk.integer(ColumnChunk.COLUMN_INDEX_OFFSET), chunk.integer(ColumnChunk.COLUMN_INDEX_LENGTH)),
        (chunk.integer(ColumnChunk.OFFSET_INDEX_OFFSET), chunk.integer(ColumnChunk.OFFSET_INDEX_LENGTH)),
        (meta.integer(ColumnMetaData.BLOOM_FILTER_OFFSET), _bloom_length(meta, end, origin)),
    ):
        sound = start is not None and length is not None and start >= _HEADER_BYTES and 0 < length <= end - start
        found.append(Range(start, length) if sound and start is not None and length is not None else None)
    return found[0], found[1], found[2]


def _bloom_length(meta: Struct, end: int, origin: Origin) -> int | None:
    """Bytes of the Bloom filter with its header, which older writers do not say elsewhere."""
    length, start = meta.integer(ColumnMetaData.BLOOM_FILTER_LENGTH), meta.integer(ColumnMetaData.BLOOM_FILTER_OFFSET)
    if length is not None or start is None or not _HEADER_BYTES <= start < end:
        return length
    try:
        header, taken = read_struct(origin.read(start, min(_BLOOM_HEADER_BYTES, end - start)))
        return taken + header.whole(_BLOOM_BYTES)
    except ThriftProblem:
        return None


def _bring(ranges: Sequence[Range], origin: Origin) -> dict[Range, memoryview]:
    """The bytes of each range, those near each other with one request. Raises ThriftProblem when there are too many."""
    if sum(found.length for found in ranges) > _MOST_INDEX_BYTES:
        raise ThriftProblem("its indexes and Bloom filters are too large")
    found: dict[Range, memoryview] = {}
    together: list[Range] = []
    for each in (*sorted(set(ranges), key=lambda each: each.start), None):
        if together and (each is None or each.start > max(one.end for one in together) + _GAP_BYTES):
            start = together[0].start
            data = memoryview(origin.read(start, max(one.end for one in together) - start))
            found |= {one: data[one.start - start : one.end - start] for one in together}
            together = []
        if each is not None:
            together.append(each)
    return found


def _offset_index(data: memoryview, pages: Range) -> Struct | None:
    """An offset index whose pages all lie in the chunk; None for any other."""
    try:
        index, _ = read_struct(data)
        places = index.structs(OFFSET_INDEX_PAGES)
        sound = all(pages.start <= place.whole(PAGE_OFFSET) < pages.end for place in places)
    except ThriftProblem:
        return None
    return index if sound else None
