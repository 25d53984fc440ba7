"""Lawful files that are awkward to read beside each other: every row of them is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import make_table, table_of
from support.golden import GOLDEN_MISSING, oracle
from support.rewriting import job_of, put, rewritten, run
from support.same_rows import compacted

import compactor
from compactor.storage.memory import MemoryStore

WORDS = pa.table({"s": [f"w{i % 7}" for i in range(5000)]})


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0)])
def test_files_with_and_without_dictionaries_go_together(encoding: str, order: tuple[int, ...]) -> None:
    """A file whose texts are delta-encoded, which Arrow cannot read into dictionaries, is merged with files that have dictionaries."""
    store = MemoryStore()
    ways: list[dict[str, object]] = [{}, {"use_dictionary": False, "column_encoding": {"s": encoding}, "data_page_version": "2.0"}]
    inputs = [put(store, f"f{n}", WORDS, **ways[way]) for n, way in enumerate(order)]
    result = rewritten(run(store, job_of(WORDS.schema), inputs))
    rows = [row for output in result.outputs for row in pq.read_table(pa.BufferReader(store.get(output.key)))["s"].to_pylist()]
    assert rows == WORDS["s"].to_pylist() * len(order)


@pytest.mark.parametrize("order", [("a", "a.b", "z"), ("z", "a.b", "a"), ("a.b", "z", "a")])
def test_a_dot_in_a_name_is_no_path(order: tuple[str, ...], tmp_path: Path) -> None:
    """A column `a.b` of files that also hold a struct a with a field b, which the table no longer has, is read as itself."""
    table = make_table(tmp_path / "t", table_of(**{"a.b": range(40)}), files=4)
    actions = [json.loads(line) for line in (table.log / f"{0:020d}.json").read_text().splitlines()]
    for add in (action["add"] for action in actions if "add" in action):
        target = table.root / add["path"]
        numbers = pq.read_table(target)["a.b"]
        columns = {"a.b": numbers, "a": pa.array([{"b": -1, "c": 2}] * len(numbers)), "z": pa.array([-2] * len(numbers))}
        pq.write_table(pa.table({name: columns[name] for name in order}), target)
        add["size"] = target.stat().st_size
        table.adds[add["path"], None] = add
    (table.log / f"{0:020d}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    assert compacted(table).rows == 40


@pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))
def test_a_file_that_is_shorter_than_the_log_says_stays_alone(tmp_path: Path) -> None:
    """A size in the log far beyond the object's is damage of that one file: the others are compacted, and the run says which it was."""
    table = make_table(tmp_path / "t", table_of(n=range(80), p=["a", "b"] * 40), files=8, partition_by=["p"])
    entry = table.log / f"{0:020d}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    wrong = next(action["add"] for action in actions if "add" in action)
    wrong["size"] = 10**12
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    before = oracle.ref_rows(table.uri)
    run = compactor.run(table.uri, settings=compactor.Settings(executor="serial"))
    assert run.exit_code == 6, run.reason
    assert wrong["path"] in {drop.file for drop in run.groups_dropped}
    assert run.files_removed >= 7
    assert oracle.ref_rows(table.uri) == before
