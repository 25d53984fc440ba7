"""What changed between two plans, as text: at most a screen or so; `--json` has all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compactor.model.plan import SavedPlan
from compactor.planning.diff import FileMove, GroupChange, GroupSummary, PlanDiff
from compactor.units import format_bytes
from compactor_cli.output import aligned
from compactor_cli.partitions import joined

SHOWN = 20
"""Groups of each kind, and files, that are shown."""


def diff_lines(diff: PlanDiff) -> list[str]:
    """Both plans, then settings, groups, files and reasons that differ."""
    lines = [*aligned([_end("old", diff.old), _end("new", diff.new)])]
    if not diff.same_table:
        lines.append("They are for different tables.")
    if diff.empty:
        return [*lines, f"No difference in {diff.unchanged:,} groups."]
    lines += [f"{name}: {_said(old)} -> {_said(new)}" for name, old, new in diff.settings]
    lines += _some([f"+ {_group(group)}" for group in diff.added], "groups")
    lines += _some([f"- {_group(group)}" for group in diff.removed], "groups")
    lines += _some([f"~ {_change(change)}" for change in diff.changed], "groups")
    lines.append(f"= {diff.unchanged:,} groups are the same")
    lines += _files(diff.files)
    lines += [f"left alone, {reason}: {old:,} -> {new:,}" for reason, old, new in diff.left_out]
    return lines


def _end(name: str, saved: SavedPlan) -> tuple[str, ...]:
    plan = saved.plan
    size = format_bytes(plan.prediction.input_bytes)
    return (
        name,
        saved.plan_id[:12],
        f"{plan.table.uri} version {plan.version}: {len(plan):,} groups, {plan.inputs.num_rows:,} files, {size}",
    )


def _said(value: object) -> str:
    return "-" if value is None else str(value)


def _group(group: GroupSummary) -> str:
    taken = f"{group.input_files:,} files ({format_bytes(group.input_bytes)})"
    return f"group {group.group_id} {group.kind} {joined(group.partition)}: {taken} -> {group.output_files:,}"


def _change(change: GroupChange) -> str:
    number = f" (was {change.old.group_id})" if change.old.group_id != change.new.group_id else ""
    kind = change.new.kind if change.new.kind == change.old.kind else f"{change.old.kind}, now {change.new.kind},"
    files = f"{change.old.input_files:,} files (+{change.joined:,} -{change.left:,}) = {change.new.input_files:,}"
    become = f"{change.old.output_files:,} -> {change.new.output_files:,} outputs"
    return f"group {change.new.group_id}{number} {kind} {joined(change.new.partition)}: {files}, {become}"


def _files(moves: Sequence[FileMove]) -> Iterator[str]:
    if not moves:
        return
    joining = sum(move.old_group is None and move.new_group is not None for move in moves)
    leaving = sum(move.old_group is not None and move.new_group is None for move in moves)
    alone = sum(move.old_group is None and move.new_group is None for move in moves)
    otherwise = f", {alone:,} left alone for another reason" if alone else ""
    within = len(moves) - joining - leaving - alone
    yield f"files: {joining:,} newly planned, {leaving:,} no longer planned, {within:,} in another group{otherwise}"
    lines = [f"  {move.path}: {_place(move.old_group, move.old_reason)} -> {_place(move.new_group, move.new_reason)}" for move in moves]
    yield from _some(lines, "files")


def _place(group: int | None, reason: str | None) -> str:
    if group is not None:
        return f"group {group}"
    return f"left alone ({reason})" if reason else "not planned"


def _some(lines: list[str], what: str) -> list[str]:
    rest = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"  … and {rest:,} more {what}"] if rest > 0 else [])]
