"""An independent reader of row ids: every live row with its stable id and commit version, by the protocol's section "Row Tracking".

Shares no code with the compactor: plain JSON, pyarrow and pyroaring. Reads every entry from version 0; local tables only.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pyarrow.parquet as pq
from pyroaring import BitMap64

from support.delta_tables import Z85, HandTable, identity

Tracked = dict[int, tuple[int, tuple[Any, ...]]]
"""Stable row id to commit version and values."""


def tracked_rows(table: HandTable) -> Tracked:
    """Every live row of the newest version by its id; fails when two rows have the same one."""
    live: dict[tuple[str, str | None], dict[str, Any]] = {}
    for path in sorted(table.log.glob("*.json")):
        actions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        for action in actions:
            if "remove" in action:
                live.pop(identity(action["remove"]), None)
        live |= {identity(action["add"]): action["add"] for action in actions if "add" in action}
    found: Tracked = {}
    for add in live.values():
        for row_id, version, row in _rows(table, add):
            assert row_id not in found, f"two rows have the id {row_id}"
            found[row_id] = (version, row)
    return found


def _rows(table: HandTable, add: dict[str, Any]) -> list[tuple[int, int, tuple[Any, ...]]]:
    stored = pq.ParquetFile(table.root / unquote(add["path"])).read()
    conf = table.metadata["configuration"]
    names = [conf[f"delta.rowTracking.materialized{what}ColumnName"] for what in ("RowId", "RowCommitVersion")]
    columns = [stored[name].to_pylist() if name in stored.column_names else [None] * stored.num_rows for name in names]
    data = [_values(stored, one, table, add) for one in table.fields]
    dead = _dead(table.root, add.get("deletionVector"))
    rows = []
    for i in range(stored.num_rows):
        if i not in dead:
            row_id = add["baseRowId"] + i if columns[0][i] is None else columns[0][i]
            version = add["defaultRowCommitVersion"] if columns[1][i] is None else columns[1][i]
            rows.append((row_id, version, tuple(column[i] for column in data)))
    return rows


def _values(stored: Any, described: dict[str, Any], table: HandTable, add: dict[str, Any]) -> list[Any]:
    name = described["metadata"].get("delta.columnMapping.physicalName", described["name"])
    if described["name"] in table.partition_by:
        return [add["partitionValues"][name]] * stored.num_rows
    return stored[name].to_pylist() if name in stored.column_names else [None] * stored.num_rows


def _dead(root: Path, vector: dict[str, Any] | None) -> BitMap64:
    if not vector:
        return BitMap64()
    text = vector["pathOrInlineDv"]
    if vector["storageType"] == "i":
        data = _z85(text)[: vector["sizeInBytes"]]
    else:
        path = Path(text) if vector["storageType"] == "p" else root / text[:-20] / f"deletion_vector_{UUID(bytes=_z85(text[-20:]))}.bin"
        start = vector["offset"] + 4
        data = path.read_bytes()[start : start + vector["sizeInBytes"]]
    return BitMap64.deserialize(data[4:])


def _z85(text: str) -> bytes:
    values = [sum(Z85.index(c) * 85 ** (4 - i) for i, c in enumerate(text[at : at + 5])) for at in range(0, len(text), 5)]
    return b"".join(struct.pack(">I", value) for value in values)
