"""What a snapshot looks like to a reader: Health. Pure, one array operation for all files at a time.

Health describes sizes as they stand in the log; whether something is done about a file is decided later and has its reasons in the plan.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.health import Health, SizeBucket
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.planning.columns import UNKNOWN_ROWS, Int64s, heavy_with_deletes, indebted

SCAN_RANGE_BYTES = 16 * 1024 * 1024

PARTITIONS_SCHEMA = pa.schema(
    [
        pa.field("partition_id", pa.int32(), nullable=False),
        pa.field("files", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("small_files", pa.int64(), nullable=False),
        pa.field("small_bytes", pa.int64(), nullable=False),
        pa.field("oversized_files", pa.int64(), nullable=False),
        pa.field("oversized_bytes", pa.int64(), nullable=False),
        pa.field("rows", pa.int64()),
        pa.field("deleted_rows", pa.int64(), nullable=False),
    ]
)
"""Columns of Health.partitions: one row for each partition that has live files, by partition_id. Rows are physical, as in FILES_SCHEMA."""


def assess(snapshot: Snapshot, policy: Policy, target_bytes: int) -> Health:
    """Health under `policy` with `target_bytes` in force. Rows count deleted ones too; they are unknown when any file's are."""
    table = _measured(snapshot.files, policy, target_bytes)
    names = PARTITIONS_SCHEMA.names[1:]
    sums = [(name, "sum", pc.ScalarAggregateOptions(skip_nulls=name != "rows")) for name in names]
    grouped = table.group_by("partition_id").aggregate(sums).sort_by("partition_id")
    partitions = pa.table([grouped["partition_id"], *(grouped[f"{name}_sum"] for name in names)], names=PARTITIONS_SCHEMA.names).cast(
        PARTITIONS_SCHEMA
    )
    total = {name: pc.sum(table[name]).as_py() or 0 for name in [*names, "heavy", "indebted", "requests"]}
    rows_known = table["rows"].null_count == 0
    return Health(
        target_bytes=target_bytes,
        files=table.num_rows,
        bytes=total["bytes"],
        rows=total["rows"] if rows_known else None,
        deleted_rows=total["deleted_rows"],
        small_files=total["small_files"],
        small_bytes=total["small_bytes"],
        oversized_files=total["oversized_files"],
        oversized_bytes=total["oversized_bytes"],
        deletes_heavy_files=total["heavy"],
        scan_requests=total["requests"],
        histogram=_histogram(_numpy(snapshot.files["size_bytes"]), policy, target_bytes),
        partitions=partitions.combine_chunks(),
        encode_debt_bytes=pc.sum(snapshot.files["encode_debt_bytes"]).as_py() or 0,
        indebted_files=total["indebted"],
    )


def _measured(files: pa.Table, policy: Policy, target: int) -> pa.Table:
    """One row a file: what is summed per partition and in all."""
    size, deleted = _numpy(files["size_bytes"]), _numpy(files["deleted_rows"])
    debt = _numpy(pc.fill_null(files["encode_debt_bytes"], 0))
    rows = _numpy(pc.fill_null(files["rows"], UNKNOWN_ROWS))
    small = size < policy.small_ratio * target
    oversized = size > policy.oversized_ratio * target
    return pa.table(
        {
            "partition_id": files["partition_id"],
            "files": np.ones_like(size),
            "bytes": size,
            "small_files": small.astype(np.int64),
            "small_bytes": np.where(small, size, 0),
            "oversized_files": oversized.astype(np.int64),
            "oversized_bytes": np.where(oversized, size, 0),
            "rows": files["rows"],
            "deleted_rows": deleted,
            "heavy": heavy_with_deletes(rows, deleted, policy.max_deleted_ratio).astype(np.int64),
            "indebted": indebted(debt, size, policy.max_encode_debt).astype(np.int64),
            "requests": 1 + np.maximum(1, -(-size // SCAN_RANGE_BYTES)),
        }
    )


def _histogram(size: Int64s, policy: Policy, target: int) -> tuple[SizeBucket, ...]:
    """Buckets from nothing up, cut at fractions of the target and where small ends and oversized begins."""
    small, large = int(np.ceil(policy.small_ratio * target)), int(policy.oversized_ratio * target) + 1
    edges = sorted({0, small, large, *(target // part for part in (256, 64, 16, 4) if target // part < small)})
    bucket = np.searchsorted(np.array(edges[1:], dtype=np.int64), size, side="right")
    files = np.bincount(bucket, minlength=len(edges)).tolist()
    sizes = np.zeros(len(edges), dtype=np.int64)
    np.add.at(sizes, bucket, size)
    limits: list[int | None] = [*edges[1:], None]
    return tuple(
        SizeBucket(from_bytes=low, to_bytes=high, files=count, bytes=total)
        for low, high, count, total in zip(edges, limits, files, sizes.tolist(), strict=True)
    )


def _numpy(values: pa.ChunkedArray) -> Int64s:
    array: Int64s = values.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return array
