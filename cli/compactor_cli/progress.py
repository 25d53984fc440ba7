"""The progress bar: a sink of events that draws on stderr, when that is a terminal, and passes warnings on in any case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from compactor.model import events
from compactor_cli.output import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Sink = Callable[[events.Event], None]


@contextmanager
def progress() -> Iterator[Sink]:
    """A sink for the time of one run. Bars: files, bytes, rate, time left."""
    if not sys.stderr.isatty():
        yield _quiet
        return
    with _bars() as bars:
        yield _Drawn(bars).on


def _quiet(event: events.Event) -> None:
    match event:
        case events.Warned():
            say(f"Warning: {event.message}")
        case events.Checkpointed(error=error) if error:
            say(f"No checkpoint was written: {error}")
        case _:
            pass


class _Drawn:
    """The bar of one run: what has been read of what the plan wants to read."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("Loading the log", total=None, files="")
        self._files = 0
        self._planned_files = 0

    def on(self, event: events.Event) -> None:
        """Draw one event."""
        match event:
            case events.SnapshotLoaded():
                self._say(f"Planning {event.files:,} files of version {event.version}")
            case events.Planned(plan=plan) if len(plan):
                self._planned_files = plan.prediction.input_files
                self._bars.reset(
                    self._task, description="Rewriting", total=plan.prediction.input_bytes, files=f"0/{self._planned_files:,} files"
                )
            case events.GroupFinished():
                self._advance(event.input_files, event.input_bytes)
            case events.GroupLost():
                self._print(f"Group {event.dropped.group_id} was dropped: {event.dropped.detail}")
            case events.CommitRetried():
                self._say(f"Committing (version {event.version} went to another writer, attempt {event.attempt})")
            case events.CommitLanded():
                self._say(f"Committed version {event.outcome.version}")
            case events.Checkpointed(error=error) if error:
                self._print(f"No checkpoint was written: {error}")
            case events.Warned():
                self._print(f"Warning: {event.message}")
            case _:
                pass

    def refresh(self) -> None:
        """Draw now."""
        self._bars.refresh()

    def _advance(self, files: int, size_bytes: int) -> None:
        self._files += files
        self._bars.update(self._task, advance=size_bytes, files=f"{self._files:,}/{self._planned_files:,} files")

    def _say(self, text: str) -> None:
        self._bars.update(self._task, description=text)

    def _print(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _bars() -> Progress:
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[files]}"),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=_console(),
        transient=True,
    )
