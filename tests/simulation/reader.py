"""A reader of Delta tables as small as the worlds here allow: JSON entries from version 0, whole files, string partitions. Written from the
protocol's public text; shares no code with the compactor.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from compactor.storage.base import ObjectStore

Row = tuple[int, str, str]
LOG = "_delta_log/"


def entry_key(version: int) -> str:
    return f"{LOG}{version:020d}.json"


def versions(store: ObjectStore) -> list[int]:
    """Versions whose entries are there, ascending."""
    names = (item.key.removeprefix(LOG) for item in store.list(LOG))
    return sorted(int(name.removesuffix(".json")) for name in names if name.endswith(".json") and len(name) == 25)


def newest_version(store: ObjectStore) -> int:
    return versions(store)[-1]


def actions(store: ObjectStore, version: int) -> Iterator[dict[str, Any]]:
    """The actions of one version."""
    return (json.loads(line) for line in bytes(store.get(entry_key(version))).decode().splitlines() if line)


def replay(live: dict[str, Mapping[str, Any]], entry: Iterator[dict[str, Any]]) -> None:
    """Apply one version's actions to the live files (path in the log -> add). Raises AssertionError for what no writer may do."""
    removed, added = [], []
    for action in entry:
        if "remove" in action:
            removed.append(action["remove"]["path"])
        if "add" in action:
            added.append(action["add"])
    for path in removed:
        assert path in live, f"{path} is removed but is not live"
        del live[path]
    for add in added:
        assert add["path"] not in live, f"{add['path']} is added twice"
        live[add["path"]] = add


def live_files(store: ObjectStore, version: int) -> dict[str, Mapping[str, Any]]:
    """Live files of a version: path as in the log -> its add."""
    live: dict[str, Mapping[str, Any]] = {}
    for number in range(version + 1):
        replay(live, actions(store, number))
    return live


def rows_of_file(store: ObjectStore, path: str, add: Mapping[str, Any]) -> list[Row]:
    """Rows of one file. Raises AssertionError when its size or row count is not what the log says."""
    assert store.head(unquote(path)) is not None, f"{path} is live and does not exist"
    data = bytes(store.get(unquote(path)))
    assert len(data) == add["size"], f"{path} has {len(data)} bytes, the log says {add['size']}"
    table = pq.read_table(io.BytesIO(data))
    assert table.num_rows == json.loads(add["stats"])["numRecords"], f"{path} has {table.num_rows} rows, not what its statistics say"
    partition = add["partitionValues"]["p"]
    return [(i, note, partition) for i, note in zip(table["id"].to_pylist(), table["note"].to_pylist(), strict=True)]
