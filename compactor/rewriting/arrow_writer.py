"""Arrow's Parquet writer, as outputs use it, and the footer that it would give an empty file."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.model.rewrite import WriteSpec
from compactor.rewriting.leaves import leaves
from compactor.rewriting.thrift_compact import Struct, read_struct

_PAGE_BYTES = 1024 * 1024
_LARGEST_WRITE_BATCH = 16_384


def open_writer(
    stream: pa.NativeFile, spec: WriteSpec, rows: pa.Table, dictionaries: Sequence[str], footers: list[pq.FileMetaData]
) -> pq.ParquetWriter:
    """A writer of tables like `rows`, the first of them. dictionaries: Parquet paths of the columns to write with one; footers: where the
    footer goes when the writer is closed.
    """
    return pq.ParquetWriter(
        stream,
        rows.schema,
        compression=spec.compression,
        compression_level=spec.compression_level,
        data_page_version=spec.page_version,
        data_page_size=_PAGE_BYTES,
        write_batch_size=_write_batch(rows),
        use_dictionary=list(dictionaries) or False,
        write_statistics=_counted(rows.schema),
        write_page_index=True,
        store_decimal_as_integer=spec.decimals == "numbers",
        store_schema=False,
        metadata_collector=footers,
    )


def empty_footer(schema: pa.Schema, spec: WriteSpec) -> Struct:
    """The footer of a file of this schema without rows. It is kept for the next group of the run; nobody changes it."""
    return _empty_footer(_Schema(form=schema.serialize().to_pybytes(), schema=schema), spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """A schema that equals another where the metadata of fields (ids, say) is the same too, which Arrow's own comparison passes over."""

    form: bytes
    schema: pa.Schema = field(compare=False)


@lru_cache(maxsize=4)
def _empty_footer(known: _Schema, spec: WriteSpec) -> Struct:
    sink = pa.BufferOutputStream()
    rows = pa.Table.from_batches([], schema=known.schema)  # schema.empty_table() looks for pandas, which workers do without
    with open_writer(sink, spec, rows, (), []) as writer:
        writer.write_table(rows)
    data = sink.getvalue().to_pybytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    footer, _ = read_struct(data[-8 - length : -8])
    return footer


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
