"""Reading ahead in a file that is streamed by ranges: the same bytes, no more requests, bounded, and before they are needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rewriting as kit

from compactor.errors import StorageUnavailable
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.rewriting import fetch, ranged
from compactor.rewriting.ahead import Chunk, ReadAhead
from compactor.rewriting.budget import Budget
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.opened import Opener
from compactor.rewriting.transcode import transcode
from compactor.storage.memory import MemoryStore

KIB = 1024
BUDGET = Budget(fetch=1, whole_file=0, batch=64 * KIB, row_group=4096, stream=2048 * KIB)


class Distant(MemoryStore):
    """A store that one has to wait for; remembers what was asked for, how many requests were under way at once, and how many were made
    by the reader itself, when it had to wait for them."""

    uri = "distant://bucket"  # type: ignore[assignment]

    def __init__(self, latency_s: float = 0.0) -> None:
        super().__init__()
        self.latency_s = latency_s
        self.asked: list[tuple[int, int]] = []
        self.most_at_once = self._at_once = self.late = 0
        self._counting = threading.Lock()

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        with self._counting:
            self.asked.extend(ranges)
            self._at_once += 1
            self.late += threading.current_thread() is threading.main_thread()
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.latency_s)
        try:
            return super().get_ranges(key, ranges)
        finally:
            with self._counting:
                self._at_once -= 1


def table(rows: int = 120_000) -> pa.Table:
    rng = np.random.default_rng(1)
    words = pa.array(rng.integers(0, 300, rows).astype(str))
    return pa.table(
        {
            "a": rng.integers(0, 2**60, rows),
            "unwanted": rng.integers(0, 2**60, rows),
            "few": rng.integers(0, 3, rows),
            "word": words,
            "list": pa.array([[i, i + 1] for i in range(rows)], pa.list_(pa.int64())),
        }
    )


def stored(store: MemoryStore, rows: pa.Table, **options: object) -> InputFile:
    return kit.put(store, "x.parquet", rows, **{"row_group_size": 50_000, "compression": "none", "data_page_size": 20 * KIB, **options})


def read(store: MemoryStore, file: InputFile, schema: pa.Schema, budget: Budget = BUDGET) -> tuple[pa.Table, Fetcher]:
    """All rows of the file, streamed."""
    fetcher, opener = Fetcher([file], store, budget), Opener(ReadSpec(schema=schema), store, budget)
    found = []
    for fetched in fetcher:
        opened = opener.open(fetched)
        found = [rows.rows for rows in transcode(opened, range(opened.file.metadata.num_row_groups), budget)]
    return pa.concat_tables(found).unify_dictionaries(), fetcher


def wanted_of(rows: pa.Table) -> pa.Table:
    return rows.drop_columns(["unwanted"])


@pytest.mark.parametrize("page", [2 * KIB, 20 * KIB, 3000 * KIB])
@pytest.mark.parametrize("stream", [512 * KIB, 2048 * KIB, 16_384 * KIB])
def test_no_more_is_asked_for_than_without(monkeypatch: pytest.MonkeyPatch, page: int, stream: int) -> None:
    """The rows are the same, there are no more requests than when each column buffers for itself, no byte is asked for twice, and none
    that is not wanted: the footer first, then within each column chunk from its beginning on."""
    rows, budget = table(), Budget(fetch=1, whole_file=0, batch=64 * KIB, row_group=4096, stream=stream)
    store = Distant()
    file = stored(store, rows, data_page_size=page)
    found, fetcher = read(store, file, wanted_of(rows).schema, budget)
    assert found.cast(wanted_of(rows).schema).equals(wanted_of(rows))
    asked = store.asked
    assert (fetcher.requests, fetcher.bytes_read) == (len(asked), sum(length for _, length in asked))
    assert sum(asked[0]) == file.size_bytes
    metadata = pq.read_metadata(pa.BufferReader(store.get("x.parquet")))
    chunks = [metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)]
    assert sum(length for _, length in asked) <= ranged.TAIL_BYTES + sum(
        chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema != "unwanted"
    )
    ordered = sorted(asked[1:])
    assert all(sum(one) <= other[0] for one, other in pairwise(ordered))
    monkeypatch.setattr(fetch, "in_memory", lambda _store: True)
    store.asked = []
    read(store, file, wanted_of(rows).schema, budget)
    assert len(asked) <= len(store.asked)


def test_what_comes_next_is_under_way() -> None:
    """Several requests are under way at once; even where the bound is a block for each column, half are made before they are needed."""
    rows, store = table(), Distant(0.005)
    file = stored(store, rows)
    read(store, file, wanted_of(rows).schema, replace(BUDGET, stream=1024 * KIB))
    assert store.most_at_once >= 3
    assert len(store.asked) >= 15 and store.late <= len(store.asked) // 2


@pytest.mark.parametrize("columns", [1, 3, 8, 20])
def test_what_is_held_stays_within_the_bound(columns: int) -> None:
    """Read row by row, side by side, blocks that are here and under way never come to more than was allowed, and all bytes are right."""
    block, chunk, page = 64 * KIB, 300 * KIB, 5_000
    data = np.random.default_rng(0).integers(0, 256, 2 * columns * chunk, dtype=np.uint8).tobytes()
    chunks = [Chunk(row_group=i // columns, start=i * chunk, length=chunk) for i in range(2 * columns)]
    most = max(columns * block, 10 * block)
    with ThreadPoolExecutor(4) as pool:
        ahead = ReadAhead(chunks, block, most, pool, lambda start, length: data[start : start + length])
        for group in (0, 1):
            for offset in range(0, chunk, page):
                for column in range(columns):
                    start, length = (group * columns + column) * chunk + offset, min(page, chunk - offset)
                    assert ahead.read(start, length) == data[start : start + length]
                    assert ahead._held() <= most
    assert ahead.requests == 2 * columns * -(-chunk // block) and ahead.bytes_read == len(data)
    assert ahead.peak_bytes <= most + page


def test_a_block_that_was_left_is_fetched_again() -> None:
    """Going back (after a look at the first rows) gives the same bytes; a read across chunks is not for it to answer."""
    data = bytes(range(256)) * 40
    with ThreadPoolExecutor(1) as pool:
        ahead = ReadAhead(
            [Chunk(row_group=0, start=0, length=9_000)], 1_000, 3_000, pool, lambda start, length: data[start : start + length]
        )
        assert ahead.read(0, 2_500) == data[:2_500]
        assert ahead.read(100, 50) == data[100:150]
        assert ahead.read(900, 5_000) == data[900:5_900]
        assert ahead.read(8_990, 20) is None
        assert ahead.read(8_990, 10) == data[8_990:9_000]


def test_an_error_of_the_store_comes_when_the_bytes_are_needed() -> None:
    """What fails ahead of use is raised where it is read, as the store's own error."""
    rows, store = table(), Distant()
    file = stored(store, rows)
    whole = store.get_ranges

    def failing(key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
        if ranges[0][0] > 1_500_000 and sum(ranges[0]) < file.size_bytes:
            raise StorageUnavailable("The store is away.")
        return whole(key, ranges)

    store.get_ranges = failing  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailable, match="is away"):
        read(store, file, wanted_of(rows).schema)


def test_a_file_that_was_read_holds_nothing() -> None:
    """When the next file is taken nothing of the one before is held, its tail included; a group may have thousands."""
    rows, store = table(30_000), Distant()
    file = stored(store, rows)
    fetcher, opener = Fetcher([file, file], store, BUDGET), Opener(ReadSpec(schema=rows.schema), store, BUDGET)
    before: list[ranged.RangedFile] = []
    for fetched in fetcher:
        assert all(old._tail is None and old._ahead is not None and old._ahead._held() == 0 for old in before)
        opened = opener.open(fetched)
        assert sum(part.rows.num_rows for part in transcode(opened, range(opened.file.metadata.num_row_groups), BUDGET)) == 30_000
        assert isinstance(fetched.source, ranged.RangedFile)
        before.append(fetched.source)
    assert fetcher.requests == len(store.asked)
