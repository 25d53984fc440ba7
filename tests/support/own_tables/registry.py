"""The registry of the project's own small tables: a name, a builder, and what must become of the table."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from support.delta_tables import Action, HandTable, make_table, table_of

Ending = Literal["rewritten identical", "nothing to do", "refused"]
Build = Callable[[Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """One table: `build` makes it in a folder that does not exist yet. why: what the reason of a refusal or of doing nothing must hold."""

    name: str
    build: Build
    ending: Ending = "rewritten identical"
    why: str = ""
    left: int = 0
    """Files that must be left as they are, each for a reason."""


OWN_TABLES: dict[str, OwnTable] = {}


def own(ending: Ending = "rewritten identical", why: str = "", *, left: int = 0) -> Callable[[Build], Build]:
    """Register a builder under its function's name."""

    def note(build: Build) -> Build:
        name = build.__name__.replace("_", "-")
        assert name not in OWN_TABLES, f"two tables are called {name}"
        OWN_TABLES[name] = OwnTable(name=name, build=build, ending=ending, why=why, left=left)
        return build

    return note


def own_each(**variants: Mapping[str, Any]) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a builder several times, with these arguments."""

    def note(build: Callable[..., object]) -> Callable[..., object]:
        for variant, arguments in variants.items():
            name = f"{build.__name__}_{variant}".replace("_", "-")
            OWN_TABLES[name] = OwnTable(name=name, build=lambda root, arguments=arguments: build(root, **arguments))  # type: ignore[misc]
        return build

    return note


def plain(root: Path, **more: Any) -> HandTable:
    """Twenty rows of integers, text and floats in four files."""
    rows = table_of(n=range(20), s=[None if i % 6 == 0 else f"text {i}" for i in range(20)], x=[i / 4 for i in range(20)])
    return make_table(root, rows, **{"files": 4, **more})


def add_file(
    table: HandTable,
    stored: pa.Table,
    *,
    partition: Mapping[str, str | None] | None = None,
    folder: str = "",
    stats: bool = True,
    name: str | None = None,
    **parquet: Any,
) -> Action:
    """Write `stored` as it is to a file below the table's root; its add, which is not committed."""
    file_name = f"{folder}{name or f'part-00000-{uuid.uuid4()}.parquet'}"
    target = table.root / file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(stored, target, **parquet)
    add: Action = {
        "path": quote(file_name, safe="/=-._~"),
        "partitionValues": dict(partition or {}),
        "size": target.stat().st_size,
        "modificationTime": table.tick(),
        "dataChange": True,
    }
    if stats:
        add["stats"] = json.dumps({"numRecords": stored.num_rows})
    return add


def resized(add: Action, target: Path) -> Action:
    """The add after another writer has replaced the file."""
    return {**add, "size": target.stat().st_size}


def commit_files(table: HandTable, *adds: Action) -> HandTable:
    """Commit these adds; returns the table."""
    table.commit([{"add": add} for add in adds])
    return table


def no_rows(**columns: pa.DataType) -> pa.Table:
    """A table of no rows, for its schema."""
    return pa.schema(list(columns.items())).empty_table()


def alter(table: HandTable, change: Callable[[list[Action]], None], **properties: str) -> None:
    """Commit new metadata after `change` has worked on the fields of the schema; the table's own fields follow."""
    change(table.fields)
    schema = json.dumps({"type": "struct", "fields": table.fields})
    table.metadata = {**table.metadata, "schemaString": schema, "configuration": {**table.metadata["configuration"], **properties}}
    table.commit([{"metaData": table.metadata}], "CHANGE COLUMN")
