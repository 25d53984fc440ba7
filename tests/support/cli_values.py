"""Values as the façade returns them, made by hand, for tests of the command line."""

from __future__ import annotations

import pyarrow as pa

from compactor.model.health import Compact, Decision, Health, SizeBucket, Skip
from compactor.model.plan import GROUPS_SCHEMA, INPUTS_SCHEMA, LeftOut, Plan, Prediction
from compactor.model.policy import Policy
from compactor.model.rewrite import GroupDropped
from compactor.model.run import Run, RunStatus
from compactor.model.snapshot import TableRef
from compactor.service.discovery import FailedTable, Neighbour, ScannedTable

MIB = 1024 * 1024
TABLE = TableRef(uri="s3://lake/events")


def health(small: int = 2000) -> Health:
    return Health(
        target_bytes=256 * MIB,
        files=2010,
        bytes=1200 * MIB,
        rows=1_000_000,
        deleted_rows=12,
        small_files=small,
        small_bytes=200 * MIB,
        oversized_files=3,
        oversized_bytes=900 * MIB,
        deletes_heavy_files=0,
        scan_requests=4020,
        histogram=(
            SizeBucket(from_bytes=0, to_bytes=MIB, files=2000, bytes=200 * MIB),
            SizeBucket(from_bytes=MIB, to_bytes=256 * MIB, files=0, bytes=0),
            SizeBucket(from_bytes=256 * MIB, to_bytes=None, files=10, bytes=1000 * MIB),
        ),
        partitions=pa.table({"partition_id": pa.array([0, 1], pa.int32())}),
    )


def scanned(decision: Decision | None = None) -> ScannedTable:
    why = Compact(why="2,000 of 2,010 files are smaller than 192 MiB.")
    return ScannedTable(table=TABLE, version=7, health=health(), decision=decision or why)


SKIPPED = scanned(Skip(reason="healthy", why="Every file is of the right size."))
FAILED = FailedTable(table=TableRef(uri="s3://lake/broken"), exit_code=6, why="Version 3 of s3://lake/broken is damaged.")
ICEBERG = Neighbour(uri="s3://lake/ice", reason="iceberg", why="it is an Iceberg table (metadata/); only Delta tables are compacted")


def plan(groups: int = 3) -> Plan:
    rows = [
        {
            "group_id": number,
            "kind": "split" if number == 2 else "merge",
            "partition_id": 0 if number < 2 else 1,
            "first_input": number,
            "input_files": 900 if number < 2 else 1,
            "input_bytes": 240 * MIB,
            "input_rows": 1000,
            "output_files": 1 if number < 2 else 3,
            "output_bytes": 238 * MIB,
            "memory_bytes": 64 * MIB,
            "finishes": True,
            "generation": 1,
        }
        for number in range(groups)
    ]
    prediction = Prediction(
        input_files=1801,
        input_bytes=720 * MIB,
        output_files=5,
        output_bytes=714 * MIB,
        requests=3700,
        seconds=12.4,
        peak_memory_bytes=128 * MIB,
    )
    return Plan(
        table=TABLE,
        version=7,
        policy=Policy(),
        target_bytes=256 * MIB,
        groups=pa.Table.from_pylist(rows, schema=GROUPS_SCHEMA),
        inputs=INPUTS_SCHEMA.empty_table(),
        reasons=pa.array([], pa.string()),
        left_out=((LeftOut.RIGHT_SIZE, 7), (LeftOut.TOO_FEW, 1202)),
        prediction=prediction if groups else Prediction(),
        partitions=pa.table({"day": pa.array(["2026-01-01", None])}),
    )


def run(status: RunStatus = RunStatus.COMMITTED, **changes: object) -> Run:
    values: dict[str, object] = {
        "run_id": "run-1",
        "table": TABLE.uri,
        "status": status,
        "version": 8,
        "files_removed": 1801,
        "files_added": 5,
        "bytes_removed": 720 * MIB,
        "bytes_added": 700 * MIB,
        "rows": 900_000,
        "groups_planned": 3,
        "groups_committed": 2,
        "groups_dropped": (GroupDropped(group_id=2, reason="input-vanished", detail="day=null/a.parquet was removed by version 8."),),
        "seconds": 12.3456,
        "peak_memory_bytes": 100 * MIB,
    }
    if status is not RunStatus.COMMITTED:
        values = {key: values[key] for key in ("run_id", "table", "status")}
    return Run(**{**values, **changes})  # type: ignore[arg-type]
