"""Lawful files that are awkward to read beside each other: every row of them is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import make_table, table_of
from support.rewriting import job_of, put, rewritten, run
from support.same_rows import compacted

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
