"""Own tables whose files come from different writers and in different encodings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from support.delta_tables import HandTable, make_table, write_with_deltalake
from support.own_tables.registry import add_file, commit_files, own, own_each
from support.own_tables.types import extremes

CODECS = ("snappy", "zstd", "gzip", "brotli", "lz4", "none")


def words(n: int = 4000) -> pa.Table:
    """Repeating text and numbers, in some row groups' worth."""
    return pa.table(
        {
            "n": pa.array(range(n), pa.int64()),
            "s": [None if i % 11 == 0 else f"word {i % 37}" for i in range(n)],
            "x": [i % 97 / 8 for i in range(n)],
        }
    )


def _of(root: Path, *files: tuple[pa.Table, dict[str, Any]]) -> HandTable:
    table = make_table(root, words(1).slice(0, 0))
    return commit_files(table, *(add_file(table, rows, **how) for rows, how in files))


@own()
def files_of_every_codec(root: Path) -> HandTable:
    return _of(root, *((words(500), {"compression": codec}) for codec in CODECS))


@own_each(**{codec: {"codec": codec} for codec in ("snappy", "zstd", "gzip", "lz4_raw", "uncompressed", "none")})
def property_of_codec(root: Path, codec: str) -> HandTable:
    return make_table(root, words(60), files=3, properties={"delta.parquet.compression.codec": codec})


@own_each(v1={"version": "1.0.0"}, v2={"version": "2.12.0"})
def property_of_pages(root: Path, version: str) -> HandTable:
    return make_table(root, words(60), files=3, properties={"delta.parquet.format.version": version})


@own()
def files_of_every_page_form(root: Path) -> HandTable:
    rows = words()
    plain = {"use_dictionary": False}
    return _of(
        root,
        (rows, {"data_page_version": "2.0", "row_group_size": 333}),
        (rows, {"data_page_version": "1.0", "use_dictionary": False}),
        (rows, {"data_page_size": 200, "write_page_checksum": True, "write_page_index": True}),
        (rows, {"dictionary_pagesize_limit": 100, "write_batch_size": 7}),
        (
            rows,
            {**plain, "column_encoding": {"n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "x": "BYTE_STREAM_SPLIT"}, "version": "2.6"},
        ),
        (rows, {**plain, "column_encoding": {"s": "DELTA_LENGTH_BYTE_ARRAY"}, "store_schema": False, "write_statistics": False}),
    )


@own()
def files_of_other_arrow_types(root: Path) -> HandTable:
    """Files that say in their metadata to be read as views, large text or dictionaries."""
    rows = words(300)
    kinds = (pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string()))
    return _of(root, *((rows.set_column(1, "s", rows["s"].cast(kind)), {}) for kind in kinds))


@own()
def files_without_statistics(root: Path) -> HandTable:
    return _of(root, *((words(50), {"stats": False, "write_statistics": False}) for _ in range(3)))


@own()
def written_by_deltalake(root: Path) -> None:
    rows = extremes()
    write_with_deltalake(root, [rows.slice(i, 2) for i in range(0, rows.num_rows, 2)])


@own()
def written_by_polars(root: Path) -> HandTable:
    import polars

    table = make_table(root, words(1).slice(0, 0))
    adds = []
    for i in range(3):
        add = add_file(table, words(1))
        target = table.root / add["path"]
        polars.DataFrame(words(200 + i)).write_parquet(target, row_group_size=64)
        adds.append(_resized(add, target, 200 + i))
    return commit_files(table, *adds)


@own()
def written_by_duckdb(root: Path) -> HandTable:
    import duckdb

    table = make_table(root, words(1).slice(0, 0))
    adds = []
    for i in range(3):
        add = add_file(table, words(1))
        target = table.root / add["path"]
        with duckdb.connect() as session:
            session.register("given", words(300 + i))
            session.execute(f"copy given to '{target}' (format parquet, compression zstd, parquet_version v2)")
        adds.append(_resized(add, target, 300 + i))
    return commit_files(table, *adds)


def _resized(add: dict[str, Any], target: Path, rows: int) -> dict[str, Any]:
    return {**add, "size": target.stat().st_size, "stats": f'{{"numRecords":{rows}}}'}
