"""Tables made of log entries alone, for tests of the commit path that need no rows: adds name files that nobody reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compactor.model.commit import CommitRequest, FinishedGroup
from compactor.model.plan import FileKey
from compactor.model.rewrite import ColumnStatistics, Concat, OutputFile, RewriteResult
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import Created, ObjectStore
from compactor.tables.delta.log import entry_key, list_log, parse_lines, read_entries
from compactor.tables.delta.replay import Base, build

ROWS = 10
SCHEMA: dict[str, Any] = {
    "type": "struct",
    "fields": [
        {"name": "a", "type": "long", "nullable": True, "metadata": {}},
        {"name": "p", "type": "string", "nullable": True, "metadata": {}},
    ],
}
Action = dict[str, Any]


def protocol(features: Sequence[str] = ()) -> Action:
    """A protocol action: legacy (1, 2) without features, else (3, 7) with those that readers must know named for readers too."""
    if not features:
        return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    readers = [name for name in features if name in ("deletionVectors", "columnMapping", "timestampNtz", "v2Checkpoint", "typeWidening")]
    return {
        "protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": list(features)},
    }


def metadata(properties: Mapping[str, str] | None = None, schema: Mapping[str, Any] = SCHEMA, table_id: str = "table") -> Action:
    """A metaData action of a table partitioned by p."""
    return {
        "metaData": {
            "id": table_id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(schema),
            "partitionColumns": ["p"],
            "configuration": dict(properties or {}),
            "createdTime": 0,
        }
    }


def add(path: str, *, partition: str | None = "x", rows: int = ROWS, size: int = 100, data_change: bool = True, **more: Any) -> Action:
    """An add of a file that does not exist."""
    body = {
        "path": path,
        "partitionValues": {"p": partition},
        "size": size,
        "modificationTime": 5,
        "dataChange": data_change,
        "stats": json.dumps({"numRecords": rows}),
        **more,
    }
    return {"add": body}


def remove(path: str, *, data_change: bool = True, **more: Any) -> Action:
    """A remove."""
    return {"remove": {"path": path, "deletionTimestamp": 6, "dataChange": data_change, **more}}


def info(operation: str = "WRITE", **more: Any) -> Action:
    """A foreign commitInfo."""
    return {"commitInfo": {"timestamp": 1, "operation": operation, "engineInfo": "somebody", **more}}


def write(store: ObjectStore, version: int, actions: Iterable[Action]) -> None:
    """An entry by another writer."""
    data = "".join(json.dumps(action) + "\n" for action in actions).encode()
    assert isinstance(store.create(entry_key(version), data), Created)


def start(store: ObjectStore, files: Sequence[str] = ("f0", "f1", "f2", "f3"), *, features: Sequence[str] = (), **terms: Any) -> Snapshot:
    """A table whose version 0 has these files."""
    write(store, 0, [info("CREATE TABLE"), protocol(features), metadata(**terms), *(add(path) for path in files)])
    return load(store)


def load(store: ObjectStore) -> Snapshot:
    """The newest version, replayed from version 0."""
    newest = list_log(store).newest
    assert newest is not None
    return build(TableRef(uri=store.uri), Base(), read_entries(store, -1, newest))


def group(store: ObjectStore, number: int, inputs: Sequence[str | FileKey], *, rows: int | None = None, outputs: int = 1) -> FinishedGroup:
    """A group that claims to have rewritten `inputs`; its outputs exist, as opaque bytes."""
    keys = tuple(FileKey(path=name) if isinstance(name, str) else name for name in inputs)
    total = ROWS * len(keys) if rows is None else rows
    files = []
    for i in range(outputs):
        key = f"out-{number}-{i}.parquet"
        store.put(key, b"x" * (50 + i))
        share = total // outputs + (total % outputs if i == 0 else 0)
        statistics = (ColumnStatistics(path=("a",), null_count=0, minimum=1, maximum=9),)
        files.append(OutputFile(key=key, size_bytes=50 + i, rows=share, statistics=statistics))
    result = RewriteResult(
        group_id=number, attempt=1, engine="test", input_rows=total, outputs=tuple(files), row_map=Concat(offsets=(0,) * len(keys))
    )
    return FinishedGroup(inputs=keys, result=result, generation=1, finished_for_bytes=268_435_456)


def request(*groups: FinishedGroup, run: str = "run-1", transaction: str = "transaction-1") -> CommitRequest:
    """A request of these groups."""
    return CommitRequest(run_id=run, transaction_id=transaction, groups=groups)


def actions(store: ObjectStore, version: int, kind: str | None = None) -> list[Action]:
    """The actions of an entry as written; of one kind: their bodies."""
    lines = parse_lines(store.get(entry_key(version)), "entry")
    return lines if kind is None else [line[kind] for line in lines if kind in line]


def live(store: ObjectStore) -> set[str]:
    """Paths of the live files."""
    return set(load(store).files["path"].to_pylist())
