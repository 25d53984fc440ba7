"""Checks an entry of ours against the Delta protocol, from the log alone and from the files it names: shares no code with the writer.

Reads JSON entries from version 0 on; tables whose first entries were cleaned away are replayed from what the caller knows to be live.
"""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import unquote

from compactor.storage.base import ObjectStore

Action = dict[str, Any]
Key = tuple[str, str | None]


def check_entry(store: ObjectStore, version: int, live: dict[Key, Action] | None = None, *, parquet: bool = False) -> None:
    """Assert that the entry of `version` is a lawful compaction. `live`: live adds of the version before, when the log is not whole.

    parquet: open the added files and compare rows too; otherwise only their sizes.
    """
    assert bytes(store.get(f"_delta_log/{version:020d}.json")).endswith(b"}\n"), "the last line does not end"
    assert bytes(store.get(f"_delta_log/{version:020d}.json")).endswith(b"\n"), "the last line does not end"
    lines = read(store, version)
    state, terms = live_files(store, version - 1)
    live = state if live is None else live
    assert list(lines[0]) == ["commitInfo"], "commitInfo is not the first action"
    info = lines[0]["commitInfo"]
    assert all(isinstance(value, str) for value in info["operationMetrics"].values()), "operationMetrics holds something that is no string"
    assert all(isinstance(value, str) for value in info.get("tags", {}).values()), "tags hold something that is no string"
    kinds = {kind for line in lines for kind in line}
    assert kinds <= {"commitInfo", "add", "remove", "domainMetadata"}, f"unexpected actions {kinds}"
    assert [d["domainMetadata"]["domain"] for d in lines if "domainMetadata" in d] in ([], ["delta.rowTracking"])
    removes, adds = [line["remove"] for line in lines if "remove" in line], [line["add"] for line in lines if "add" in line]
    _check_removes(removes, live)
    _check_adds(store, adds, removes, live, parquet)
    assert _rows(live, removes) in (None, sum(map(_visible, adds))), "the number of rows changed"
    _check_timestamp(info, terms)


def _visible(add: Action) -> int:
    """Rows of an added file that are not deleted from the start; then its bounds may not claim to be tight."""
    stats, vector = json.loads(add["stats"]), add.get("deletionVector")
    assert vector is None or stats["tightBounds"] is False
    return int(stats["numRecords"]) - (vector["cardinality"] if vector else 0)


def read(store: ObjectStore, version: int) -> list[dict[str, Any]]:
    """The lines of an entry, by whatever writer."""
    data = bytes(store.get(f"_delta_log/{version:020d}.json"))
    return [json.loads(line) for line in data.split(b"\n") if line]


def key(action: Action) -> Key:
    """Identity of a file action."""
    vector = action.get("deletionVector")
    if not vector:
        return unquote(action["path"]), None
    offset = vector.get("offset")
    return unquote(action["path"]), vector["storageType"] + vector["pathOrInlineDv"] + ("" if offset is None else f"@{offset}")


def live_files(store: ObjectStore, version: int) -> tuple[dict[Key, Action], Action]:
    """Live adds after `version`, replayed from the first entry on; and what was last said of protocol, metadata and timestamp."""
    live: dict[Key, Action] = {}
    terms: Action = {}
    for number in range(version + 1):
        if store.head(f"_delta_log/{number:020d}.json") is None:
            continue
        lines = read(store, number)
        terms["stamp"] = next((line["commitInfo"].get("inCommitTimestamp") for line in lines if "commitInfo" in line), None)
        for line in lines:
            terms |= {kind: line[kind] for kind in ("protocol", "metaData") if kind in line}
            if "remove" in line:
                live.pop(key(line["remove"]), None)
        for line in lines:
            if "add" in line:
                live[key(line["add"])] = line["add"]
    return live, terms


def _check_removes(removes: list[Action], live: dict[Key, Action]) -> None:
    assert len({unquote(r["path"]) for r in removes}) == len(removes), "a path is removed twice"
    for remove in removes:
        add = live.get(key(remove))
        assert add is not None, f"{remove['path']} was not live with these deletes"
        assert remove["dataChange"] is False and remove["extendedFileMetadata"] is True and isinstance(remove["deletionTimestamp"], int)
        assert remove["path"] == add["path"], "the path of a remove is spelled in another way than that of its add"
        for field in ("deletionVector", "partitionValues", "size", "tags", "baseRowId", "defaultRowCommitVersion"):
            assert remove.get(field) == add.get(field), f"{field} of {remove['path']} differs from its add"


def _check_adds(store: ObjectStore, adds: list[Action], removes: list[Action], live: dict[Key, Action], parquet: bool) -> None:
    assert len({a["path"] for a in adds}) == len(adds), "a path is added twice"
    maps = [json.dumps(r["partitionValues"], sort_keys=True) for r in removes]
    for add in adds:
        assert add["dataChange"] is False
        assert key(add) not in live, f"{add['path']} was live already"
        assert json.dumps(add["partitionValues"], sort_keys=True) in maps, f"{add['path']} has partition values of no input"
        assert isinstance(add["stats"], str) and isinstance(add["modificationTime"], int)
        assert all(isinstance(value, str) for value in add.get("tags", {}).values())
        data = bytes(store.get(unquote(add["path"])))
        assert len(data) == add["size"], f"{add['path']} has {len(data)} bytes, not {add['size']}"
        if parquet:
            import pyarrow.parquet as pq

            rows = pq.ParquetFile(io.BytesIO(data)).metadata.num_rows
            assert rows == json.loads(add["stats"])["numRecords"], f"{add['path']} has {rows} rows"


def _rows(live: dict[Key, Action], removes: list[Action]) -> int | None:
    """Rows of the removed files that were not deleted; None when the log does not say."""
    total = 0
    for remove in removes:
        add = live[key(remove)]
        records = json.loads(add["stats"]).get("numRecords") if add.get("stats") else None
        if records is None:
            return None
        total += records - (add.get("deletionVector") or {}).get("cardinality", 0)
    return total


def _check_timestamp(info: Action, terms: Action) -> None:
    enabled = (terms.get("metaData") or {}).get("configuration", {}).get("delta.enableInCommitTimestamps") == "true"
    if not enabled:
        return
    assert isinstance(info.get("inCommitTimestamp"), int), "the in-commit timestamp is missing"
    assert terms["stamp"] is None or info["inCommitTimestamp"] > terms["stamp"], "the in-commit timestamp did not grow"
