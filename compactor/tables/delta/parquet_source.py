"""A Parquet file of the log, read column by column and batch by batch: only what is needed is fetched, decoded and held.

Small files are fetched whole in one request; of large ones the footer and the wanted column chunks. A damaged file is TableCorrupt.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from compactor.errors import TableCorrupt
from compactor.storage.base import ObjectStore
from compactor.tables.delta.driver_memory import BATCH_ROWS

WHOLE_BYTES = 32 * 1024 * 1024
"""Files up to this size are fetched whole."""
_TAIL_BYTES = 256 * 1024


class ParquetSource:
    """One Parquet object of a store. Every method raises TableCorrupt, naming the object, when it cannot be decoded."""

    def __init__(self, store: ObjectStore, key: str, size_bytes: int) -> None:
        self._name = f"{store.uri}/{key}"
        self._threads = size_bytes > WHOLE_BYTES  # starting threads costs more than a small file
        self._ranges = None if size_bytes <= WHOLE_BYTES else _RangeFile(store, key, size_bytes)
        source = self._ranges if self._ranges is not None else pa.BufferReader(store.get(key))
        try:
            self._file = pq.ParquetFile(source, pre_buffer=False)
            _check_chunks(pq.ParquetFile(source, metadata=self._file.metadata, buffer_size=_TAIL_BYTES, pre_buffer=False))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise TableCorrupt(f"The checkpoint file {self._name} is damaged: it has no readable Parquet footer.") from error
        self.schema: pa.Schema = self._file.schema_arrow

    def struct_fields(self, column: str) -> tuple[str, ...]:
        """Names of the children of a struct column; empty when the file has no such column."""
        index = self.schema.get_field_index(column)
        kind = self.schema.field(index).type if index >= 0 else None
        return tuple(child.name for child in kind) if kind is not None and pa.types.is_struct(kind) else ()

    def count(self, leaf: str) -> int:
        """Rows that have a value in this leaf (dotted), by the footer; all rows where the footer does not say."""
        return sum(_values(self._file.metadata.row_group(i), leaf) for i in range(self._file.num_row_groups))

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The columns (nested ones dotted), as batches with the number of their first row in the file."""
        first = 0
        for group in range(self._file.num_row_groups):
            for batch in self._group(group, columns):
                yield first, batch
                first += batch.num_rows

    def rows(self, columns: Sequence[str], wanted: Sequence[int]) -> pa.Table:
        """The columns at these row numbers, in their order; row groups without a wanted row are not read."""
        rows = np.asarray(wanted, np.int64)
        starts = np.cumsum([0, *(self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups))])
        if len(rows) and (rows.min() < 0 or rows.max() >= starts[-1]):
            raise TableCorrupt(f"The checkpoint file {self._name} is shorter than it was.")
        group_of = np.searchsorted(starts, rows, side="right") - 1
        parts: list[pa.Table] = []
        order: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        for group in np.unique(group_of).tolist():
            here = np.flatnonzero(group_of == group)
            inside = rows[here] - starts[group]
            first = 0
            for batch in self._group(group, columns):
                hit = (inside >= first) & (inside < first + batch.num_rows)
                if hit.any():
                    parts.append(pa.table(batch).take(pa.array(inside[hit] - first)))
                    order.append(here[hit])
                first += batch.num_rows
        if not parts:
            return self.schema.empty_table().select([])
        return pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(order), kind="stable")))

    def _group(self, group: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            if self._ranges is not None:
                self._ranges.prefetch(_chunks(self._file.metadata, group, columns))
            yield from self._file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=list(columns), use_threads=self._threads)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise TableCorrupt(f"The checkpoint file {self._name} is damaged: {_first_line(error)}.") from error


def _check_chunks(file: pq.ParquetFile) -> None:
    """Raises OSError for a footer with a malformed column chunk. `file` must be buffered, and not beforehand: then nothing is read.

    HAZARD: asking pyarrow's metadata for such a column ends the process; making a reader, of no rows, meets the same problem and raises.
    """
    for group in range(file.metadata.num_row_groups):
        for _ in file.reader.iter_batches(0, row_groups=[group], column_indices=None, use_threads=False):
            break


def _values(group: pq.RowGroupMetaData, leaf: str) -> int:
    for i in range(group.num_columns):
        chunk = group.column(i)
        if chunk.path_in_schema == leaf:
            statistics = chunk.statistics
            nulls = statistics.null_count if statistics is not None and statistics.has_null_count else 0
            return int(group.num_rows - nulls)
    return 0


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")[:200]


def _chunks(metadata: pq.FileMetaData, group: int, columns: Sequence[str]) -> list[tuple[int, int]]:
    """Byte ranges of the chunks of these columns in a row group."""
    ranges = []
    described = metadata.row_group(group)
    for i in range(described.num_columns):
        chunk = described.column(i)
        if any(chunk.path_in_schema == name or chunk.path_in_schema.startswith(name + ".") for name in columns):
            start = chunk.dictionary_page_offset if chunk.dictionary_page_offset is not None else chunk.data_page_offset
            ranges.append((min(start, chunk.data_page_offset), chunk.total_compressed_size))
    return ranges


class _RangeFile(io.RawIOBase):
    """A read-only file over an object: served from prefetched ranges where they cover the read, by a request of its own elsewhere."""

    def __init__(self, store: ObjectStore, key: str, size_bytes: int) -> None:
        self._store, self._key, self._size, self._position = store, key, size_bytes, 0
        self._tail = self._fetch([(size_bytes - _TAIL_BYTES, _TAIL_BYTES)])
        self._cache: list[tuple[int, memoryview]] = []

    def _fetch(self, ranges: list[tuple[int, int]]) -> list[tuple[int, memoryview]]:
        parts = self._store.get_ranges(self._key, ranges)
        return [(start, memoryview(part)) for (start, _), part in zip(ranges, parts, strict=True)]

    def prefetch(self, ranges: list[tuple[int, int]]) -> None:
        """Fetch these ranges at once and forget those fetched before."""
        self._cache = self._fetch(ranges)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        start = self._position
        end = self._size if size < 0 else min(self._size, start + size)
        if end <= start:
            return b""
        self._position = end
        for offset, part in (*self._cache, *self._tail):
            if offset <= start and end <= offset + len(part):
                return bytes(part[start - offset : end - offset])
        return bytes(self._fetch([(start, end - start)])[0][1])
