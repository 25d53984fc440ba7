"""A reader of Delta tables as small as the worlds here allow: JSON entries from version 0, files with deletion vectors in the log or in
files of their own, string partitions. Written from the protocol's public text; shares no code with the compactor.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pyarrow.parquet as pq
from pyroaring import BitMap64
from support.delta_tables import Z85, encode_z85, vector_bytes

from compactor.storage.base import ObjectStore

Row = tuple[Any, ...]
"""id, note, partition; then the other columns that have a value, by physical name, each as a pair of name and value."""
LOG = "_delta_log/"
CARELESS = "delta-rs:py-1.6.6"


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
    """Apply one version's actions to the live files (path in the log -> add). Raises AssertionError for what no writer may do.

    Only a writer that is known for it may remove files that are not live, which has no effect.
    """
    removed, added, careless = [], [], False
    for action in entry:
        careless |= str(action.get("commitInfo", {}).get("engineInfo", "")).startswith(CARELESS)
        if "remove" in action:
            removed.append(action["remove"])
        if "add" in action:
            added.append(action["add"])
    for remove in removed:
        path = remove["path"]
        if careless and path not in live:
            continue
        assert path in live, f"{path} is removed but is not live"
        assert vector_of(remove) == vector_of(live[path]), f"{path} is removed with other deletes than it is live with"
        del live[path]
    for add in added:
        assert add["path"] not in live, f"{add['path']} is added twice"
        live[add["path"]] = add


@dataclass(frozen=True, slots=True)
class State:
    """A version. live: path as in the log -> its add; more: physical names and types of the columns besides id, note and p."""

    version: int
    live: dict[str, Mapping[str, Any]]
    metadata: Mapping[str, Any]
    more: Columns


Columns = tuple[tuple[str, str], ...]


def state_at(store: ObjectStore, version: int) -> State:
    """A version, read from the beginning."""
    live: dict[str, Mapping[str, Any]] = {}
    metadata: Mapping[str, Any] = {}
    for number in range(version + 1):
        entry = list(actions(store, number))
        replay(live, iter(entry))
        metadata = next((action["metaData"] for action in entry if "metaData" in action), metadata)
    return State(version, live, metadata, columns_of(metadata))


def columns_of(metadata: Mapping[str, Any]) -> Columns:
    """Physical names and types of the columns besides id, note and p."""
    fields = json.loads(metadata["schemaString"])["fields"]
    named = [(field["metadata"].get("delta.columnMapping.physicalName", field["name"]), field["type"]) for field in fields]
    return tuple(pair for pair in named if pair[0] not in ("id", "note", "p"))


def live_files(store: ObjectStore, version: int) -> dict[str, Mapping[str, Any]]:
    """Live files of a version: path as in the log -> its add."""
    live: dict[str, Mapping[str, Any]] = {}
    for number in range(version + 1):
        replay(live, actions(store, number))
    return live


def vector_of(action: Mapping[str, Any]) -> str | None:
    """The deletion vector of a file action as the log has it."""
    vector = action.get("deletionVector")
    return vector["pathOrInlineDv"] if vector else None


def vector_key(action: Mapping[str, Any]) -> str | None:
    """The key of the file that holds the deletion vector of a file action; None where it has none, or has it in the log."""
    vector = action.get("deletionVector")
    if not vector or vector["storageType"] == "i":
        return None
    assert vector["storageType"] == "u", "no other vectors are written here"
    return f"deletion_vector_{UUID(bytes=_from_z85(vector['pathOrInlineDv']))}.bin"


def keys_of(action: Mapping[str, Any]) -> list[str]:
    """The objects that a file action names."""
    vector = vector_key(action)
    return [unquote(action["path"]), *([] if vector is None else [vector])]


def deleted(store: ObjectStore, add: Mapping[str, Any]) -> frozenset[int]:
    """Positions of the deleted rows of a file. Raises AssertionError when a vector is not what its descriptor says."""
    vector = add.get("deletionVector")
    if not vector:
        return frozenset()
    if vector["storageType"] == "i":
        data = _from_z85(vector["pathOrInlineDv"])[: vector["sizeInBytes"]]
    else:
        file, at = bytes(store.get(vector_key(add) or "")), vector["offset"]
        data = file[at + 4 : at + 4 + vector["sizeInBytes"]]
        assert file[:1] == b"\x01" and file[at : at + 4] == len(data).to_bytes(4, "big"), "a deletion vector is framed wrongly"
        assert file[at + 4 + len(data) :][:4] == zlib.crc32(data).to_bytes(4, "big"), "a deletion vector has another checksum"
    found = frozenset(BitMap64.deserialize(data[4:]))
    assert len(found) == vector["cardinality"], "a deletion vector holds another number of rows than the log says"
    return found


def _from_z85(text: str) -> bytes:
    words = [sum(Z85.index(c) * 85 ** (4 - i) for i, c in enumerate(text[at : at + 5])) for at in range(0, len(text), 5)]
    return b"".join(word.to_bytes(4, "big") for word in words)


def vector_for(positions: frozenset[int]) -> dict[str, Any]:
    """The field that gives a file these deleted rows; none where there are none."""
    if not positions:
        return {}
    data = vector_bytes(positions)
    text = encode_z85(data + b"\0" * (-len(data) % 4))
    return {"deletionVector": {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(positions)}}


class Vanished(AssertionError):
    """A file that is live is not there."""


_HELD = {"string": ("string", "large_string"), "integer": ("int32",), "long": ("int32", "int64")}
"""How values of a column may be held in files, by the column's type."""


def rows_of_file(store: ObjectStore, path: str, add: Mapping[str, Any], more: Columns = ()) -> list[Row]:
    """Rows of one file that are not deleted, as a table with these further columns shows them.

    Raises AssertionError when its size, its row count or the type of a column is not what the log says.
    """
    if store.head(unquote(path)) is None:
        raise Vanished(f"{path} is live and does not exist")
    data = bytes(store.get(unquote(path)))
    assert len(data) == add["size"], f"{path} has {len(data)} bytes, the log says {add['size']}"
    table = pq.read_table(io.BytesIO(data))
    assert table.num_rows == json.loads(add["stats"])["numRecords"], f"{path} has {table.num_rows} rows, not what its statistics say"
    partition = add["partitionValues"]["p"]
    gone = deleted(store, add)
    assert max(gone, default=-1) < table.num_rows, f"{path} has deleted rows beyond its end"
    rows: list[Row] = [(i, note, partition) for i, note in zip(table["id"].to_pylist(), table["note"].to_pylist(), strict=True)]
    for name, kind in sorted(more):
        if name in table.column_names:
            assert str(table[name].type) in _HELD[kind], f"{path} holds {table[name].type} in the column {name}, which is {kind}"
            rows = [row if value is None else (*row, (name, value)) for row, value in zip(rows, table[name].to_pylist(), strict=True)]
    return [row for at, row in enumerate(rows) if at not in gone]
