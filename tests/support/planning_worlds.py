"""Small tables for planning tests: live files as values, a Snapshot of them, and what a table holds after a plan was carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from compactor.model.plan import Plan, Resources
from compactor.model.policy import MIB, Policy
from compactor.model.snapshot import FILES_SCHEMA, PartitionColumn, Snapshot, TableRef
from compactor.model.survey import Survey
from compactor.planning.cost import Assumptions
from compactor.planning.plan import plan

RESOURCES = Resources(parallelism=4, memory_bytes=512 * MIB)
BYTES_A_ROW = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldFile:
    """One live file. rewrites: how often any of its bytes has really been rewritten, counted by the test and not by a tag."""

    path: str
    size_bytes: int
    partition: str | None = None
    rows: int | None = None
    deleted_rows: int = 0
    generation: int = 0
    finished_for_bytes: int | None = None
    debt_bytes: int | None = None
    clustered: bool = False
    modified_ms: int = 0
    landed_ms: int = 0
    rewrites: int = 0


def snapshot_of(files: Sequence[WorldFile], *, now_ms: int = 0, partition_type: str = "string") -> Snapshot:
    """A snapshot with these files, in this row order. Partition ids follow the sorted partition values (column `p`)."""
    values = sorted({f.partition for f in files}, key=lambda v: (v is not None, v or ""))
    partitioned = any(v is not None for v in values)
    ids = {value: i for i, value in enumerate(values)}
    columns = {
        "path": [f.path for f in files],
        "size_bytes": [f.size_bytes for f in files],
        "rows": [f.rows for f in files],
        "deleted_rows": [f.deleted_rows for f in files],
        "deletes_id": [f"dv-{f.path}" if f.deleted_rows else None for f in files],
        "partition_id": [ids[f.partition] for f in files],
        "modified_ms": [f.modified_ms for f in files],
        "landed_ms": [f.landed_ms for f in files],
        "generation": [f.generation for f in files],
        "finished_for_bytes": [f.finished_for_bytes for f in files],
        "encode_debt_bytes": [f.debt_bytes for f in files],
        "clustered": [f.clustered for f in files],
        "source": [0] * len(files),
        "source_row": list(range(len(files))),
    }
    return Snapshot(
        table=TableRef(uri="memory://table"),
        version=7,
        table_id="table",
        properties={},
        features=frozenset(),
        partition_columns=(PartitionColumn(name="p", physical_name="p", type=partition_type),) if partitioned else (),
        partitions=pa.table({"p": pa.array(values, pa.string())}) if partitioned else pa.table([pa.nulls(1)], names=["_"]).select([]),
        files=pa.table(columns, schema=FILES_SCHEMA),
        store_now_ms=now_ms,
    )


def plan_of(files: Sequence[WorldFile], policy: Policy, *, now_ms: int = 0, compression: float = 1.0) -> Plan:
    """The plan for these files, when `compression` bytes are predicted for each byte that others wrote."""
    return plan(snapshot_of(files, now_ms=now_ms), Survey(), policy, RESOURCES, assumptions=Assumptions(compression=compression))


def carried_out(files: Sequence[WorldFile], done: Plan, factor: Callable[[], float], *, at_ms: int = 10**9) -> list[WorldFile]:
    """The live files after every group of `done` has been rewritten; each output has `factor()` times the size that was predicted."""
    live = list(files)
    after: list[WorldFile | None] = list(files)
    made: list[WorldFile] = []
    for group in done:
        inputs = [live[i] for i in group.files]
        for i in group.files:
            after[i] = None
        base = replace(
            inputs[0],
            deleted_rows=0,
            generation=group.generation,
            finished_for_bytes=done.target_bytes if group.finishes else None,
            debt_bytes=None,
            modified_ms=at_ms,
            rewrites=1 + max(f.rewrites for f in inputs),
        )
        for i in range(group.output_files):
            share = group.output_bytes // group.output_files
            rows = None if group.input_rows is None else max(1, group.input_rows // group.output_files)
            size = max(1, int(share * factor()))
            made.append(replace(base, path=f"{at_ms}-{group.group_id}-{i}", size_bytes=size, rows=rows))
    return [f for f in after if f is not None] + made
