"""`compactor serve`: one line an outcome, failures stop nothing but themselves, SIGTERM ends it with 0."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import cli_values

import compactor
from compactor.errors import StorageUnavailable
from compactor.model.run import RunStatus
from compactor.service.discovery import ScanEntry
from compactor_cli.main import main


@pytest.fixture
def served(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Exit code and stdout lines of `serve`."""

    def call(*arguments: str) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(["serve", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().out.splitlines()

    return call


def scans(uri: str, **_: object) -> Iterator[ScanEntry]:
    """A façade's scan: one prefix holds something of everything, one cannot be listed."""
    if uri == "s3://down":
        raise StorageUnavailable("s3://down does not answer.")
    yield from (cli_values.SKIPPED, cli_values.FAILED, cli_values.scanned(), cli_values.ICEBERG)


def test_one_round(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken table and a silent prefix are lines, the table after them is compacted; the first failure gives the code."""
    monkeypatch.setattr(compactor, "scan", scans)
    monkeypatch.setattr(compactor, "run", lambda *_, **__: cli_values.run())
    code, lines = served("s3://lake", "s3://down", "--once")
    assert code == 6
    assert lines[:3] == [
        "s3://lake/broken: failed: Version 3 of s3://lake/broken is damaged.",
        "s3://lake/events: committed version 8 (1,801 files -> 5, 720 MiB)",
        "s3://down: failed: s3://down does not answer.",
    ]
    assert lines[3].endswith("3 tables: 1 compacted, 1 healthy, 2 failed.")


def test_one_round_for_programs(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json every entry is an object with a kind, and the round is summed up."""
    monkeypatch.setattr(compactor, "scan", scans)
    monkeypatch.setattr(compactor, "run", lambda *_, **__: cli_values.run())
    _, lines = served("s3://lake", "--once", "--json")
    told = [json.loads(line) for line in lines]
    assert [line["kind"] for line in told] == ["table", "run", "run", "neighbour", "round"]
    assert {key: told[-1][key] for key in ("tables", "compacted", "healthy", "failed")} == {
        "tables": 3,
        "compacted": 1,
        "healthy": 1,
        "failed": 1,
    }


def test_a_bug_in_one_table_stops_nothing(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an error that nobody expected is one line of its table."""

    def explode(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned()]))
    monkeypatch.setattr(compactor, "run", explode)
    code, lines = served("s3://lake", "--once")
    assert code == 1
    assert lines[0].startswith("s3://lake/events: failed: This is a bug in compactor (ZeroDivisionError: by zero)")


def test_sigterm_finishes_the_table_at_hand(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A polite stop in the middle of a run lets it finish, starts no other, and exits with 0."""
    ran: list[str] = []

    def run(uri: str, **_: object) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        ran.append(uri)
        return cli_values.run()

    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned(), cli_values.scanned()]))
    monkeypatch.setattr(compactor, "run", run)
    code, lines = served("s3://lake")
    assert (code, len(ran)) == (0, 1)
    assert "committed version 8" in lines[0]


def test_sigterm_interrupts_when_the_grace_is_over(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes longer than the grace period is interrupted, unwinds, and the process still exits with 0."""
    unwound: list[str] = []

    def run(*_: object, **__: object) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        finally:
            unwound.append("yes")

    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned()]))
    monkeypatch.setattr(compactor, "run", run)
    started = time.monotonic()
    code, _ = served("s3://lake", "--grace", "200ms")
    assert (code, unwound) == (0, ["yes"])
    assert time.monotonic() - started < 10


def test_sigterm_wakes_the_wait(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between rounds nothing has to be waited for."""
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.SKIPPED]))
    _later(0.5, signal.SIGTERM)
    code, lines = served("s3://lake", "--every", "1h")
    assert code == 0
    assert len(lines) == 1


def test_sigint_interrupts(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at a terminal means now."""
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.SKIPPED]))
    _later(0.5, signal.SIGINT)
    code, _ = served("s3://lake", "--every", "1h")
    assert code == 130


def test_rounds_repeat(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds start every so often until the process is asked to stop, and hold nothing between them."""
    rounds: list[int] = []

    def scan(*_: object, **__: object) -> Iterator[ScanEntry]:
        rounds.append(1)
        if len(rounds) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return iter([cli_values.SKIPPED])

    monkeypatch.setattr(compactor, "scan", scan)
    assert served("s3://lake", "--every", "10ms")[0] == 0
    assert len(rounds) == 3


def test_a_refused_table_is_a_failure_of_its_own(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is told with its reason and exit code 3."""
    refused = cli_values.run(RunStatus.REFUSED, reason="It uses catalogManaged.", exit_code=3)
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned()]))
    monkeypatch.setattr(compactor, "run", lambda *_, **__: refused)
    code, lines = served("s3://lake", "--once")
    assert (code, lines[0]) == (3, "s3://lake/events: refused: It uses catalogManaged.")


def test_a_loop_does_not_force(served: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A forced rewrite in every round is nobody's wish; once it may be."""
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.SKIPPED]))
    assert served("s3://lake", "--force-rewrite")[0] == 2
    assert served("s3://lake", "--force-rewrite", "--once")[0] == 0


def _later(seconds: float, number: int) -> None:
    import threading

    timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


def test_a_library_that_takes_the_signal_does_not_keep_it(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray replaces and then removes the handler of SIGTERM; between rounds it is ours again."""

    ran: list[int] = []

    def run(*_: object, **__: object) -> Any:
        if ran:
            raise KeyboardInterrupt  # the signal was lost
        ran.append(1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return cli_values.run()

    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned()]))
    monkeypatch.setattr(compactor, "run", run)
    _later(0.5, signal.SIGTERM)
    code, lines = served("s3://lake", "--every", "3s")
    assert (code, len(lines)) == (0, 2)


def test_a_library_that_exits_on_the_signal_stops_politely(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own handler exits with the signal's number in the middle of a run: that run is over, and the loop ends with 0."""

    def run(*_: object, **__: object) -> Any:
        raise SystemExit(signal.SIGTERM)

    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned()]))
    monkeypatch.setattr(compactor, "run", run)
    assert served("s3://lake", "--every", "20s")[0] == 0
