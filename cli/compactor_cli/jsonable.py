"""What `--json` prints: values of the model as plain JSON objects. The fields are documented in docs/cli.md and pinned by a test."""

from __future__ import annotations

from dataclasses import asdict

from compactor.model.health import Compact, Decision, Health
from compactor.model.plan import Plan
from compactor.model.recovery import LeftRun
from compactor.model.run import RUN_FORMAT_VERSION, Run, RunRecord
from compactor.model.usage import Usage
from compactor.model.verification import VERIFY_FORMAT_VERSION, CommitVerdict, Verdict
from compactor.planning.diff import GroupSummary, PlanDiff
from compactor.planning.explain import FileExplanation, PartitionExplanation
from compactor.service.discovery import FailedTable, Neighbour, ScanEntry
from compactor.tables.base import HistoryEntry
from compactor_cli.partitions import partition_map

SCAN_FORMAT_VERSION = 1
HISTORY_FORMAT_VERSION = 1
EXPLAIN_FORMAT_VERSION = 1
DIFF_FORMAT_VERSION = 1
PLAN_SUMMARY_FORMAT_VERSION = 1
CLEAN_FORMAT_VERSION = 1


def run_object(run: Run, *, dry_run: bool = False) -> dict[str, object]:
    """One run, how ever it ended."""
    dropped = [{"group": lost.group_id, "reason": lost.reason, "detail": lost.detail, "file": lost.file} for lost in run.groups_dropped]
    return {
        "format_version": RUN_FORMAT_VERSION,
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
        "masked_rows": run.masked_rows,
        "groups": {"planned": run.groups_planned, "committed": run.groups_committed, "dropped": dropped},
        "seconds": round(run.seconds, 3),
        "peak_memory_bytes": run.peak_memory_bytes,
        "warnings": list(run.warnings),
        "exit_code": run.exit_code,
        "why": run.why,
        "plan_id": run.plan_id,
        "predicted": usage_object(run.predicted),
        "actual": usage_object(run.actual),
        "proof": run.proof,
        "proof_readers": run.proof_readers,
        "engine": {**asdict(run.copies), "decoded": [asdict(one) for one in run.decoded]},
        "timings": None if run.timings is None else {"driver": dict(run.timings.driver), "tasks": dict(run.timings.tasks)},
    }


def usage_object(usage: Usage | None) -> dict[str, object] | None:
    """What a run takes, or took."""
    if usage is None:
        return None
    cost = usage.cost
    named = None if cost is None else {**asdict(cost), "total": cost.total}
    return {**asdict(usage), "seconds": round(usage.seconds, 3), "task_s": round(usage.task_s, 3), "cost": named}


def plan_object(plan: Plan, plan_id: str | None = None) -> dict[str, object]:
    """A plan: its groups without their files, the files left out by reason, and what it is predicted to take. plan_id: of a kept one."""
    return {
        "format_version": PLAN_SUMMARY_FORMAT_VERSION,
        "plan_id": plan_id,
        "table": plan.table.uri,
        "version": plan.version,
        "target_bytes": plan.target_bytes,
        "groups": [_group(row, plan) for row in plan.groups.to_pylist()],
        "left_out": {reason.value: count for reason, count in plan.left_out},
        "not_copied": dict(plan.not_copied),
        "prediction": usage_object(plan.prediction),
    }


def _group(row: dict[str, object], plan: Plan) -> dict[str, object]:
    kept = ("group_id", "kind", "input_files", "input_bytes", "input_rows", "output_files", "output_bytes", "memory_bytes", "generation")
    partition = row["partition_id"]
    assert isinstance(partition, int)
    return {**{name: row[name] for name in kept}, "partition": partition_map(plan, partition)}


def scan_object(entry: ScanEntry) -> dict[str, object]:
    """One line of a scan: a table, a table that could not be looked at, or a neighbour. `kind` says which."""
    head: dict[str, object] = {"format_version": SCAN_FORMAT_VERSION}
    match entry:
        case Neighbour():
            return {**head, "kind": "neighbour", "uri": entry.uri, "reason": entry.reason, "why": entry.why}
        case FailedTable():
            return {**head, "kind": "failed", "table": entry.table.uri, "exit_code": entry.exit_code, "why": entry.why}
        case _:
            named = {"kind": "table", "table": entry.table.uri, "format": entry.table.format, "version": entry.version}
            return {**head, **named, **_decision(entry.decision), **health_object(entry.health)}


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
        "encode_debt_bytes": health.encode_debt_bytes,
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
        "format_version": HISTORY_FORMAT_VERSION,
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


def commit_verdict_object(verdict: CommitVerdict) -> dict[str, object]:
    """What was found of one rewrite."""
    part = verdict.first_fault
    fault = None if part is None else {**asdict(part), "partition": dict(part.partition), "verdict": part.verdict.value}
    return {
        "format_version": VERIFY_FORMAT_VERSION,
        "version": verdict.version,
        "run_id": verdict.run_id,
        "verdict": verdict.verdict.value,
        "why": verdict.why,
        "files_removed": verdict.files_removed,
        "files_added": verdict.files_added,
        "rows": verdict.rows,
        "partitions": {kind.value: verdict.parts.get(kind, 0) for kind in Verdict},
        "first_fault": fault,
    }


def record_object(record: RunRecord) -> dict[str, object]:
    """One run of the journal."""
    return {**run_object(record.run), "ended_ms": record.ended_ms, "by": record.by}


def left_object(left: LeftRun, *, dry_run: bool) -> dict[str, object]:
    """One run that did not end cleanly."""
    return {"format_version": CLEAN_FORMAT_VERSION, **asdict(left), "state": left.state.value, "dry_run": dry_run}


def diff_object(diff: PlanDiff) -> dict[str, object]:
    """What changed between two plans."""
    ends = {
        name: {"plan_id": end.plan_id, "table": end.plan.table.uri, "version": end.plan.version, "groups": len(end.plan)}
        for name, end in (("old", diff.old), ("new", diff.new))
    }
    return {
        "format_version": DIFF_FORMAT_VERSION,
        **ends,
        "same_table": diff.same_table,
        "unchanged": diff.unchanged,
        "added": [_summary(group) for group in diff.added],
        "removed": [_summary(group) for group in diff.removed],
        "changed": [
            {"old": _summary(change.old), "new": _summary(change.new), "joined": change.joined, "left": change.left}
            for change in diff.changed
        ],
        "files": [asdict(move) for move in diff.files],
        "settings": {name: {"old": old, "new": new} for name, old, new in diff.settings},
        "left_out": {reason: {"old": old, "new": new} for reason, old, new in diff.left_out},
    }


def explanation_object(found: FileExplanation | PartitionExplanation) -> dict[str, object]:
    """A file or some partitions, told apart by `kind`."""
    head: dict[str, object] = {"format_version": EXPLAIN_FORMAT_VERSION}
    body = {name: getattr(found, name) for name in found.__dataclass_fields__}
    body["thresholds"] = asdict(found.thresholds)
    if isinstance(found, FileExplanation):
        group = None if found.group is None else _summary(found.group)
        reason = None if found.reason is None else found.reason.value
        return {**head, "kind": "file", **body, "partition": dict(found.partition), "group": group, "reason": reason}
    left_out = [{**asdict(left), "reason": left.reason.value} for left in found.left_out]
    return {**head, "kind": "partitions", **body, "groups": [_summary(group) for group in found.groups], "left_out": left_out}


def _summary(group: GroupSummary) -> dict[str, object]:
    return {**asdict(group), "partition": dict(group.partition)}
