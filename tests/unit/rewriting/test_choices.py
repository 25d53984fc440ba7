"""What is decided from footers and samples: dictionaries, surveys, shares of outputs, requests."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.rewriting import STREAMING, job_of, parquet, put, read_back, rewritten, run, task_of

from compactor.ambient import VirtualClock
from compactor.model.rewrite import ReadSpec, WriteSpec
from compactor.model.survey import RowGroupFacts
from compactor.rewriting.arrow_writer import empty_footer
from compactor.rewriting.budget import divide
from compactor.rewriting.dictionaries import worth_reading, worth_writing
from compactor.rewriting.division import Division
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.footer import survey_files
from compactor.rewriting.parquet_fields import FileMetaData
from compactor.rewriting.physical import field_ids, tree
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.rewrite import rewrite
from compactor.rewriting.row_bytes import Probed
from compactor.storage.counting import CountingStore
from compactor.storage.local import LocalStore
from compactor.storage.memory import MemoryStore

ROWS = 60_000


def mixed() -> pa.Table:
    chance = Random(7)
    return pa.table(
        {
            "unique": range(ROWS),
            "few": [i % 10 for i in range(ROWS)],
            "some": [chance.randrange(20_000) for _ in range(ROWS)],
            "text": [f"name {i % 50}" for i in range(ROWS)],
            "long": [f"value {i} of many" for i in range(ROWS)],
            "list": [[i % 3, i % 5] for i in range(ROWS)],
            "null": pa.nulls(ROWS, pa.string()),
        }
    )


def test_dictionaries_are_written_where_values_repeat() -> None:
    """Columns that repeat their values get a dictionary, unique ones do not; leaves of lists are judged by themselves."""
    chosen = set(worth_writing(pa.concat_tables([mixed().slice(i, 6000) for i in range(0, ROWS, 6000)])))
    assert {"few", "some", "text", "list.list.element", "null"} <= chosen
    assert not chosen & {"unique", "long"}


def test_strings_are_read_as_dictionaries_where_the_footer_shows_small_ones() -> None:
    """Only string columns whose chunks are smaller than plain strings could be."""
    table = mixed()
    assert worth_reading(table.schema, pq.read_metadata(pa.BufferReader(parquet(table)))) == {"text", "null"}
    assert worth_reading(table.schema, pq.read_metadata(pa.BufferReader(parquet(table, use_dictionary=False)))) == frozenset()


def test_a_survey_reads_footers_only() -> None:
    """One request a file unless its footer is large, for its end and nothing else; a file that is no Parquet is left out."""
    store = CountingStore(MemoryStore())
    file = put(store, "a", mixed(), row_group_size=25_000)
    store.put("broken", b"not parquet")
    survey = survey_files(store, [("a%20path", "a", file.size_bytes), ("broken", "broken", 11)], ReadSpec(schema=pa.schema([])))
    facts = survey.files["a%20path"]
    assert list(survey.files) == ["a%20path"]
    assert store.counts()["get_ranges"].calls == survey.requests - 1  # of the one that is no Parquet two are counted
    assert store.counts()["get_ranges"].bytes <= 64 * 1024 + 11 < file.size_bytes
    assert [group.rows for group in facts.row_groups] == [25_000, 25_000, 10_000]
    assert all(isinstance(group, RowGroupFacts) and 0 < group.compressed_bytes <= group.uncompressed_bytes for group in facts.row_groups)
    assert 0 < facts.largest_chunk_bytes < facts.row_groups[0].compressed_bytes


def test_a_large_footer_takes_a_second_request() -> None:
    """A footer beyond the first guess is fetched exactly."""
    store = MemoryStore()
    file = put(store, "wide", pa.table({f"column {i}": [i] for i in range(2000)}))
    survey = survey_files(store, [("wide", "wide", file.size_bytes)], ReadSpec(schema=pa.schema([])))
    assert (len(survey.files), survey.requests) == (1, 2)


@settings(max_examples=1000)
@example(files=[(1, 5), (1000, 0), (1, 5)], outputs=2)
@given(files=st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 50)), min_size=1, max_size=8), outputs=st.integers(1, 9))
def test_shares_are_even_and_none_is_empty(files: list[tuple[int, int]], outputs: int) -> None:
    """Every row goes to one output, in order; no output is empty; one file is divided into rows that differ by one at most."""
    division = Division(sum(size for size, _ in files), outputs)
    shares, current = [], 0
    for size, rows in files:
        division.next_file(size, rows)
        while rows:
            taken, full = division.take(rows)
            assert 0 <= taken <= rows
            rows -= taken
            current += taken
            if full:
                shares.append(current)
                current = 0
    shares += [current] if current else []
    assert all(shares)
    assert len(shares) <= outputs
    assert sum(shares) == sum(rows for _, rows in files)
    if len(files) == 1 and files[0][1] >= outputs:
        assert len(shares) == outputs
        assert max(shares) - min(shares) <= 1


def test_small_files_take_one_request_each_and_large_ones_are_ranges() -> None:
    """A file whose size the log tells is one GET; one beyond the bound is read by ranges, in the order of the inputs."""
    store = MemoryStore()
    inputs = [put(store, f"f{i}", pa.table({"a": range(10)})) for i in range(40)]
    fetcher = Fetcher(inputs, store, divide(64 * 1024 * 1024))
    fetched = list(fetcher)
    assert [item.index for item in fetched] == list(range(40))
    assert (fetcher.requests, fetcher.bytes_read) == (40, sum(file.size_bytes for file in inputs))
    assert all(isinstance(item.source, RangedFile) for item in Fetcher(inputs, store, STREAMING))


@pytest.mark.parametrize("streaming", [False, True])
def test_threads_on_a_disk_keep_the_order(tmp_path: Path, streaming: bool) -> None:
    """With fetching and encoding in threads the rows are the same, and in order."""
    store = LocalStore(str(tmp_path))
    table = mixed()
    inputs = [put(store, f"f{i}", table.slice(i * 6000, 6000)) for i in range(10)]
    job = job_of(table.schema, compression="snappy", row_group_rows=7000)
    result = rewrite(job, task_of(inputs, 3), store, VirtualClock(), STREAMING if streaming else None)
    assert read_back(store, result).equals(table)
    assert len(result.outputs) == 3


def test_repeated_long_values_do_not_swell_batches() -> None:
    """Long values behind a dictionary page show in no footer; a probe of them bounds the batches."""
    store = MemoryStore()
    table = pa.table({"a": range(20_000), "s": pa.array([b"x" * 3000, b"y" * 3000] * 10_000)})
    result = rewritten(run(store, job_of(table.schema, compression="snappy"), [put(store, "f", table)]))
    footer = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key)))
    assert footer.num_row_groups >= 4
    assert read_back(store, result).equals(table)


@pytest.mark.parametrize("memory_mib", [16, 64, 300, 1024, 65536])
def test_what_is_spare_is_beside_all_that_is_planned_for(memory_mib: int) -> None:
    """A file may be misjudged by what is spare and no more: fetched bytes, batches and row groups have their own share."""
    memory_bytes = memory_mib * 1024 * 1024
    budget = divide(memory_bytes)
    assert budget.spare == 0 or budget.spare + max(budget.fetch, budget.stream) + 2 * budget.batch + 4 * budget.row_group < memory_bytes


def test_a_file_like_one_that_was_probed_is_taken_to_be_like_it() -> None:
    """A probe answers for files whose footers allow about as much; one that allows more is looked into itself."""
    probed = Probed()
    assert probed.recall(100.0) is None
    probed.learn(100.0, 7.0)
    assert (probed.recall(100.0), probed.recall(140.0), probed.recall(200.0)) == (7.0, 7.0, None)
    probed.learn(300.0, 3.0)
    assert probed.recall(300.0) == 7.0


def test_kept_footers_are_those_of_their_very_schema() -> None:
    """Schemas that differ in field ids only, which Arrow calls equal, have footers of their own."""
    schemas = [pa.schema([pa.field("a", pa.int64(), metadata={"PARQUET:field_id": name})]) for name in ("1", "2", "1")]
    assert schemas[0] == schemas[1]
    found = [tree(empty_footer(schema, WriteSpec()).structs(FileMetaData.SCHEMA)) for schema in schemas]
    assert [field_ids(nodes) for nodes in found] == [[1], [2], [1]]
