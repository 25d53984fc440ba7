"""One output file: rows in, row groups out, streamed to an object that appears whole at the end or not at all.

Rows wait until they make a row group within the budget. The footer is the writer's own; what it says is what is reported. A failure or
abort leaves nothing behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.rewrite import OutputFile, WriteSpec
from compactor.rewriting.column_statistics import StatisticsCollector
from compactor.rewriting.leaves import leaves
from compactor.storage.base import ObjectWriter

_BUFFER_BYTES = 1024 * 1024
_PAGE_BYTES = 1024 * 1024
_LARGEST_WRITE_BATCH = 16_384


class Output:
    """A Parquet file being written. Not thread-safe: one thread at a time."""

    def __init__(self, key: str, writer: ObjectWriter, schema: pa.Schema, spec: WriteSpec) -> None:
        self.key = key
        self._tap = _Tap(writer)
        self._object = writer
        self._schema, self._spec = schema, spec
        self._statistics = StatisticsCollector(schema, spec.statistics, spec.string_prefix)
        self._parquet: pq.ParquetWriter | None = None
        self._stream: pa.NativeFile | None = None
        self._footers: list[pq.FileMetaData] = []

    @property
    def bytes_written(self) -> int:
        """Encoded bytes so far, as far as they left the buffers."""
        return self._tap.bytes_written

    def write_row_group(self, rows: pa.Table, dictionaries: Sequence[str]) -> None:
        """Append a row group. `dictionaries`: Parquet paths of the columns to write with one; counts in the first row group only."""
        if self._parquet is None:
            self._parquet = self._open(rows, dictionaries)
        self._statistics.add(rows)
        self._parquet.write_table(rows, row_group_size=max(1, rows.num_rows))

    def finish(self) -> OutputFile:
        """Write the footer and publish the object; what is reported is what the footer says."""
        assert self._parquet is not None and self._stream is not None
        self._parquet.close()
        self._stream.close()
        (footer,) = self._footers
        statistics = self._statistics.finish(footer)
        size_bytes = self._object.close()
        return OutputFile(key=self.key, size_bytes=size_bytes, rows=footer.num_rows, statistics=statistics)

    def abort(self) -> None:
        """Give up; nothing of the object stays. Never raises."""
        self._tap.shut = True
        with contextlib.suppress(Exception):
            if self._parquet is not None:
                self._parquet.close()
        self._object.abort()

    def _open(self, rows: pa.Table, dictionaries: Sequence[str]) -> pq.ParquetWriter:
        self._stream = pa.BufferedOutputStream(pa.PythonFile(self._tap, mode="w"), _BUFFER_BYTES)
        spec = self._spec
        return pq.ParquetWriter(
            self._stream,
            self._schema,
            compression=spec.compression,
            compression_level=spec.compression_level,
            data_page_version=spec.page_version,
            data_page_size=_PAGE_BYTES,
            write_batch_size=_write_batch(rows),
            use_dictionary=list(dictionaries) or False,
            write_statistics=_counted(self._schema),
            write_page_index=True,
            store_schema=False,
            metadata_collector=self._footers,
        )


def _counted(schema: pa.Schema) -> list[str] | bool:
    """The columns with bounds in the footer: all but floats.

    HAZARD: this writer's bounds pass over NaN, and Spark, to which NaN is greater than every number, would skip the rows that hold it.
    """
    found = leaves(schema)
    counted = [leaf.parquet_path for leaf in found if not pa.types.is_floating(leaf.type)]
    return counted if len(counted) < len(found) else True


def _write_batch(rows: pa.Table) -> int:
    """Values between two checks of a page's size: few where values are large, or a page would grow without bound."""
    widest = max((column.nbytes for column in rows.columns), default=0) / max(1, rows.num_rows)
    return int(max(16, min(_LARGEST_WRITE_BATCH, _PAGE_BYTES / max(1.0, widest))))


class _Tap:
    """What Arrow writes to. Closing it does not publish the object: Arrow closes its files also when it gives up."""

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer = writer
        self.bytes_written = 0
        self.shut = False
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        if not self.shut:
            self._writer.write(data)
        self.bytes_written += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes_written

    def flush(self) -> None:
        """Nothing to do: the writer's own buffers end at close."""

    def close(self) -> None:
        self.closed = True
