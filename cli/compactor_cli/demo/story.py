"""The story that the demo tells, step by step. Every number it shows was measured in that very run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

import compactor
from compactor.ambient.system import SystemClock
from compactor.errors import ExecutionFailed
from compactor.model.health import Health
from compactor.model.run import Run, RunStatus
from compactor.settings import Settings
from compactor.units import format_bytes, format_seconds
from compactor_cli.demo.endpoint import REGION, endpoint
from compactor_cli.demo.judge import compare, read
from compactor_cli.demo.stream import DAYS, TABLE, Background, Writer
from compactor_cli.progress import progress
from compactor_cli.render.history import history_lines
from compactor_cli.render.plan import plan_lines
from compactor_cli.render.run import run_lines
from compactor_cli.render.scan import health_lines, small_share

if TYPE_CHECKING:
    from rich.status import Status

APPENDS = 70
OVERSIZED = 3
OVERSIZED_ROWS = 400_000
TARGET = "2MiB"
_PAUSE_S = 0.25


def tell() -> int:
    """The whole demo; 0 when the proof holds. Raises ProofFailed when it does not."""
    clock = SystemClock()
    started_s = clock.monotonic_s()
    console = Console(highlight=False, soft_wrap=True)
    with endpoint() as url:
        _Story(console, url).tell()
    console.print(f"\n[bold green]The demo took {format_seconds(clock.monotonic_s() - started_s)}; nothing of it remains.[/]")
    return 0


class _Story:
    """One telling."""

    def __init__(self, console: Console, url: str) -> None:
        self._console = console
        self._url = url
        self._writer = Writer(url)
        self._settings = Settings(endpoint_url=url, region=REGION, path_style=True, target_size=TARGET, memory="512MiB")

    def tell(self) -> None:
        self._stream()
        before = self._health()
        self._plan()
        self._compact()
        self._compact_again()
        self._prove()
        self._end(before)

    def _stream(self) -> None:
        self._chapter("1. A writer (deltalake) streams events into a table on an S3-compatible store on loopback")
        with self._status("Streaming") as status:
            for number in range(APPENDS):
                self._writer.append()
                status.update(f"Streaming: append {number + 1} of {APPENDS}")
            for number in range(OVERSIZED):
                status.update(f"Backfilling: big file {number + 1} of {OVERSIZED}")
                self._writer.append(range(number, number + 1), OVERSIZED_ROWS)
        self._console.print(
            f"{APPENDS} appends to {DAYS} days' partitions and {OVERSIZED} backfills: the ledger has {self._writer.ledger.rows:,} rows."
        )

    def _health(self) -> Health:
        self._chapter("2. What a reader meets", f"compactor scan {TABLE} --target-size {TARGET}")
        health = compactor.assess(TABLE, settings=self._settings)
        self._show_health(health)
        return health

    def _plan(self) -> None:
        self._chapter("3. What a run would do", f"compactor plan {TABLE} --target-size {TARGET}")
        plan = compactor.plan(TABLE, settings=self._settings)
        self._lines(plan_lines(plan))

    def _compact(self) -> None:
        """The run on Ray, with the writer beside it. Raises ExecutionFailed when it does not commit."""
        self._chapter("4. Compaction on Ray, while the writer goes on", f"compactor run {TABLE} --target-size {TARGET} --ray-address local")
        landed_before = self._writer.appends
        background = Background(self._writer, _PAUSE_S)
        background.start()
        try:
            run = self._run(self._settings.model_copy(update={"executor": "ray", "ray_address": "local"}))
        finally:
            background.stop()
        if run.status is not RunStatus.COMMITTED:
            raise ExecutionFailed(f"The compaction ended as {run.status.value}: {run.reason or 'there was nothing to do'}")
        self._console.print(f"{self._writer.appends - landed_before} appends of the writer landed in the meantime; none was disturbed:")
        ours = run.version or 0
        entries = compactor.history(TABLE, settings=self._settings)
        self._lines(history_lines([entry for entry in entries if abs(entry.version - ours) <= 2]))

    def _compact_again(self) -> None:
        """In-process this time: what came in meanwhile, and then nothing more, because a compacted table is a fixed point."""
        self._chapter(
            "5. Two more runs, in-process: one for what came in meanwhile, one that finds nothing to do", f"compactor run {TABLE}"
        )
        self._run(self._settings)
        again = self._run(self._settings)
        if again.status is not RunStatus.NOTHING_TO_DO:
            raise ExecutionFailed(f"A run on a compacted table must find nothing to do, but this one ended as {again.status.value}.")

    def _prove(self) -> None:
        self._chapter("6. The proof: deltalake's SQL engine reads everything, and its sums are compared with the writer's ledger")
        with self._status("Reading"):
            found = read(self._url)
        compare(self._writer.ledger, found)
        shown = Table("", "written", "read", box=None, pad_edge=False)
        shown.add_row("rows", f"{self._writer.ledger.rows:,}", f"{found.rows:,}")
        for (name, written), (_, was_read) in zip(self._writer.ledger.sums, found.sums, strict=True):
            shown.add_row(name, f"{written:016x}", f"{was_read:016x}")
        self._console.print(shown)
        self._console.print("[bold green]No row was lost, doubled or changed.[/]")

    def _end(self, before: Health) -> None:
        self._chapter("7. What a reader meets now", f"compactor scan {TABLE} --target-size {TARGET}")
        after = compactor.assess(TABLE, settings=self._settings)
        self._show_health(after)
        shown = Table("", "before", "after", box=None, pad_edge=False)
        for name, was, now in (
            ("files", f"{before.files:,}", f"{after.files:,}"),
            ("small files", small_share(before), small_share(after)),
            ("oversized files", str(before.oversized_files), str(after.oversized_files)),
            ("requests of a full scan", f"{before.scan_requests:,}", f"{after.scan_requests:,}"),
        ):
            shown.add_row(name, was, now)
        self._console.print()
        self._console.print(shown)

    def _run(self, settings: Settings) -> Run:
        with progress() as sink:
            run = compactor.run(TABLE, settings=settings, sink=sink)
        self._lines(run_lines(run, None))
        return run

    def _show_health(self, health: Health) -> None:
        small = small_share(health)
        self._console.print(f"{health.files:,} files, {format_bytes(health.bytes)}: {small} small, {health.oversized_files} oversized.")
        self._lines(health_lines(health))

    def _chapter(self, title: str, command: str = "") -> None:
        self._console.print(f"\n[bold]{title}[/]" + (f"\n[dim]$ {command}[/]" if command else ""))

    def _lines(self, lines: list[str]) -> None:
        for line in lines:
            self._console.print(line, markup=False)

    def _status(self, text: str) -> Status:
        return Console(stderr=True, quiet=not sys.stderr.isatty()).status(text)
