"""The live files of a snapshot as NumPy columns, in the one order in which planning looks at them. Pure.

Never a Python object a file: everything here is one array operation for all files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.snapshot import Snapshot
from compactor.model.survey import FileFacts

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNKNOWN_ROWS = -1


def named_partitions(snapshot: Snapshot) -> pa.Table:
    """Snapshot.partitions with columns named as people name them. Nothing is copied."""
    columns = snapshot.partition_columns
    return pa.table([snapshot.partitions[column.physical_name] for column in columns], names=[column.name for column in columns])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileColumns:
    """One element a live file, sorted by partition and within it by (modified_ms, path).

    row: row of Snapshot.files. rows: UNKNOWN_ROWS when neither log nor survey says. finished_for: 0 when never called finished.
    debt_bytes: of size_bytes, in small row groups that we copied.
    live_bytes: the share of size_bytes that belongs to rows which are not deleted (all of it when rows are unknown).
    """

    row: Int64s
    partition: Int64s
    size_bytes: Int64s
    rows: Int64s
    deleted_rows: Int64s
    landed_ms: Int64s
    generation: Int64s
    finished_for: Int64s
    debt_bytes: Int64s
    live_bytes: Int64s

    def __len__(self) -> int:
        return int(self.row.shape[0])


def file_columns(files: pa.Table, facts: Mapping[str, FileFacts]) -> FileColumns:
    """Columns of Snapshot.files in planning order. `facts` (surveyed footers by path) give the rows of files whose rows the log lacks."""
    partition = _ints(files, "partition_id")
    order = file_order(files)
    order = order[np.argsort(partition[order], kind="stable")]
    rows = _rows(files, facts)
    size, deleted = _ints(files, "size_bytes"), _ints(files, "deleted_rows")
    return FileColumns(
        row=order,
        partition=partition[order],
        size_bytes=size[order],
        rows=rows[order],
        deleted_rows=deleted[order],
        landed_ms=_ints(files, "landed_ms")[order],
        generation=_ints(files, "generation")[order],
        finished_for=_ints(files, "finished_for_bytes")[order],
        debt_bytes=_ints(files, "encode_debt_bytes")[order],
        live_bytes=_live_bytes(size, rows, deleted)[order],
    )


def file_order(files: pa.Table) -> Int64s:
    """Rows of `files` by (modified_ms, path), whatever order they are in. Costs nothing when they are in it already."""
    count = files.num_rows
    if count < 2:
        return np.arange(count, dtype=np.int64)
    steps = np.diff(_ints(files, "modified_ms"))
    paths = files["path"]
    ascending = pc.less(paths.slice(0, count - 1), paths.slice(1)).to_numpy(zero_copy_only=False)
    if bool(np.all((steps > 0) | ((steps == 0) & ascending))):
        return np.arange(count, dtype=np.int64)
    keys = [("modified_ms", "ascending"), ("path", "ascending"), ("deletes_id", "ascending")]
    ordered: Int64s = pc.sort_indices(files, sort_keys=keys).to_numpy(zero_copy_only=False).astype(np.int64)
    return ordered


def heavy_with_deletes(rows: Int64s, deleted_rows: Int64s, max_deleted_ratio: float) -> Bools:
    """Files of which too many rows are deleted: more than the ratio, or all, or some while nobody knows of how many."""
    known = rows >= 0
    too_many = (deleted_rows > max_deleted_ratio * rows) | (deleted_rows >= rows)
    return (deleted_rows > 0) & (too_many | ~known)


def indebted(debt_bytes: Int64s, size_bytes: Int64s, max_encode_debt: float) -> Bools:
    """Files of which too large a share is in small row groups that were copied: more than the ratio, of which 1 is never."""
    too_much: Bools = debt_bytes > max_encode_debt * size_bytes
    return too_much if max_encode_debt < 1 else np.zeros_like(too_much)


def _ints(table: pa.Table, name: str) -> Int64s:
    values: Int64s = pc.fill_null(table[name], 0).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return values


def _rows(files: pa.Table, facts: Mapping[str, FileFacts]) -> Int64s:
    rows: Int64s = pc.fill_null(files["rows"], UNKNOWN_ROWS).to_numpy(zero_copy_only=False).astype(np.int64)
    at, found = positions_in(files["path"], list(facts))
    counted = np.array([sum(g.rows for g in fact.row_groups) for fact in facts.values()], dtype=np.int64)
    unknown = rows[at] < 0
    rows[at[unknown]] = counted[found[unknown]]
    return rows


def positions_in(paths: pa.ChunkedArray, wanted: list[str]) -> tuple[Int64s, Int64s]:
    """Rows of `paths` that are in `wanted`, and which element of `wanted` each of them is."""
    if not wanted:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    index = pc.fill_null(pc.index_in(paths, value_set=pa.array(wanted, pa.string())), -1).to_numpy(zero_copy_only=False)
    at = np.flatnonzero(index >= 0)
    return at, index[at].astype(np.int64)


def _live_bytes(size: Int64s, rows: Int64s, deleted: Int64s) -> Int64s:
    share = np.ones(size.shape[0], dtype=np.float64)
    some = (rows > 0) & (deleted > 0)
    share[some] = np.clip((rows[some] - deleted[some]) / rows[some], 0.0, 1.0)
    share[rows == 0] = 0.0
    return np.floor(size * share).astype(np.int64)
