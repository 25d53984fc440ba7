"""Files that are tiny until they are decoded: encodings that hide sizes may not take a group far beyond the memory it was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest
from support.rewriting import MIB, job_of, put, rewritten, task_of

from compactor.ambient import VirtualClock
from compactor.execution.worker import run_task
from compactor.model.rewrite import StatisticsColumn
from compactor.storage.memory import MemoryStore

PROMISED = 64 * MIB
_POOLS: list[pa.MemoryPool] = []
"""Kept for ever: what was allocated from a pool may outlive the test, but not the pool."""


def counted(parent: pa.MemoryPool) -> pa.MemoryPool:
    """A pool over `parent` with a peak of its own, which Arrow takes from now on."""
    _POOLS.append(pa.proxy_memory_pool(parent))
    pa.set_memory_pool(_POOLS[-1])
    return _POOLS[-1]


@pytest.fixture
def pool() -> Iterator[pa.MemoryPool]:
    """Arrow's memory of one test, with a peak of its own."""
    before = pa.default_memory_pool()
    yield counted(before)
    pa.set_memory_pool(before)


def lists_of_zeros() -> tuple[pa.Table, dict[str, object]]:
    """800 rows of lists, 240 MB of zeros: a few kilobytes of run lengths."""
    offsets = pa.array(np.arange(0, 30_000_001, 37_500, dtype=np.int32))
    return pa.table({"y": pa.ListArray.from_arrays(offsets, pa.array(np.zeros(30_000_000, np.int64)))}), {}


def long_common_prefixes() -> tuple[pa.Table, dict[str, object]]:
    """3000 texts of 100 kB, of which only the last bytes are stored."""
    start = "x" * 100_000
    table = pa.table({"y": pa.chunked_array([pa.array([f"{start}{i:06d}" for i in range(k, k + 500)]) for k in range(0, 3000, 500)])})
    return table, {"use_dictionary": False, "column_encoding": {"y": "DELTA_BYTE_ARRAY"}}


def repeated_bytes() -> tuple[pa.Table, dict[str, object]]:
    """60 000 times one of two values of 5 kB, in a dictionary page."""
    values = pa.array([b"a" * 5000, b"b" * 5000], pa.binary())
    return pa.table({"y": pa.DictionaryArray.from_arrays(pa.array(np.arange(60_000, dtype=np.int32) % 2), values)}), {}


def repeated_texts() -> tuple[pa.Table, dict[str, object]]:
    """The same as texts, whose bounds are too long for a footer."""
    values = pa.array(["a" * 5000, "b" * 5000])
    return pa.table({"y": pa.DictionaryArray.from_arrays(pa.array(np.arange(60_000, dtype=np.int32) % 2), values)}), {}


@pytest.mark.parametrize("make", [lists_of_zeros, long_common_prefixes, repeated_bytes, repeated_texts])
def test_memory_is_kept_although_the_footer_hides_sizes(
    make: Callable[[], tuple[pa.Table, dict[str, object]]], pool: pa.MemoryPool
) -> None:
    """Hundreds of megabytes that come out of a file of a few kilobytes are rewritten within about the memory promised."""
    table, options = make()
    kind = table.schema.field("y").type
    schema = pa.schema([("y", kind.value_type if pa.types.is_dictionary(kind) else kind)])
    store = MemoryStore()
    job = job_of(schema, statistics=(StatisticsColumn(path=("y",), bounds=pa.types.is_string(schema.field(0).type)),))
    task = task_of([put(store, "f", table, **options)], memory_bytes=PROMISED)
    rows = table.num_rows
    del table
    held = pool.bytes_allocated()
    peaks = counted(pool)
    result = rewritten(run_task(job, task, store, VirtualClock()))
    assert result.input_rows == rows
    assert held + peaks.max_memory() < 2 * PROMISED
