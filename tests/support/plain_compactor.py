"""A compactor as simple as can be, for tests of the commit path with real rows: pyarrow rewrites, the real committer publishes.

Knows nothing of planning, engines or deletion vectors. Judges are independent readers: deltalake's SQL and ClickHouse's own log reader.
"""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactor.ambient import Ambient, system_ambient
from compactor.model.commit import CommitOutcome, CommitRequest, FinishedGroup
from compactor.model.plan import FileKey
from compactor.model.rewrite import ColumnStatistics, Concat, OutputFile, RewriteResult
from compactor.model.snapshot import Snapshot
from compactor.model.storage import StorageOptions
from compactor.storage import open_store
from compactor.storage.base import ObjectStore
from compactor.tables.delta.commit import publish
from compactor.tables.delta.log_access import LogAccess
from compactor.tables.delta.options import DeltaOptions
from support import delta_log

Rows = list[tuple[Any, ...]]


def rewrite(store: ObjectStore, ambient: Ambient, snapshot: Snapshot, number: int, rows: Sequence[int]) -> FinishedGroup:
    """Concatenate the files in these rows of the snapshot into one new object beside the first of them."""
    paths = [snapshot.files["path"][row].as_py() for row in rows]
    table = pa.concat_tables([_read(store, path) for path in paths])
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    folder = unquote(paths[0]).rpartition("/")[0]
    key = f"{folder}/{ambient.ids.new()}.parquet".lstrip("/")
    store.put(key, buffer.getvalue())
    output = OutputFile(key=key, size_bytes=len(buffer.getvalue()), rows=table.num_rows, statistics=_statistics(table))
    offsets = Concat(offsets=(0,) * len(paths))
    result = RewriteResult(group_id=number, attempt=1, engine="plain", input_rows=table.num_rows, outputs=(output,), row_map=offsets)
    inputs = tuple(FileKey(path=path) for path in paths)
    return FinishedGroup(inputs=inputs, result=result, generation=1, finished_for_bytes=None)


def _read(store: ObjectStore, path: str) -> pa.Table:
    """One file, with plain types: an UPDATE of deltalake writes files that pyarrow reads as string views."""
    table = pq.read_table(io.BytesIO(store.get(unquote(path))))
    plain = [field.with_type(pa.string()) if field.type == pa.string_view() else field for field in table.schema]
    return table.cast(pa.schema(plain))


def _statistics(table: pa.Table) -> tuple[ColumnStatistics, ...]:
    found = []
    for name in table.column_names:
        bounds = pc.min_max(table[name]).as_py()
        found.append(ColumnStatistics(path=(name,), null_count=table[name].null_count, minimum=bounds["min"], maximum=bounds["max"]))
    return tuple(found)


def by_partition(snapshot: Snapshot) -> dict[int, list[int]]:
    """Rows of the live files by partition id."""
    found: dict[int, list[int]] = {}
    for row, partition in enumerate(snapshot.files["partition_id"].to_pylist()):
        found.setdefault(partition, []).append(row)
    return found


def compact(store: ObjectStore, chosen: Sequence[Sequence[int]], snapshot: Snapshot, name: str = "run") -> CommitOutcome:
    """Rewrite each of the chosen sets of files and publish them as one request."""
    ambient = system_ambient()
    groups = tuple(rewrite(store, ambient, snapshot, i, rows) for i, rows in enumerate(chosen))
    request = CommitRequest(run_id=name, transaction_id=ambient.ids.new(), groups=groups)
    return publish(LogAccess(store=store, ambient=ambient, options=DeltaOptions(max_commit_attempts=200)), snapshot, request)


def race(uri: str, options: StorageOptions, name: str, rounds: int, partitions: Sequence[int] | None) -> list[CommitOutcome]:
    """One racing compactor: merge pairs of files at random, in these partitions (None: all), so many times."""
    store = open_store(uri, options)
    chance = random.Random(name)
    outcomes: list[CommitOutcome] = []
    for turn in range(rounds):
        snapshot = delta_log.load(store)
        files = {p: rows for p, rows in by_partition(snapshot).items() if partitions is None or p in partitions}
        chosen = [chance.sample(rows, 2) for rows in files.values() if len(rows) > 1]
        if not chosen:
            break
        outcomes.append(compact(store, chosen, snapshot, f"{name}-{turn}"))
    return outcomes


_ASK_DELTALAKE = """
import json, sys
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
uri, query, options = sys.argv[1:]
rows = pa.table(QueryBuilder().register("t", DeltaTable(uri, storage_options=json.loads(options))).execute(query).read_all())
with pa.ipc.new_stream(sys.stdout.buffer, rows.schema) as sink:
    sink.write_table(rows)
"""
_ASK_CLICKHOUSE = "import chdb, sys; sys.stdout.buffer.write(chdb.query(sys.argv[1], 'ArrowStream').bytes())"


def deltalake_rows(uri: str, storage_options: Mapping[str, str] | None = None, columns: str = "id, v, p") -> Rows:
    """All rows by deltalake's SQL, sorted. With storage options in a process of its own: its reads hold the interpreter's lock, so that
    an endpoint in this process could not answer."""
    if storage_options is not None:
        return _ask([_ASK_DELTALAKE, uri, f"select {columns} from t", json.dumps(dict(storage_options))])
    from deltalake import DeltaTable, QueryBuilder

    return _rows(pa.table(QueryBuilder().register("t", DeltaTable(uri)).execute(f"select {columns} from t").read_all()))


def clickhouse_rows(location: Path | str, columns: str = "id, v, p") -> Rows:
    """All rows by ClickHouse's own reader of Delta logs, sorted. `location`: a folder, or the http URL of one on an S3 endpoint.

    In a process of its own, which works in the table's folder: ClickHouse reads no file outside of its working folder.
    """
    local = isinstance(location, Path)
    source = f"deltaLakeLocal('{location}')" if local else f"deltaLake('{location}', 'testing', 'testing')"
    query = f"select {columns} from {source} settings allow_experimental_delta_kernel_rs=0"
    return _ask([_ASK_CLICKHOUSE, query], location if isinstance(location, Path) else None)


def _ask(arguments: Sequence[str], folder: Path | None = None) -> Rows:
    """The rows that a program prints as an Arrow stream."""
    done = subprocess.run([sys.executable, "-c", *arguments], cwd=folder, capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return _rows(pa.ipc.open_stream(done.stdout).read_all())


def _rows(table: pa.Table) -> Rows:
    columns = [[v.decode() if isinstance(v, bytes) else v for v in column.to_pylist()] for column in table.columns]
    return sorted(zip(*columns, strict=True), key=repr)
