"""Raw add actions of chosen live files, re-read from where the log has them: a snapshot keeps no statistics, tags or raw maps.

Reads only the log objects, and of checkpoints only the row groups, that hold the chosen files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compactor.errors import TableCorrupt
from compactor.model.snapshot import Snapshot
from compactor.storage.base import ObjectStore
from compactor.tables.delta.log import parse_chosen
from compactor.tables.delta.parquet_source import ParquetSource
from compactor.tables.delta.state import Action, DeltaState

_DERIVED = ("stats_parsed", "partitionValues_parsed")


def raw_adds(store: ObjectStore, snapshot: Snapshot, rows: Sequence[int]) -> list[Action]:
    """The add actions of these rows of `snapshot.files`, in their order: dicts as in the log, absent fields left out.

    Raises TableCorrupt when the log object no longer holds the action, StorageError when it cannot be read.
    """
    state = snapshot.state
    assert isinstance(state, DeltaState)
    wanted = np.asarray(rows, np.int64)
    source = snapshot.files["source"].to_numpy()[wanted]
    position = snapshot.files["source_row"].to_numpy()[wanted]
    paths = snapshot.files["path"].take(wanted).to_pylist()
    found: list[Action | None] = [None] * len(wanted)
    for number in np.unique(source).tolist():
        here = np.flatnonzero(source == number)
        key = state.sources[number]
        actions = _read(store, key, position[here].tolist())
        for row, action in zip(here.tolist(), actions, strict=True):
            if action is None or action.get("path") != paths[row]:
                raise TableCorrupt(f'The log file {store.uri}/{key} no longer holds the add action of "{paths[row]}".')
            found[row] = action
    return [action for action in found if action is not None]


def _read(store: ObjectStore, key: str, positions: Sequence[int]) -> list[Action | None]:
    """The add actions at these positions of a log object."""
    if key.endswith(".json"):
        lines = parse_chosen(store.get(key), positions, f"{store.uri}/{key}")
        return [None if line is None else line.get("add") for line in lines]
    meta = store.head(key)
    if meta is None:
        raise TableCorrupt(f"The log file {store.uri}/{key} vanished while it was in use.")
    source = ParquetSource(store, key, meta.size_bytes)
    columns = [f"add.{name}" for name in source.struct_fields("add") if name not in _DERIVED]
    rows = source.rows(columns, positions)["add"].to_pylist(maps_as_pydicts="strict")
    return [_as_logged(row) if row is not None else None for row in rows]


def _as_logged(row: dict[str, Any]) -> Action:
    """A Parquet add as a JSON writer would have put it: fields without a value are absent, in the action and in its descriptor."""
    action = {name: value for name, value in row.items() if value is not None}
    if "deletionVector" in action:
        action["deletionVector"] = {name: value for name, value in action["deletionVector"].items() if value is not None}
    return action
