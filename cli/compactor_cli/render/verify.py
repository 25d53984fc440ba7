"""Verdicts on rewrites as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from compactor.model.verification import CommitVerdict, PartVerdict, Verdict, Verification
from compactor_cli.output import counted

_WORDS = {
    Verdict.EQUAL: "equal",
    Verdict.RECORDED: "as recorded",
    Verdict.NOT_VERIFIABLE: "not verifiable",
    Verdict.DAMAGED: "damaged",
    Verdict.DIFFERS: "DIFFERS",
}
_MOST_FILES = 10


def commit_lines(verdict: CommitVerdict) -> list[str]:
    """One line a commit, and its first fault below it."""
    rows = "" if verdict.rows is None else f", {counted(verdict.rows, 'row')}"
    removed = counted(verdict.files_removed, "file")
    head = f"version {verdict.version}: {removed} -> {verdict.files_added:,}{rows}: {_WORDS[verdict.verdict]}"
    if verdict.verdict in (Verdict.EQUAL, Verdict.RECORDED):
        return [head]
    return [f"{head}: {verdict.why}", *(_fault_lines(verdict.first_fault) if verdict.first_fault else ())]


def _fault_lines(part: PartVerdict) -> list[str]:
    more = len(part.files) - _MOST_FILES
    return [
        f"  partition {_partition(part.partition)}: {_rows(part.rows_removed)} removed, {_rows(part.rows_added)} added",
        *(f"  {path}" for path in part.files[:_MOST_FILES]),
        *([f"  and {more:,} more"] if more > 0 else []),
    ]


def _rows(rows: int | None) -> str:
    return "an unknown number of rows" if rows is None else counted(rows, "row")


def _partition(values: Mapping[str, str | None]) -> str:
    return "/".join(f"{name}={'null' if value is None else value}" for name, value in values.items()) or "(whole table)"


def summary_line(found: Verification) -> str:
    """All commits in a line."""
    counts = Counter(commit.verdict for commit in found.commits)
    if not counts:
        return f"{found.table}: the log retains no commits of ours, so there is nothing to verify"
    told = ", ".join(f"{counts[verdict]:,} {_WORDS[verdict].lower()}" for verdict in Verdict if counts[verdict])
    return f"{found.table}: {counted(len(found.commits), 'rewrite')}: {told}"


def fault_line(found: Verification) -> str:
    """The sentence for stderr when a verification fails."""
    bad = next(commit for commit in found.commits if commit.verdict in (Verdict.DIFFERS, Verdict.DAMAGED))
    part = f", partition {_partition(bad.first_fault.partition)}" if bad.first_fault else ""
    return f"{found.table}, version {bad.version}{part}: {bad.why}"
