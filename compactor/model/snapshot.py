"""TableRef and Snapshot: one version of a table in neutral terms, with one Arrow row for each live file.

A Snapshot never holds one Python object a file. What only the format understands (protocol, raw actions, positions in the log) rides
along in `state`, which nobody but the format's own adapter may look into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRef:
    """Names a table without opening it. `uri` has no trailing slash and a scheme unless it is a local path."""

    uri: str
    format: str = "delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionColumn:
    """A partition column: its name for people, its key in partition maps, and its type as the format spells primitives (`date`)."""

    name: str
    physical_name: str
    type: str


FILES_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # the log's own string; with deletes_id the identity of a live file
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("rows", pa.int64()),  # physical rows (deleted ones included); null when the log does not say
        pa.field("deleted_rows", pa.int64(), nullable=False),  # rows masked by the file's deletes; 0 without
        pa.field("deletes_id", pa.string()),  # identity of the file's deletes (Delta: deletion vector unique id); null without
        pa.field("partition_id", pa.int32(), nullable=False),  # row of Snapshot.partitions
        pa.field("modified_ms", pa.int64(), nullable=False),  # as the writer says; orders files, never decides an age
        pa.field("landed_ms", pa.int64(), nullable=False),  # the store's date of the log object that told us of it: not younger
        pa.field("generation", pa.int16(), nullable=False),  # how often we have rewritten these bytes; 0 for foreign files
        pa.field("finished_for_bytes", pa.int64()),  # the target for which we called this file finished; null otherwise
        pa.field("encode_debt_bytes", pa.int64()),  # of it, in small row groups that we copied as they were; null where there are none
        pa.field("clustered", pa.bool_(), nullable=False),  # its rows were placed by a clustering of the table
        pa.field("source", pa.int32(), nullable=False),  # the format's own: which log object, which row or line in it
        pa.field("source_row", pa.int64(), nullable=False),
    ]
)
"""Columns of Snapshot.files. Rows are ordered by (modified_ms, path), so that equal versions give equal snapshots however loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One version of a table.

    partitions: one row for each distinct exact partition map among live files, one nullable string column for each partition
      column (named by its physical name, values verbatim as in the log); row i is partition_id i. Zero columns, one row, when the table
      is not partitioned.
    files: see FILES_SCHEMA.
    features: names of every reader and writer feature in force (legacy protocol versions already spelled out).
    keeps_clustering: files marked as clustered are left alone, because a plain rewrite would undo what placed their rows.
    busy: partitions that others wrote to so lately that they are left alone, and whether they removed or replaced rows there, too, so that
      their transactions and ours may meet; empty when nobody asked.
    quarantined: files, by path, that earlier runs found damaged, with what they found; empty when nobody asked.
    store_now_ms: the store's own clock when the snapshot was loaded, for ages; 0 when nobody asked.
    """

    table: TableRef
    version: int
    table_id: str
    properties: Mapping[str, str]
    features: frozenset[str]
    partition_columns: tuple[PartitionColumn, ...]
    partitions: pa.Table
    files: pa.Table
    store_now_ms: int = 0
    keeps_clustering: bool = False
    busy: Mapping[int, bool] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    state: object = field(default=None, repr=False, compare=False)
