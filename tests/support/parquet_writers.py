"""Small Parquet files as writers leave them: each codec, page version and encoding that a writer offers is a kind of file.

Columns that a writer cannot hold are left out. Spark writes in a session of its own (support/spark.py).
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import fastparquet
import pandas
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from fastparquet import writer as fastparquet_writer

from support.spark import Spark

CODECS = ("none", "snappy", "zstd", "gzip", "lz4", "brotli")
ENCODINGS = ("dictionary", "plain", "turning", "deltas")
"""turning: chunks that begin with dictionary pages and go on with PLAIN ones, because their dictionary has become too large. Beside them
there is int96 of some writers: timestamps of 96 bits, which is what Spark writes unless it is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way to write a file. write(rows, path, page_bytes): pages end at about so many bytes, where the writer lets one choose.

    lacks: which types it does not hold.
    """

    writer: str
    codec: str
    pages: str
    encoding: str
    write: Callable[[pa.Table, Path, int], None]
    lacks: Callable[[pa.DataType], bool] = lambda kind: False

    @property
    def name(self) -> str:
        return f"{self.writer}-{self.codec}-{self.pages}-{self.encoding}"

    def held(self, rows: pa.Table) -> pa.Table:
        """The columns that it can write."""
        return rows.select([field.name for field in rows.schema if not self.lacks(field.type)])


def kinds(spark: Spark | None = None) -> Iterator[Kind]:
    """Every kind of every writer that is here; Spark's only with its session."""
    yield from _by_pyarrow()
    yield from _by_deltalake()
    yield from _by_duckdb()
    yield from _by_polars()
    yield from _by_fastparquet()
    if spark is not None:
        yield from _by_spark(spark)


