"""Small files that are merged page by page: what may be, what comes out, and what readers that share no code with us make of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rewriting as kit
from unit.rewriting.test_stitch import COLUMNS, SCHEMA, table

from compactor.ambient import VirtualClock
from compactor.model.engine import EngineChoice
from compactor.model.rewrite import InputFile, RewriteJob, RewriteResult
from compactor.rewriting.native import KERNELS, STATUS
from compactor.rewriting.rewrite import rewrite
from compactor.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
FUSE = EngineChoice(mode="fuse")
DECODE = EngineChoice(mode="transcode")


def job(schema: pa.Schema = SCHEMA, choice: EngineChoice = FUSE, **write: object) -> RewriteJob:
    return replace(kit.job_of(schema, **{"statistics": COLUMNS, "compression": "snappy", **write}), engine=choice)


def fused(store: MemoryStore, inputs: list[InputFile], made: RewriteJob | None = None, outputs: int = 1) -> RewriteResult:
    return rewrite(made or job(), kit.task_of(inputs, outputs), store, VirtualClock())


KINDS: list[dict[str, object]] = [
    {"compression": "snappy", "write_page_index": True},
    {"compression": "snappy", "use_dictionary": False},
    {"compression": "zstd", "data_page_version": "2.0"},
    {"compression": "gzip", "row_group_size": 300, "data_page_size": 500},
    {"compression": "none", "write_statistics": False},
    {"compression": "lz4", "use_dictionary": False, "data_page_version": "2.0"},
    {"compression": "snappy", "dictionary_pagesize_limit": 300, "data_page_size": 200},
    {"compression": "snappy", "use_dictionary": False, "column_encoding": {"id": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"}},
    {"compression": "snappy", "use_dictionary": False, "column_encoding": {"x": "BYTE_STREAM_SPLIT", "raw": "DELTA_LENGTH_BYTE_ARRAY"}},
]


def inputs_of(store: MemoryStore, rows: int = 700) -> list[InputFile]:
    return [kit.put(store, f"in-{i}.parquet", table(i * rows, rows), **kind) for i, kind in enumerate(KINDS)]


@pytest.mark.parametrize("codec", ["snappy", "zstd", "none"])
def test_every_row_comes_out_as_it_was_in_order(codec: str) -> None:
    """Files of several codecs, page versions and encodings become one row group, which holds their rows in their order."""
    store = MemoryStore()
    result = fused(store, inputs_of(store), job(compression=codec))
    assert (result.engine, result.proof, result.decoded) == ("fuse", "full", ())
    assert kit.read_back(store, result).equals(table(0, 700 * len(KINDS)))
    (output,) = result.outputs
    footer = pq.read_metadata(pa.BufferReader(store.get(output.key)))
    assert footer.num_row_groups == 1
    assert footer.created_by.startswith("lakehouse-compactor version ")


def test_statistics_for_the_log_are_those_of_the_rows() -> None:
    """What is said of each column is what is said when every value is decoded, and its footer says the same as one of Arrow's writer."""
    store = MemoryStore()
    files = inputs_of(store)
    told, expected = (fused(store, files, job(choice=choice)).outputs[0] for choice in (FUSE, DECODE))
    assert {found.path: found for found in told.statistics} == {found.path: found for found in expected.statistics}


def test_an_empty_footer_is_made_without_pandas() -> None:
    """Worker processes do without pandas, which Arrow looks for when it makes an array of a list."""
    code = (
        "import sys; sys.modules['pandas'] = None; import pyarrow as pa; from compactor.model.rewrite import WriteSpec; "
        "from compactor.rewriting.arrow_writer import empty_footer; empty_footer(pa.schema([('a', pa.int64())]), WriteSpec())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
