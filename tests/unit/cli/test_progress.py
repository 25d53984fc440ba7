"""The progress sink: draws on terminals only, and keeps warnings in any case."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from support import cli_values

from compactor.model import events
from compactor.model.commit import Committed
from compactor.model.rewrite import Concat, GroupDropped, RewriteResult
from compactor_cli import progress as progress_module
from compactor_cli.progress import progress

RESULT = RewriteResult(group_id=0, attempt=0, engine="transcode", input_rows=1, outputs=(), row_map=Concat(offsets=(0,)))
STORY: list[events.Event] = [
    events.RunStarted(run_id="r", table="s3://lake/events"),
    events.SnapshotLoaded(version=7, files=2010, seconds=0.1),
    events.Planned(plan=cli_values.plan()),
    events.Warned(code="rivals", message="deltalake [1.6.6] wrote here."),
    events.GroupFinished(result=RESULT, input_files=900, input_bytes=240 * 2**20),
    events.GroupLost(dropped=GroupDropped(group_id=2, reason="input-vanished", detail="a.parquet was removed.")),
    events.CommitRetried(version=8, attempt=2),
    events.CommitLanded(
        outcome=Committed(version=9, attempts=2, groups=(0,), files_removed=1, files_added=1, bytes_removed=1, bytes_added=1, rows=1)
    ),
    events.Checkpointed(version=9, error="no memory"),
    events.RunEnded(run=cli_values.run()),
]


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """In a log file there are warnings, on stderr, and nothing else."""
    with progress() as sink:
        for event in STORY:
            sink(event)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "Warning: deltalake [1.6.6] wrote here.\nNo checkpoint was written: no memory\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: files, bytes, rate and time left while it runs; losses and warnings stay on the screen."""
    screen = io.StringIO()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress_module, "_console", lambda: Console(file=screen, force_terminal=True, width=200))
    with progress() as sink:
        for event in STORY:
            sink(event)
            if isinstance(event, events.GroupFinished):
                sink.__self__.refresh()  # type: ignore[attr-defined]
    shown = screen.getvalue()
    for part in (
        "900/1,801 files",
        "240.0/720.0 MiB",
        "Group 2 was dropped: a.parquet was removed.",
        "Warning: deltalake [1.6.6] wrote here.",
    ):
        assert part in shown
