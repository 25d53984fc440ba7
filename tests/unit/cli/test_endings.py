"""How commands end: every error is one sentence and a documented exit code; nobody sees a traceback unasked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import cli_values

import compactor
from compactor import errors
from compactor.model.events import CommitLanded, RunStarted
from compactor.model.run import RunStatus
from compactor_cli.main import main

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Run the command line in this process; returns exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, shown.out, shown.err

    return call


def raising(error: BaseException) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.UsageError("There is no version 9."), 2),
        (errors.SettingsError("x: is wrong."), 2),
        (errors.TableRefused("It has a feature.", reason="feature:x"), 3),
        (errors.NotATable("There is no table at x.", reason="not-a-table"), 3),
        (errors.ConflictGaveUp("Others were faster."), 4),
        (errors.AccessDenied("s3://b/k may not be read."), 5),
        (errors.StorageUnavailable("s3://b does not answer."), 5),
        (errors.TableCorrupt("Version 3 is damaged."), 6),
        (errors.ExecutionFailed("No cluster."), 7),
        (errors.ProofFailed("Rows differ."), 8),
    ],
)
def test_errors_are_sentences_with_codes(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: errors.CompactorError, exit_code: int
) -> None:
    """The message of the error is all that is said, on stderr, and the exit code is that of its kind."""
    monkeypatch.setattr(compactor, "plan", raising(error))
    assert invoke("plan", "x") == (exit_code, "", f"{error}\n")
    code, out, _ = invoke("plan", "x", "--json")
    assert (code, json.loads(out)) == (exit_code, {"status": "failed", "reason": str(error), "exit_code": exit_code})


def test_a_bug_is_a_sentence_too(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expected is exit code 1 and says how to see the traceback, which then is shown."""
    monkeypatch.setattr(compactor, "plan", raising(KeyError("partition\nof doom")))
    code, out, err = invoke("plan", "x")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("This is a bug in compactor (KeyError: ")
    assert "COMPACTOR_DEBUG=1" in err
    assert "Traceback" not in err
    monkeypatch.setenv("COMPACTOR_DEBUG", "1")
    assert "Traceback (most recent call last)" in invoke("plan", "x")[2]


def test_settings_errors_come_before_anything_else(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad flag, variable or file is exit code 2, named, and the table is not touched."""
    monkeypatch.setattr(compactor, "run", raising(AssertionError("touched")))
    assert invoke("run", "x", "--target-size", "big")[::2] == (2, '--target-size: "big" is not a size such as "256MiB" or "1GB".\n')
    assert invoke("run", "x", "--config", "/nowhere.toml")[::2] == (
        2,
        "The settings file /nowhere.toml cannot be read: no such file or directory.\n",
    )
    monkeypatch.setenv("COMPACTOR_TARGT_SIZE", "1")
    assert invoke("run", "x")[::2] == (2, "COMPACTOR_TARGT_SIZE: there is no such settings key; did you mean COMPACTOR_TARGET_SIZE?\n")


def test_an_interrupted_run_tells_what_stands(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a run with 130; the object for programs counts what was committed before."""
    from compactor.model.commit import Committed

    landed = Committed(
        version=9, attempts=1, groups=(0, 1), files_removed=10, files_added=1, bytes_removed=100, bytes_added=90, rows=7, dropped=()
    )

    def interrupted(_uri: str, *, sink: Callable[[object], None], **_: object) -> Any:
        sink(RunStarted(run_id="r", table="x"))
        sink(CommitLanded(outcome=landed))
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(compactor, "run", interrupted)
    code, out, err = invoke("run", "x", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["status"], told["run_id"]) == (130, 130, "failed", "r")
    assert (told["version"], told["files_removed"], told["rows"], told["groups"]["committed"]) == (9, 10, 7, 2)
    assert err == "Interrupted; what was committed stands, and nothing else was kept.\n"


def test_sigterm_is_143_and_handlers_come_back(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM runs every `finally`, exits with 143, and leaves the handlers of a host program as they were."""
    unwound: list[str] = []

    def terminated(*_: object, **__: object) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            unwound.append("yes")

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(compactor, "plan", terminated)
    assert invoke("plan", "x")[0] == 143
    assert unwound == ["yes"]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("error", [SystemExit(15), errors.Interrupted("Stopped.")])
def test_other_ways_of_being_interrupted(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """A library that answers SIGTERM by exiting with its number (Ray's driver does) is an interruption, and so is our own error."""
    monkeypatch.setattr(compactor, "plan", raising(error))
    assert invoke("plan", "x")[0] == (143 if isinstance(error, SystemExit) else 130)


@pytest.mark.parametrize(
    ("status", "exit_code", "reason"),
    [
        (RunStatus.REFUSED, 3, "The table uses catalogManaged"),
        (RunStatus.CONFLICT, 4, "Other writers removed every planned input."),
        (RunStatus.FAILED, 8, "Group 3 was not proven equal."),
    ],
)
def test_a_run_that_did_not_end_well_is_said(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, status: RunStatus, exit_code: int, reason: str
) -> None:
    """Its exit code is the process's, its reason one sentence on stderr, and stdout has data only where data was asked for."""
    monkeypatch.setattr(compactor, "run", lambda *_, **__: cli_values.run(status, reason=reason, exit_code=exit_code))
    code, out, err = invoke("run", "x")
    assert (code, out) == (exit_code, "")
    assert reason.rstrip(".") in err
    code, out, _ = invoke("run", "x", "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["reason"]) == (exit_code, status.value, reason)


def test_a_scan_of_one_table_ends_as_the_table_did(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the only table of a scan cannot be looked at, its sentence and exit code are the command's; among others it is only a line."""
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.FAILED]))
    code, out, err = invoke("scan", "x", "--json")
    assert (code, json.loads(out)["kind"], err) == (cli_values.FAILED.exit_code, "failed", f"{cli_values.FAILED.why}\n")
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.FAILED, cli_values.SKIPPED]))
    assert invoke("scan", "x")[0] == 0


