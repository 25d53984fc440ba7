"""Merged files, read by readers that share no code with us: row for row what Arrow reads from their inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rewriting as kit
from support.merged_files import coming_again
from support.parquet_readers import READERS
from unit.rewriting.test_fuse import KINDS, fused, job, pytestmark, table

from compactor.model.plan import FileKey
from compactor.storage.memory import MemoryStore

__all__ = ["pytestmark"]


PLAIN_TYPES = ["id", "x", "s", "at", "flag", "price", "tags", "place"]
DELTAS = {"id": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "x": "BYTE_STREAM_SPLIT"}
SHAPES: dict[str, list[dict[str, object]]] = {
    "one dictionary": [{}],
    "values that are their dictionaries": [{"write_statistics": False}, {}],
    "PLAIN": [{"use_dictionary": False}, {"use_dictionary": False, "data_page_version": "2.0"}],
    "dictionary, then PLAIN": [{"dictionary_pagesize_limit": 4000, "data_page_size": 4000}],
    "deltas": [
        {"use_dictionary": False, "column_encoding": {"id": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "x": "BYTE_STREAM_SPLIT"}}
    ],
    "every kind": KINDS,
}


@pytest.mark.parametrize("codec", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_reader_reads_the_same_rows(shape: str, codec: str, tmp_path: Path) -> None:
    """Readers that share no code with us read from a merged file what Arrow read from its inputs, row for row, also by its indexes."""
    store = MemoryStore()
    rows = rows_of(shape)
    parts = [rows.slice(i * 6000, 6000) for i in range(4)]
    kinds = SHAPES[shape] * 4
    inputs = [kit.put(store, f"in-{i}.parquet", part, **{"compression": codec, **kinds[i]}) for i, part in enumerate(parts)]
    result = fused(store, inputs, job(compression=codec))
    assert (result.engine, result.decoded) == ("fuse", ())
    path = tmp_path / "merged.parquet"
    path.write_bytes(store.get(result.outputs[0].key))
    for name, reader in READERS.items():
        if (name, shape) != ("fastparquet", "deltas"):  # large pages stay as they are, and it knows no DELTA_BYTE_ARRAY
            reader.check(path, rows.select(PLAIN_TYPES))
    assert duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE id BETWEEN 7000 AND 7004").fetchall() == [(5,)]


def test_every_reader_reads_values_that_come_again(tmp_path: Path) -> None:
    """Where some values of a file come again, near or far behind, their compressed pages are read by all as what they are."""
    path, rows = coming_again(tmp_path)
    for reader in READERS.values():
        reader.check(path, rows)


def test_differences_that_some_readers_refuse_do_not_reach_rows_of_others(tmp_path: Path) -> None:
    """DuckDB tells differences of 32-bit numbers in more bits than Arrow reads; among pages of other files every reader reads them."""
    ends = [(row * row * 2_654_435_761 + row) % 2**32 - 2**31 for row in range(18_000)]
    rows = pa.table({"id": range(18_000), "number": pa.array(ends, pa.int32())})
    source = tmp_path / "source.parquet"
    duckdb.sql(f"COPY (SELECT * FROM rows WHERE id >= 9000) TO '{source}' (FORMAT parquet, COMPRESSION snappy, PARQUET_VERSION v2)")
    with pytest.raises(OSError, match=r"."):
        pq.read_table(source)
    store = MemoryStore()
    inputs = [kit.put(store, "in-0.parquet", rows.slice(0, 9000), compression="snappy")]
    store.put("in-1.parquet", source.read_bytes())
    inputs.append(replace(inputs[0], file=FileKey(path="in-1.parquet"), key="in-1.parquet", size_bytes=source.stat().st_size))
    result = fused(store, inputs, job(rows.schema, statistics=()))
    assert (result.engine, result.decoded) == ("fuse", ())
    path = tmp_path / "merged.parquet"
    path.write_bytes(store.get(result.outputs[0].key))
    for reader in READERS.values():
        reader.check(path, rows)


def rows_of(shape: str) -> pa.Table:
    """Rows with a column of text that is unique, or repeats where one dictionary is to be made."""
    rows = table(0, 4 * 6000)
    text = [f"text {i % 900 if shape == 'one dictionary' else i * 7919 % 100_003}" for i in range(len(rows))]
    return rows.set_column(rows.column_names.index("s"), "s", pa.array(text))
