"""An explanation as text: the facts beside the thresholds, then the sentence, then what would change it."""

from __future__ import annotations

from compactor.planning.diff import GroupSummary
from compactor.planning.explain import FileExplanation, PartitionExplanation, Thresholds
from compactor.units import format_bytes, format_seconds
from compactor_cli.output import aligned
from compactor_cli.partitions import joined

SHOWN_GROUPS = 20


def explanation_lines(found: FileExplanation | PartitionExplanation) -> list[str]:
    """One file, or the files of some partitions."""
    return _file(found) if isinstance(found, FileExplanation) else _partitions(found)


def _file(file: FileExplanation) -> list[str]:
    limits = file.thresholds
    rows = [
        ("partition", joined(file.partition)),
        ("size", f"{format_bytes(file.size_bytes)}: {file.size_class} ({_sizes(limits)})"),
        ("rows", _rows(file)),
        ("rewritten", f"{file.generation} times of at most {limits.max_write_amplification}"),
    ]
    if file.finished_for_bytes is not None:
        rows.append(("finished", f"for a target of {format_bytes(file.finished_for_bytes)}"))
    if limits.min_age_s:
        age = "unknown" if file.age_s is None else format_seconds(file.age_s)
        rows.append(("age", f"{age} (waits until {format_seconds(limits.min_age_s)})"))
    rows.append(("planned", f"no ({file.reason})" if file.group is None else f"yes, in group {file.group.group_id} ({file.group.kind})"))
    change = [f"What would change it: {file.change}"] if file.change else []
    return [f"{file.path} in {file.table}, version {file.version}", *aligned(rows, indent="  "), file.why, *change]


def _rows(file: FileExplanation) -> str:
    if file.rows is None:
        return f"unknown, {file.deleted_rows:,} deleted"
    share = f" ({file.deleted_rows / file.rows:.1%}; rewritten above {file.thresholds.max_deleted_ratio:.0%})" if file.rows else ""
    return f"{file.rows:,}, {file.deleted_rows:,} deleted{share}"


def _sizes(limits: Thresholds) -> str:
    small, large = format_bytes(limits.small_below_bytes), format_bytes(limits.oversized_above_bytes)
    return f"small below {small}, oversized above {large}, target {format_bytes(limits.target_bytes)}"


def _partitions(found: PartitionExplanation) -> list[str]:
    limits = found.thresholds
    where = "the whole table" if found.selected is None else found.selected
    planned = sum(group.input_files for group in found.groups)
    rows = [
        ("partitions", f"{found.partitions:,}"),
        ("files", f"{found.files:,} ({format_bytes(found.bytes)}), {found.small_files:,} small, {found.oversized_files:,} oversized"),
        ("sizes", _sizes(limits)),
        ("a merge", f"of at least {limits.min_input_files} files, finished from {format_bytes(limits.fills_at_bytes)}"),
        ("planned", f"{planned:,} files in {len(found.groups):,} groups"),
    ]
    lines = [f"{where} in {found.table}, version {found.version}", *aligned(rows, indent="  ")]
    lines += [f"  {_group(group)}" for group in found.groups[:SHOWN_GROUPS]]
    if len(found.groups) > SHOWN_GROUPS:
        lines.append(f"  … and {len(found.groups) - SHOWN_GROUPS:,} more groups")
    for left in found.left_out:
        counted = "1 file" if left.files == 1 else f"{left.files:,} files"
        lines.append(f"{counted} ({format_bytes(left.bytes)}) left alone, {left.reason}: {left.why}")
        lines.append(f"  What would change it: {left.change}")
    return lines


def _group(group: GroupSummary) -> str:
    size = format_bytes(group.input_bytes)
    taken = f"{group.input_files:,} files ({size}) of {joined(group.partition)}"
    return f"group {group.group_id}: {group.kind} {taken} into {group.output_files:,}"
