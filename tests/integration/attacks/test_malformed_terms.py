"""Schemas and properties that make no sense end in a sentence, never in a traceback, and change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.delta_tables import HandTable, make_table, table_of
from support.same_rows import FORCED, compacted, tree

import compactor
from compactor.model.run import RunStatus


def with_metadata(folder: Path, change: Callable[[dict[str, Any]], None]) -> HandTable:
    """A table of four files whose metaData is changed afterwards."""
    table = make_table(folder, table_of(n=range(40)), files=4)
    entry = table.log / f"{0:020d}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    change(next(action["metaData"] for action in actions if "metaData" in action))
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    return table


@pytest.mark.parametrize(
    "field",
    [
        {"name": "n"},
        {"type": "long"},
        {"name": 7, "type": "long"},
        {"name": "n", "type": None},
        {"name": "n", "type": {}},
        {"name": "n", "type": {"type": "array"}},
        {"name": "n", "type": {"type": "map", "keyType": "long"}},
        {"name": "n", "type": {"type": "struct"}},
        {"name": "n", "type": {"type": "array", "elementType": {"type": "struct", "fields": ["x"]}}},
        {"name": "n", "type": "long", "metadata": ["x"]},
        "n",
    ],
    ids=json.dumps,
)
def test_a_malformed_schema_is_a_corrupt_table(field: object, tmp_path: Path) -> None:
    """A field without what the protocol asks of it, at any depth: exit code 6, and not one byte changes."""
    schema = json.dumps({"type": "struct", "fields": [field]})
    table = with_metadata(tmp_path / "t", lambda metadata: metadata.update(schemaString=schema))
    before = tree(table.root)
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 6)
    assert "schema" in (run.reason or "")
    assert tree(table.root) == before


@pytest.mark.parametrize("size", ["9223372036854775807", "99999999999999999999999"])
def test_an_absurd_target_size_is_only_large(size: str, tmp_path: Path) -> None:
    """A delta.targetFileSize beyond all files, or beyond 64 bits, makes one file of all."""
    table = with_metadata(tmp_path / "t", lambda metadata: metadata["configuration"].update({"delta.targetFileSize": size}))
    assert compacted(table).files_added == 1
