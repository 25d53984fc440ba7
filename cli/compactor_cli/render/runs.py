"""The journal as text: one line a run, newest first; a run that did not land says why below it."""

from __future__ import annotations

from collections.abc import Sequence

from compactor.model.run import Run, RunRecord
from compactor.units import format_bytes, format_seconds
from compactor_cli.output import aligned
from compactor_cli.render.history import utc
from compactor_cli.render.usage import money

_SIGNALLED = (130, 143)
_HEADER = ("ENDED (UTC)", "STATUS", "VERSION", "FILES", "BYTES", "TIME", "PREDICTED", "COST", "BY", "RUN", "WHY")


def runs_lines(records: Sequence[RunRecord]) -> list[str]:
    """When, how it ended, what it saved, how long it took and was predicted to, what it cost, who, which, why."""
    if not records:
        return ["No run of ours has written anything here."]
    return aligned([_HEADER, *map(_row, records)], right=frozenset({2, 5, 6, 7}))


def _row(record: RunRecord) -> tuple[str, ...]:
    run = record.run
    return (
        utc(record.ended_ms or None),
        "interrupted" if run.exit_code in _SIGNALLED else run.status.value,
        "-" if run.version is None or not run.groups_committed else str(run.version),
        f"-{run.files_removed:,} +{run.files_added:,}",
        f"-{format_bytes(run.bytes_removed)} +{format_bytes(run.bytes_added)}",
        format_seconds(run.seconds),
        "-" if run.predicted is None else format_seconds(run.predicted.seconds),
        "-" if run.actual is None else money(run.actual),
        record.by or "-",
        run.run_id,
        _why(run),
    )


def _why(run: Run) -> str:
    """Why it ran, and why it failed where it did."""
    return " ".join(" ".join(text.split()) for text in (run.why, run.reason) if text) or "-"
