"""A plan as text: what it takes in all, the partitions it touches, and why the other files are left alone."""

from __future__ import annotations

from compactor.model.plan import LeftOut, Plan
from compactor.units import format_bytes, format_seconds
from compactor_cli.output import aligned
from compactor_cli.partitions import partition_name
from compactor_cli.render.usage import surroundings

SHOWN_PARTITIONS = 20

WHY_LEFT_OUT: dict[LeftOut, str] = {
    LeftOut.RIGHT_SIZE: "are of the right size",
    LeftOut.TOO_FEW: "have too few small neighbours in their partition",
    LeftOut.TOO_YOUNG: "landed less than --min-age ago",
    LeftOut.BUSY: "are in partitions that others wrote to less than --quiet-period ago",
    LeftOut.OTHER_PARTITION: "are in partitions that --where excludes",
    LeftOut.FINISHED: "were finished by an earlier compaction for a comparable target",
    LeftOut.WRITE_AMPLIFICATION: "would be rewritten more often than --max-write-amplification allows",
    LeftOut.GROUP_CAP: "are beyond --max-groups",
    LeftOut.BYTE_CAP: "are beyond --max-bytes",
    LeftOut.UNREADABLE: "must not be rewritten",
    LeftOut.QUARANTINED: "were found damaged by an earlier run (`compactor explain` says how)",
    LeftOut.INDIVISIBLE: "are oversized, but hold a single row",
    LeftOut.NOTHING_TO_PURGE: "hold nothing to purge",
    LeftOut.CLUSTERED: "belong to the table's clustering, which a plain rewrite would undo",
}


def plan_lines(plan: Plan) -> list[str]:
    """The whole plan in at most a screen or so."""
    head = f"{plan.table.uri}, version {plan.version}, target {format_bytes(plan.target_bytes)}"
    if not len(plan):
        return [f"{head}: nothing to do", *_left_out(plan)]
    return [head, *_prediction(plan), "", *_partitions(plan), *_left_out(plan)]


def _prediction(plan: Plan) -> list[str]:
    predicted = plan.prediction
    rows = [
        ("groups", f"{len(plan):,}"),
        ("files", f"{predicted.input_files:,} -> {predicted.output_files:,}"),
        ("bytes", f"{format_bytes(predicted.input_bytes)} -> about {format_bytes(predicted.output_bytes)}"),
        *_copied(plan),
        ("requests", f"about {predicted.requests:,}"),
        ("time", f"about {format_seconds(predicted.seconds)}"),
        ("memory", f"at most {format_bytes(predicted.peak_memory_bytes)}"),
        *surroundings(predicted),
    ]
    return aligned(rows, indent="  ")


def _copied(plan: Plan) -> list[tuple[str, str]]:
    """What is copied as it is encoded, what is merged, and why the rest is neither, where anything is."""
    copied, merged = plan.prediction.copied_bytes, plan.prediction.merged_bytes
    rows = [("copied", f"about {format_bytes(copied)} as it is encoded")] if copied else []
    rows += [("merged", f"about {format_bytes(merged)} of small files page by page")] if merged else []
    if plan.not_copied and (rows or [code for code, _ in plan.not_copied] != ["small"]):
        rows.append(("decoded", ", ".join(f"{format_bytes(found)} ({code})" for code, found in plan.not_copied)))
    return rows


def _partitions(plan: Plan) -> list[str]:
    sums = [("group_id", "count"), ("input_files", "sum"), ("input_bytes", "sum"), ("output_files", "sum"), ("kind", "distinct")]
    table = plan.groups.group_by("partition_id", use_threads=False).aggregate(sums)
    rows = sorted(table.to_pylist(), key=lambda row: (row["output_files_sum"] - row["input_files_sum"], row["partition_id"]))
    lines = [("PARTITION", "GROUPS", "FILES", "BECOME", "SIZE", "WHY")]
    for row in rows[:SHOWN_PARTITIONS]:
        numbers = (
            f"{row['group_id_count']:,}",
            f"{row['input_files_sum']:,}",
            f"{row['output_files_sum']:,}",
            format_bytes(row["input_bytes_sum"]),
        )
        lines.append((partition_name(plan, row["partition_id"]), *numbers, " and ".join(sorted(row["kind_distinct"]))))
    rest = len(rows) - SHOWN_PARTITIONS
    tail = [f"  … and {rest:,} more partitions"] if rest > 0 else []
    return [*aligned(lines, right=frozenset({1, 2, 3, 4}), indent="  "), *tail]


def _left_out(plan: Plan) -> list[str]:
    counted = [(f"{count:,}", f"files {WHY_LEFT_OUT[reason]}") for reason, count in plan.left_out if count]
    return ["", "Left alone:", *aligned(counted, right=frozenset({0}), indent="  ")] if counted else []
