"""The standing matrix: readers that share no code with us, by writers, codecs, page versions and encodings of what was merged.

Spark, which takes long to start, has its part in tests/spark/test_merged_files.py.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.merged_files import OUTPUT_CODECS, PAGE_BYTES, merged
from support.parquet_pages import pages, turns
from support.parquet_readers import READERS
from support.parquet_writers import Kind, kinds

from compactor.rewriting.native import KERNELS, STATUS

pytestmark = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
KINDS = list(kinds())
WRITERS = sorted({kind.writer for kind in KINDS})


def against(kind: Kind) -> str | None:
    """What stands against merging files of this kind; None: nothing."""
    if kind.writer == "fastparquet" and kind.codec == "lz4":
        return "LZ4 in Hadoop's framing"
    if kind.writer == "fastparquet" and kind.pages == "1.0":
        return "values of a page do not add up to its size"  # it leaves eight bytes behind them
    return None


@pytest.mark.parametrize("writer", WRITERS)
def test_every_reader_reads_what_was_merged_from_files_of_every_kind(writer: str, tmp_path: Path) -> None:
    """From a file merged of each kind of a writer's files, and of what had to be decoded instead, every reader reads the inputs' rows."""
    for i, kind in enumerate(kind for kind in KINDS if kind.writer == writer):
        path, rows, decoded = merged(kind, OUTPUT_CODECS[i % len(OUTPUT_CODECS)], tmp_path)
        reason = against(kind)
        assert bool(decoded) == (reason is not None), (kind.name, decoded)
        assert reason is None or reason in decoded[0], (kind.name, decoded)
        for name, reader in READERS.items():
            try:
                reader.check(path, rows)
            except AssertionError as wrong:
                raise AssertionError(f"{name} of {kind.name}: {wrong}") from wrong


def test_no_chunk_of_a_merged_file_goes_from_a_dictionary_to_plain_values(tmp_path: Path) -> None:
    """Where inputs' chunks begin with a dictionary and go on without, the merged chunk either has one for all its pages or none."""
    turning = [kind for kind in KINDS if kind.encoding == "turning" and kind.codec == "snappy"]
    assert {kind.writer for kind in turning} == {"pyarrow", "deltalake"}
    for kind in turning:
        path, rows, _ = merged(kind, "snappy", tmp_path)
        kind.write(rows, tmp_path / "source.parquet", PAGE_BYTES)
        source, data = (tmp_path / "source.parquet").read_bytes(), path.read_bytes()
        columns = range(pq.read_metadata(path).num_columns)
        assert any(turns(pages(source, i)) for i in columns), f"{kind.name} does not turn"
        assert not any(turns(pages(data, i)) for i in columns), kind.name
