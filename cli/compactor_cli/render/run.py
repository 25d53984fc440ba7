"""A run as text: how it ended, and the table before and after."""

from __future__ import annotations

from compactor.model.health import Health
from compactor.model.run import Run, RunStatus
from compactor.units import format_bytes, format_seconds
from compactor_cli.guard import one_sentence
from compactor_cli.output import aligned, counted
from compactor_cli.render.usage import compared

_PROOFS = {
    "counts": "counts: as many rows out as in",
    "bytes": "bytes: read again, row groups that were copied are the same bytes, and rows that were decoded the same rows",
    "full": "full: the rows of the outputs, read again, are those of the inputs",
}
_ENDED = {
    RunStatus.COMMITTED: "committed",
    RunStatus.PLANNED: "planned, nothing written",
    RunStatus.NOTHING_TO_DO: "nothing to do",
    RunStatus.REFUSED: "refused",
    RunStatus.CONFLICT: "gave up on conflicts, nothing committed",
    RunStatus.FAILED: "failed",
}


def run_lines(run: Run, before: Health | None) -> list[str]:
    """For stdout. `before` is the table as it was assessed at the start of the run, when it got that far."""
    if run.status is not RunStatus.COMMITTED and not run.groups_committed:
        return [outcome_line(run)]
    rows = []
    if before is not None:
        rows += [
            ("files", f"{before.files:,} -> {before.files - run.files_removed + run.files_added:,}"),
            ("size", f"{format_bytes(before.bytes)} -> {format_bytes(before.bytes - run.bytes_removed + run.bytes_added)}"),
        ]
    taken = counted(run.files_removed, "file")
    rows += [
        ("rewritten", f"{taken} ({format_bytes(run.bytes_removed)}) -> {run.files_added:,} ({format_bytes(run.bytes_added)})"),
        ("rows", f"{run.rows:,} in, {run.rows:,} out{_masked(run)}"),
        *_engines(run),
        *([("proof", _PROOFS[run.proof])] if run.proof else []),
        ("groups", f"{run.groups_committed:,} of {run.groups_planned:,} committed"),
        ("memory", f"{format_bytes(run.peak_memory_bytes)} at the peak"),
        ("time", format_seconds(run.seconds)),
        ("run id", run.run_id),
    ]
    dropped = [f"  group {lost.group_id} was dropped ({lost.reason}): {lost.detail}" for lost in run.groups_dropped]
    return [outcome_line(run), *aligned(rows, indent="  "), *compared(run), *dropped, *_timings(run)]


def _timings(run: Run) -> list[str]:
    """Where the time went, the longest stages first."""
    if run.timings is None:
        return []
    lines = []
    for what, stages in (("the run", run.timings.driver), ("its tasks, threads beside each other added up", run.timings.tasks)):
        rows = [(name, f"{seconds:.3f} s") for name, seconds in sorted(stages, key=lambda found: -found[1])]
        lines += [f"  where the time of {what} went", *aligned(rows, indent="    ")]
    return lines


def _engines(run: Run) -> list[tuple[str, str]]:
    """What was copied as it was or merged page by page, and why the rest was neither, unless that goes without saying."""
    copies, rows = run.copies, []
    if copies.row_groups:
        stored = f", {format_bytes(copies.stored_bytes)} of it by the store itself" if copies.stored_bytes else ""
        rows.append(("copied", f"{counted(copies.row_groups, 'row group')} ({format_bytes(copies.bytes)}) as they were{stored}"))
    if copies.merged_files:
        rows.append(("merged", f"{counted(copies.merged_files, 'file')} ({format_bytes(copies.merged_bytes)}) page by page"))
    if run.decoded and (rows or any(one.code not in ("asked", "small") for one in run.decoded)):
        rows.append(("decoded", ", ".join(f"{format_bytes(one.bytes)} ({one.code})" for one in run.decoded)))
    return rows


def _masked(run: Run) -> str:
    if not run.masked_rows:
        return ""
    return f"; {counted(run.masked_rows, 'row')} deleted by others meanwhile and marked so in the outputs"


def failure_line(run: Run) -> str:
    """What is said of a run that did not end well. A reason that names the table already is not introduced by its name again."""
    if run.reason and "/" in run.table and run.table in run.reason:
        return one_sentence(run.reason)
    return outcome_line(run)


def outcome_line(run: Run) -> str:
    """One line: table, status, version, reason."""
    version = f" version {run.version}" if run.status is RunStatus.COMMITTED and run.version is not None else ""
    ended = f"{run.table}: {_ENDED[run.status]}{version}"
    return one_sentence(f"{ended}: {run.reason}") if run.reason else ended