def _deltas(schema: pa.Schema, others: dict[str, str]) -> dict[str, str]:
    """Of each column that has one an encoding other than PLAIN. others: those of columns of whole numbers, text, bytes and other types."""
    found = {}
    for field in schema:
        kind = field.type
        if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
            found[field.name] = others["number"]
        elif pa.types.is_string(kind):
            found[field.name] = others["text"]
        elif pa.types.is_binary(kind):
            found[field.name] = others["bytes"]
        elif pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and "decimal" in others):
            found[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_boolean(kind):
            found[field.name] = "RLE"
    return found


_ALL_DELTAS = {"number": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY"}


def _by_pyarrow() -> Iterator[Kind]:
    def write(codec: str, pages: str, encoding: str, rows: pa.Table, path: Path, page_bytes: int) -> None:
        options: dict[str, Any] = {"use_dictionary": encoding in ("dictionary", "turning")}
        if encoding == "int96":
            options = {"use_dictionary": ["at"], "use_deprecated_int96_timestamps": True}
        if encoding == "deltas":
            options["column_encoding"] = _deltas(rows.schema, {**_ALL_DELTAS, "decimal": ""})
        if encoding == "turning":
            options |= {"dictionary_pagesize_limit": page_bytes, "write_batch_size": 5}
        pq.write_table(rows, path, compression=codec, data_page_version=pages, data_page_size=page_bytes, store_schema=False, **options)

    for codec in CODECS:
        for pages in ("1.0", "2.0"):
            for encoding in (*ENCODINGS, "int96"):
                by = functools.partial(write, codec, pages, encoding)
                yield Kind(writer="pyarrow", codec=codec, pages=pages, encoding=encoding, write=by)


def _by_deltalake() -> Iterator[Kind]:
    def write(codec: str, encoding: str, rows: pa.Table, path: Path, page_bytes: int) -> None:
        of = deltalake.ColumnProperties
        each = {}
        if encoding == "deltas":
            each = {name: of(dictionary_enabled=False, encoding=by) for name, by in _deltas(rows.schema, _ALL_DELTAS).items()}  # type: ignore[arg-type]
        properties = deltalake.WriterProperties(
            compression={"none": "UNCOMPRESSED", "lz4": "LZ4_RAW"}.get(codec, codec.upper()),  # type: ignore[arg-type]
            data_page_size_limit=page_bytes,
            dictionary_page_size_limit=page_bytes if encoding == "turning" else None,
            write_batch_size=5,
            default_column_properties=of(dictionary_enabled=encoding in ("dictionary", "turning")),
            column_properties=each or None,
        )
        table = path.with_suffix(".table")
        deltalake.write_deltalake(table, rows, writer_properties=properties)
        (file,) = deltalake.DeltaTable(table).file_uris()
        shutil.move(file, path)
        shutil.rmtree(table)

    for codec in CODECS:
        for encoding in ENCODINGS if codec == "snappy" else ("dictionary", "turning"):
            yield Kind(writer="deltalake", codec=codec, pages="1.0", encoding=encoding, write=functools.partial(write, codec, encoding))


def _by_duckdb() -> Iterator[Kind]:
    def write(codec: str, pages: str, rows: pa.Table, path: Path, page_bytes: int) -> None:
        how = f"FORMAT parquet, COMPRESSION {'uncompressed' if codec == 'none' else codec}, PARQUET_VERSION V{pages[0]}"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"COPY (SELECT * FROM rows) TO '{path}' ({how})")

    for codec in CODECS:
        for pages in ("1.0", "2.0"):
            yield Kind(writer="duckdb", codec=codec, pages=pages, encoding="its own", write=functools.partial(write, codec, pages))


def _by_polars() -> Iterator[Kind]:
    def write(codec: str, rows: pa.Table, path: Path, page_bytes: int) -> None:
        pl.DataFrame(rows).write_parquet(path, compression="uncompressed" if codec == "none" else codec, data_page_size=page_bytes)  # type: ignore[arg-type]

    for codec in CODECS:
        by = functools.partial(write, codec)
        yield Kind(writer="polars", codec=codec, pages="1.0", encoding="its own", write=by, lacks=pa.types.is_map)


def _by_fastparquet() -> Iterator[Kind]:
    def write(codec: str, pages: str, encoding: str, rows: pa.Table, path: Path, page_bytes: int) -> None:
        frame = rows.to_pandas(types_mapper=_NULLABLE.get)
        if encoding == "dictionary":
            text = [field.name for field in rows.schema if pa.types.is_string(field.type)]
            frame = frame.astype(dict.fromkeys(text, "category"))
        before, fastparquet_writer.DATAPAGE_VERSION = fastparquet_writer.DATAPAGE_VERSION, int(pages[0])
        try:
            fastparquet.write(str(path), frame, compression=None if codec == "none" else codec.upper(), write_index=False)
        finally:
            fastparquet_writer.DATAPAGE_VERSION = before

    for codec in CODECS:
        for pages in ("1.0", "2.0"):
            for encoding in ("plain", "dictionary") if codec == "snappy" else ("plain",):
                by = functools.partial(write, codec, pages, encoding)
                yield Kind(writer="fastparquet", codec=codec, pages=pages, encoding=encoding, write=by, lacks=_not_fastparquet)


_NULLABLE = {pa.int16(): pandas.Int16Dtype(), pa.int32(): pandas.Int32Dtype(), pa.int64(): pandas.Int64Dtype()}


def _not_fastparquet(kind: pa.DataType) -> bool:
    """Decimals become floats, dates times; nested columns become JSON."""
    return pa.types.is_nested(kind) or pa.types.is_decimal(kind) or pa.types.is_date(kind)


def _by_spark(spark: Spark) -> Iterator[Kind]:
    def write(codec: str, pages: str, encoding: str, rows: pa.Table, path: Path, page_bytes: int) -> None:
        source, target, page_bytes = path.with_suffix(".source"), path.with_suffix(".folder"), max(64, page_bytes)
        pq.write_table(rows, source)
        options = {
            "compression": {"lz4": "lz4_raw"}.get(codec, codec),
            "parquet.writer.version": f"v{pages[0]}",
            "parquet.enable.dictionary": "false" if encoding == "plain" else "true",
            "parquet.page.size": str(page_bytes),
            "parquet.page.size.row.check.min": "5",
            "parquet.page.size.row.check.max": "5",
            "parquet.dictionary.page.size": str(page_bytes if encoding == "turning" else 1024 * 1024),
        }
        told = ", ".join(f"'{key}' = '{value}'" for key, value in options.items())
        spark.sql(f"set spark.sql.parquet.outputTimestampType = {'INT96' if encoding == 'int96' else 'TIMESTAMP_MICROS'}")
        spark.sql(f"insert overwrite directory '{target}' using parquet options ({told}) select * from parquet.`{source}`")
        (file,) = target.glob("part-*.parquet")
        file.rename(path)
        shutil.rmtree(target)
        source.unlink()

    for codec in ("none", "snappy", "zstd", "gzip", "lz4"):
        for pages in ("1.0", "2.0"):
            for encoding in ("dictionary", "plain", "turning", "int96") if codec == "snappy" else ("dictionary",):
                by = functools.partial(write, codec, pages, encoding)
                yield Kind(writer="spark", codec=codec, pages=pages, encoding=encoding, write=by)
