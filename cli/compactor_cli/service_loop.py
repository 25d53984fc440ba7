"""The loop of `compactor serve`: one line an outcome, and a failing table or prefix stops nothing but itself.

    round ── scan each prefix ── run each table that is worth it ── summary line ── wait ── round …
      └─ SIGTERM: the table at hand is finished, or interrupted when the grace period is over (its run leaves nothing half done)

Must never: compact two tables at once, or hold state between rounds; what a round needs is in the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import compactor
from compactor.ambient.system import SystemClock
from compactor.errors import CompactorError
from compactor.model.health import Compact
from compactor.model.run import Run, RunStatus
from compactor.service.discovery import FailedTable, Neighbour, ScanEntry
from compactor.settings import Settings
from compactor.units import format_bytes, format_seconds
from compactor_cli.guard import explain
from compactor_cli.jsonable import run_object, scan_object
from compactor_cli.output import counted, print_json, print_line
from compactor_cli.render.run import outcome_line
from compactor_cli.signals import Signals

_SLICE_S = 0.2  # how long a signal may go unnoticed while waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When rounds start."""

    every_s: float
    once: bool


@dataclass(slots=True)
class _Round:
    """What one round did."""

    tables: int = 0
    compacted: int = 0
    healthy: int = 0
    failed: int = 0
    first_failure: int = 0


class Loop:
    """Rounds over prefixes."""

    def __init__(self, uris: Sequence[str], settings: Settings, pace: Pace, signals: Signals, as_json: bool) -> None:
        self._uris = uris
        self._settings = settings
        self._pace = pace
        self._signals = signals
        self._as_json = as_json
        self._clock = SystemClock()

    def run(self) -> int:
        """The exit code: 0 after SIGTERM; with `once` that of the round's first failure. Raises KeyboardInterrupt on SIGINT."""
        while True:
            started_s = self._clock.monotonic_s()
            done = _Round()
            ended = self._attempt(lambda done=done: self._round(done))  # type: ignore[misc]
            self._summary(done, self._clock.monotonic_s() - started_s)
            if self._pace.once and ended and not self._signals.stopping:
                return done.first_failure
            if self._signals.stopping or not self._wait_until(started_s + self._pace.every_s):
                return 0

    def _attempt(self, act: Callable[[], None]) -> bool:
        """False when a polite stop cut it short. SIGINT goes through."""
        try:
            act()
        except (KeyboardInterrupt, SystemExit) as error:
            if explain(error, self._signals).exit_code != 143:
                raise
            self._signals.stop_politely()
            return False
        return True

    def _round(self, done: _Round) -> None:
        for uri in self._uris:
            for entry in self._entries(uri, done):
                if self._signals.stopping:
                    return
                self._visit(entry, done)

    def _entries(self, uri: str, done: _Round) -> Iterator[ScanEntry]:
        """A prefix that cannot be scanned is one failure; the others are scanned all the same."""
        try:
            yield from compactor.scan(uri, settings=self._settings)
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever one prefix brings
            self._failed(uri, error, done)

    def _visit(self, entry: ScanEntry, done: _Round) -> None:
        match entry:
            case Neighbour():
                if self._as_json:
                    print_json(scan_object(entry))
            case FailedTable():
                done.tables += 1
                self._outcome(
                    Run(run_id="", table=entry.table.uri, status=RunStatus.FAILED, reason=entry.why, exit_code=entry.exit_code), done
                )
            case _ if isinstance(entry.decision, Compact):
                done.tables += 1
                self._compact(entry.table.uri, done)
            case _:
                done.tables += 1
                done.healthy += 1
                if self._as_json:
                    print_json(scan_object(entry))

    def _compact(self, uri: str, done: _Round) -> None:
        try:
            run = compactor.run(uri, settings=self._settings, sink=lambda _event: self._signals.hold())
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever one table brings
            self._failed(uri, error, done)
            return
        finally:
            self._signals.hold()
        self._outcome(run, done)

    def _failed(self, uri: str, error: Exception, done: _Round) -> None:
        failure = explain(error, Signals())
        status = RunStatus.REFUSED if isinstance(error, CompactorError) and error.exit_code == 3 else RunStatus.FAILED
        self._outcome(Run(run_id="", table=uri, status=status, reason=failure.sentence, exit_code=failure.exit_code), done)

    def _outcome(self, run: Run, done: _Round) -> None:
        done.compacted += run.status is RunStatus.COMMITTED
        done.healthy += run.status is RunStatus.NOTHING_TO_DO
        if run.exit_code:
            done.failed += 1
            done.first_failure = done.first_failure or run.exit_code
        if self._as_json:
            print_json({"kind": "run", **run_object(run)})
        else:
            files = f"{counted(run.files_removed, 'file')} -> {run.files_added:,}"
            moved = f" ({files}, {format_bytes(run.bytes_removed)})" if run.groups_committed else ""
            print_line(f"{outcome_line(run)}{moved}")

    def _summary(self, done: _Round, seconds: float) -> None:
        if self._as_json:
            counts = {"tables": done.tables, "compacted": done.compacted, "healthy": done.healthy, "failed": done.failed}
            print_json({"kind": "round", **counts, "seconds": round(seconds, 3)})
        else:
            sums = f"{counted(done.tables, 'table')}: {done.compacted:,} compacted, {done.healthy:,} healthy, {done.failed:,} failed"
            print_line(f"Round ended after {format_seconds(seconds)}, {sums}.")

    def _wait_until(self, due_s: float) -> bool:
        """False when asked to stop. Short slices, because a handler may only set a value."""
        while not self._signals.stopping:
            left_s = due_s - self._clock.monotonic_s()
            if left_s <= 0:
                return True
            self._clock.sleep(min(_SLICE_S, left_s))
        return False
