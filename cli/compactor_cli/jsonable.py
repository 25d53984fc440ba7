"""What `--json` prints: values of the model as plain JSON objects. The fields are documented in docs/cli.md and pinned by a test."""

from __future__ import annotations

from compactor.model.health import Compact, Decision, Health
from compactor.model.plan import Plan
from compactor.model.run import Run
from compactor.model.snapshot import Snapshot
from compactor.service.discovery import FailedTable, Neighbour, ScanEntry
from compactor.tables.base import HistoryEntry
from compactor_cli.partitions import partition_map


def run_object(run: Run, *, dry_run: bool = False) -> dict[str, object]:
    """One run, how ever it ended."""
    dropped = [{"group": lost.group_id, "reason": lost.reason, "detail": lost.detail, "file": lost.file} for lost in run.groups_dropped]
    return {
        "table": run.table,
        "run_id": run.run_id,
        "dry_run": dry_run,
        "status": run.status.value,
        "reason": run.reason,
        "version": run.version,
        "files_removed": run.files_removed,
        "files_added": run.files_added,
        "bytes_removed": run.bytes_removed,
        "bytes_added": run.bytes_added,
        "rows": run.rows,
        "groups": {"planned": run.groups_planned, "committed": run.groups_committed, "dropped": dropped},
        "seconds": round(run.seconds, 3),
        "peak_memory_bytes": run.peak_memory_bytes,
        "warnings": list(run.warnings),
        "exit_code": run.exit_code,
    }


def plan_object(plan: Plan, snapshot: Snapshot) -> dict[str, object]:
    """A plan: its groups without their files, the files left out by reason, and what it is predicted to take."""
    predicted = plan.prediction
    return {
        "table": plan.table.uri,
        "version": plan.version,
        "target_bytes": plan.target_bytes,
        "groups": [_group(row, snapshot) for row in plan.groups.to_pylist()],
        "left_out": {reason.value: count for reason, count in plan.left_out},
        "prediction": {
            "input_files": predicted.input_files,
            "input_bytes": predicted.input_bytes,
            "output_files": predicted.output_files,
            "output_bytes": predicted.output_bytes,
            "requests": predicted.requests,
            "seconds": round(predicted.seconds, 3),
            "peak_memory_bytes": predicted.peak_memory_bytes,
        },
    }


def _group(row: dict[str, object], snapshot: Snapshot) -> dict[str, object]:
    kept = ("group_id", "kind", "input_files", "input_bytes", "input_rows", "output_files", "output_bytes", "memory_bytes", "generation")
    partition = row["partition_id"]
    assert isinstance(partition, int)
    return {**{name: row[name] for name in kept}, "partition": partition_map(snapshot, partition)}


def scan_object(entry: ScanEntry) -> dict[str, object]:
    """One line of a scan: a table, a table that could not be looked at, or a neighbour. `kind` says which."""
    match entry:
        case Neighbour():
            return {"kind": "neighbour", "uri": entry.uri, "reason": entry.reason, "why": entry.why}
        case FailedTable():
            return {"kind": "failed", "table": entry.table.uri, "exit_code": entry.exit_code, "why": entry.why}
        case _:
            head: dict[str, object] = {"kind": "table", "table": entry.table.uri, "format": entry.table.format, "version": entry.version}
            return {**head, **_decision(entry.decision), **health_object(entry.health)}


def _decision(decision: Decision) -> dict[str, object]:
    if isinstance(decision, Compact):
        return {"decision": "compact", "reason": None, "why": decision.why}
    return {"decision": "skip", "reason": decision.reason, "why": decision.why}


def health_object(health: Health) -> dict[str, object]:
    """Health of a whole table, with its histogram."""
    return {
        "target_bytes": health.target_bytes,
        "files": health.files,
        "bytes": health.bytes,
        "rows": health.rows,
        "deleted_rows": health.deleted_rows,
        "small_files": health.small_files,
        "small_bytes": health.small_bytes,
        "oversized_files": health.oversized_files,
        "oversized_bytes": health.oversized_bytes,
        "deletes_heavy_files": health.deletes_heavy_files,
        "partitions": health.partitions.num_rows,
        "scan_requests": health.scan_requests,
        "histogram": [
            {"from_bytes": bucket.from_bytes, "to_bytes": bucket.to_bytes, "files": bucket.files, "bytes": bucket.bytes}
            for bucket in health.histogram
        ],
    }


def history_object(entry: HistoryEntry) -> dict[str, object]:
    """One version of a table."""
    return {
        "version": entry.version,
        "timestamp_ms": entry.timestamp_ms,
        "operation": entry.operation,
        "engine": entry.engine,
        "run_id": entry.run_id,
        "files_removed": entry.files_removed,
        "files_added": entry.files_added,
        "bytes_removed": entry.bytes_removed,
        "bytes_added": entry.bytes_added,
    }