def test_a_run_id_that_is_empty_is_none(tmp_path: Path, invoke: Invoke) -> None:
    """`--run-id ""`, as a script with an unset variable gives it, is refused: the run would not be idempotent, unnoticed."""
    code, _, err = invoke("run", str(tmp_path), "--run-id", "")
    assert (code, err) == (2, '"" is not a run id: up to 200 letters, digits and . _ : + = @ -, beginning with a letter or digit.\n')


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`compactor scan … | head -1` ends silently."""
    code = (
        "import compactor\nfrom support import cli_values\n"
        "compactor.scan = lambda *_, **__: (cli_values.FAILED for _ in range(100_000))\n"
        "from compactor_cli.main import main\nmain(['scan', 'x'])\n"
    )
    support = Path(cli_values.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{support}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(timeout=30) == 0


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_reader_that_goes_away_hides_no_failure(closed: str, encoding: str) -> None:
    """A command whose output nobody takes ends with its own exit code, also where it is escaped: a pipe that closes early is no success."""
    code = (
        "from compactor_cli.output import print_line, say\nfrom compactor_cli.session import conduct\n"
        "def act(_):\n    for number in range(10_000):\n        print_line('a fïnding'), say('a wörd')\n    return 6\n"
        "raise SystemExit(conduct(act, as_json=False))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, closed: writing}
    try:
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=False, **streams).returncode == 6
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("as_json", [True, False])
def test_output_that_a_full_disk_does_not_take_is_no_bug(as_json: bool) -> None:
    """A command that did its work but could not say so ends as storage does, with one sentence, for people and for programs."""
    code = (
        "from compactor_cli.output import print_line\nfrom compactor_cli.session import conduct\n"
        "def act(_):\n    print_line('done')\n    return 0\n"
        f"raise SystemExit(conduct(act, as_json={as_json}))\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 5
    assert done.stderr.splitlines()[0] == "Not everything could be printed: No space left on device. Send the output elsewhere."
    assert "Traceback" not in done.stderr


def test_a_terminal_without_unicode_shows_what_it_can() -> None:
    """Letters that standard output has no place for are escaped: as JSON for programs, with backslashes for people."""
    code = "from compactor_cli.output import print_json, print_line\nprint_line('dïr')\nprint_json({'table': 'dïr'})\n"
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["d\\xefr", '{"table": "d\\u00efr"}']
