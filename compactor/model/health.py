"""Health: what a Snapshot looks like to a reader; and the Decision taken on it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBucket:
    """Files of at least `from_bytes` and less than `to_bytes` (None: no limit)."""

    from_bytes: int
    to_bytes: int | None
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The whole table, and per partition.

    small/oversized/deletes_heavy: counts under the policy in force (target_bytes). A full scan costs `scan_requests` GETs (footer and
    column ranges of each file) and `bytes` bytes. `partitions` has a row a partition: partition_id, files, bytes, small_files, small_bytes,
    oversized_files, oversized_bytes, rows (null when unknown), deleted_rows. encode_debt_bytes: in small row groups that we copied as they
    were, because that was asked for; indebted_files: of which the policy calls that too much.
    """

    target_bytes: int
    files: int
    bytes: int
    rows: int | None
    deleted_rows: int
    small_files: int
    small_bytes: int
    oversized_files: int
    oversized_bytes: int
    deletes_heavy_files: int
    scan_requests: int
    histogram: tuple[SizeBucket, ...]
    partitions: pa.Table
    encode_debt_bytes: int = 0
    indebted_files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """This table is worth compacting now, because of `why`."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """This table is left alone now. `reason` is a stable code, `why` a sentence."""

    reason: str
    why: str


Decision = Compact | Skip
