"""The command as a process on real tables: wrong input is one sentence and leaves everything as it was; signals are safe."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.moto_s3 import Bucket

from compactor.storage.local import LocalStore
from compactor_cli.main import main

COMMAND = [sys.executable, "-c", "from compactor_cli.entry import main; main()"]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def compactor(capsys: pytest.CaptureFixture[str]) -> Callable[..., Shown]:
    """The command, in this process, because a hundred interpreters would take minutes."""

    def call(*arguments: str | Path) -> Shown:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Shown(returncode=ended.value.code, stdout=shown.out, stderr=shown.err)

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_table(uri: str | Path, appends: int = 12, rows: int = 100, options: dict[str, str] | None = None) -> None:
    from deltalake import write_deltalake

    for number in range(appends):
        events = pa.table({"id": range(number * rows, (number + 1) * rows), "text": [f"event {i}" for i in range(rows)]})
        write_deltalake(str(uri), events, mode="append", storage_options=options)


def ids(uri: str | Path, options: dict[str, str] | None = None) -> list[int]:
    from deltalake import DeltaTable

    return sorted(DeltaTable(str(uri), storage_options=options).to_pyarrow_table()["id"].to_pylist())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    make_table(tmp_path / "lake/events")
    return tmp_path / "lake/events"


def test_a_prefix_from_scan_to_fixed_point(compactor: Callable[..., Shown], table: Path) -> None:
    """Scan finds the table and names its neighbour, run compacts it, history names the run, a second run finds nothing to do."""
    (table.parent / "raw").mkdir()
    (table.parent / "raw/x.parquet").write_bytes(b"PAR1")
    scanned = [json.loads(line) for line in compactor("scan", table.parent, "--json").stdout.splitlines()]
    assert [(line["kind"], line.get("decision")) for line in scanned] == [("table", "compact"), ("neighbour", None)]
    first = json.loads(compactor("run", table, "--json", "--run-id", "nightly-1").stdout)
    assert (first["status"], first["files_removed"], first["files_added"], first["rows"]) == ("committed", 12, 1, 1200)
    history = [json.loads(line) for line in compactor("history", table, "--json", "--limit", "2").stdout.splitlines()]
    assert [(line["version"], line["run_id"]) for line in history] == [(12, "nightly-1"), (11, None)]
    before = contents(table)
    again = json.loads(compactor("run", table, "--json").stdout)
    assert (again["status"], again["exit_code"]) == ("nothing-to-do", 0)
    repeated = json.loads(compactor("run", table, "--json", "--run-id", "nightly-1").stdout)
    assert {key: repeated[key] for key in ("status", "version", "rows")} == {"status": "committed", "version": 12, "rows": 1200}
    assert contents(table) == before
    assert ids(table) == list(range(1200))


@pytest.mark.parametrize("command", ["scan", "plan", "run", "history"])
def test_reading_writes_nothing(compactor: Callable[..., Shown], table: Path, command: str) -> None:
    """Everything but a run leaves the folder byte for byte as it was; a dry run too."""
    before = contents(table)
    shown = compactor(command, table, *(["--dry-run"] if command == "run" else []))
    assert (shown.returncode, shown.stderr.count("Traceback")) == (0, 0)
    assert contents(table) == before


@pytest.mark.parametrize(
    "arguments", [("plan",), ("plan", "--json"), ("run", "--dry-run"), ("plan", "-o", "{folder}/plan.jsonl")], ids=" ".join
)
def test_to_show_a_plan_the_log_is_read_once(
    compactor: Callable[..., Shown], table: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """A plan that is shown, or kept, asks the store for no object and no listing more than a look at the table by `scan` does."""
    asked: Counter[str] = Counter()
    read, listed = LocalStore.get, LocalStore.list

    def get(store: LocalStore, key: str) -> bytes | memoryview:
        asked[key] += 1
        return read(store, key)

    def listing(store: LocalStore, *of: Any, **options: Any) -> Any:
        asked["list"] += 1
        return listed(store, *of, **options)

    monkeypatch.setattr(LocalStore, "get", get)
    monkeypatch.setattr(LocalStore, "list", listing)
    assert compactor("scan", table).returncode == 0
    scanned = Counter(asked)
    asked.clear()
    shown = compactor(arguments[0], table, *(argument.format(folder=table.parent) for argument in arguments[1:]))
    assert shown.returncode == 0, shown.stderr
    assert "_delta_log/00000000000000000011.json" in scanned
    assert asked == scanned


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("run", "{lake}/nowhere"), 2, "There is nothing at"),
        (("run", "{lake}"), 3, "is not a Delta table"),
        (("plan", "{lake}/nowhere"), 2, "There is nothing at"),
        (("scan", "{lake}/nowhere"), 2, "There is no table at or below"),
        (("run", "http://example.com/t"), 2, '"http://" is not a store that is known'),
        (("run", "{lake}/events", "--target-size", "huge"), 2, '--target-size: "huge" is not a size'),
        (("run", "{lake}/events", "--where", "text = 'x'"), 2, "text"),
        (("run", "{lake}/events", "--where", "id > 5 OR id < 3"), 2, "--where: "),
        (("run", "{lake}/events", "--run-id", "../../etc"), 2, "is not a run id"),
        (("run", "{lake}/events", "--rivals", "refuse"), 3, "deltalake 1.6.4 to 1.6.6"),
        (("run", "{lake}/events", "--endpoint-url", "nowhere"), 2, "--endpoint-url"),
        (("history", "{lake}"), 3, "is not a Delta table"),
    ],
)
def test_wrong_input_is_one_sentence(
    compactor: Callable[..., Shown], table: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    """The last line on stderr says what is wrong; no traceback; nothing on stdout; nothing was written."""
    before = contents(table.parent)
    shown = compactor(*(argument.format(lake=table.parent) for argument in arguments))
    assert shown.returncode == exit_code, shown.stderr
    assert said in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""
    assert contents(table.parent) == before


def test_a_damaged_log_is_named(compactor: Callable[..., Shown], table: Path) -> None:
    """A log entry that is cut in the middle is exit code 6 and named; a scan of the prefix names the table and goes on."""
    make_table(table.parent / "zebra")
    entry = table / "_delta_log/00000000000000000005.json"
    entry.write_bytes(entry.read_bytes()[:-40])
    shown = compactor("run", table)
    assert shown.returncode == 6
    assert "00000000000000000005.json" in shown.stderr
    assert "Traceback" not in shown.stderr
    scanned = [json.loads(line) for line in compactor("scan", table.parent, "--json").stdout.splitlines()]
    assert [line["kind"] for line in scanned] == ["failed", "table"]


def test_the_state_can_live_elsewhere(compactor: Callable[..., Shown], table: Path, tmp_path: Path) -> None:
    """With --state the table's folder holds nothing but the table, and a run can still be asked for by its id."""
    state = tmp_path / "state"
    assert compactor("run", table, "--state", state, "--run-id", "r1").returncode == 0
    assert not (table / "_compactor").exists()
    assert list(state.rglob("*"))
    again = json.loads(compactor("run", table, "--state", state, "--run-id", "r1", "--json").stdout)
    assert (again["status"], again["version"]) == ("committed", 12)


def test_s3_by_flags_and_environment(compactor: Callable[..., Shown], s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same commands on S3, reached by flags or by the environment; a bucket that is not there is one sentence."""
    uri = f"{s3_bucket.uri}/lake/events"
    options = {"AWS_ENDPOINT_URL": s3_bucket.endpoint_url, "AWS_ALLOW_HTTP": "true"}
    make_table(uri, options=options)
    scanned = compactor("scan", f"{s3_bucket.uri}/lake", "--json", "--endpoint-url", s3_bucket.endpoint_url, "--path-style")
    assert [json.loads(line)["decision"] for line in scanned.stdout.splitlines()] == ["compact"]
    monkeypatch.setenv("COMPACTOR_ENDPOINT_URL", s3_bucket.endpoint_url)
    monkeypatch.setenv("COMPACTOR_PATH_STYLE", "true")
    done = json.loads(compactor("run", uri, "--json").stdout)
    assert (done["status"], done["files_removed"], done["files_added"]) == ("committed", 12, 1)
    missing = compactor("run", "s3://no-such-bucket-here/events")
    assert missing.returncode == 5
    assert "no-such-bucket-here" in missing.stderr
    assert "Traceback" not in missing.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_leaves_the_table_whole(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A signal in the middle of a run: its exit code, no traceback, the same rows, nothing that is not referred to, no intent."""
    table = tmp_path / "events"
    make_table(table, appends=30, rows=20_000)
    expected = ids(table)
    before = set(table.glob("*.parquet"))
    codes: list[int] = []
    for delay_s in (0.0, 0.1, 0.2, 0.0):
        if len(codes) >= 2 and code in codes:
            break  # on a busy machine a run may have ended before its signal came
        intents = table / "_compactor/intents"
        known = set(intents.glob("*.json"))
        arguments = [*COMMAND, "run", str(table), "--json", "--force-rewrite", "--executor", "local", "--target-size", "1MiB"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            while child.poll() is None and not set(intents.glob("*.json")) - known:
                time.sleep(0.01)  # the intent is there: from now on something may be written
            time.sleep(delay_s)
            child.send_signal(number)
            out, err = child.communicate(timeout=60)
        assert "Traceback" not in err, err
        assert child.returncode in (code, 0), err
        assert json.loads(out)["exit_code"] == child.returncode
        assert ids(table) == expected
        assert set(table.glob("*.parquet")) - before <= {table / path for path in _added(table)}
        assert list(intents.iterdir()) == []
        codes.append(child.returncode)
    assert code in codes


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.1])
def test_a_run_that_is_interrupted_twice_leaves_nothing_unsaid(compactor: Callable[..., Shown], tmp_path: Path, delay_s: float) -> None:
    """Two signals, one soon behind the other: the same rows, and whatever stayed behind has an intent, by which the next run removes it."""
    table = tmp_path / "events"
    make_table(table, appends=30, rows=20_000)
    expected, before, intents = ids(table), set(table.glob("*.parquet")), table / "_compactor/intents"
    options = (str(table), "--json", "--executor", "local", "--target-size", "1MiB")
    with subprocess.Popen([*COMMAND, "run", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None and not set(intents.glob("*.json")):
            time.sleep(0.005)
        time.sleep(delay_s)
        child.send_signal(signal.SIGINT)
        time.sleep(delay_s / 10)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert ids(table) == expected
    assert set(intents.glob("*.json")) or set(table.glob("*.parquet")) - before <= {table / path for path in _added(table)}
    compactor("run", *options)
    assert ids(table) == expected
    assert set(table.glob("*.parquet")) - before <= {table / path for path in _added(table)}
    assert list(intents.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_is_in_the_journal_and_goes_on(
    compactor: Callable[..., Shown], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """`runs` shows what a signal cut short, with what it had committed; asked for again under its id, the run ends what it began."""
    table = tmp_path / "events"
    make_table(table, appends=30, rows=20_000)
    expected, before = ids(table), {*table.iterdir(), table / "_compactor"}
    options = (str(table), "--json", "--run-id", "nightly", "--executor", "local", "--target-size", "1MiB")
    with subprocess.Popen([*COMMAND, "run", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while child.poll() is None and set(table.iterdir()) <= before:
            time.sleep(0.005)  # the first output is begun
        child.send_signal(number)
        told = json.loads(child.communicate(timeout=60)[0])
    (kept,) = (json.loads(line) for line in compactor("runs", table, "--json").stdout.splitlines())
    assert (child.returncode, kept["exit_code"], kept["status"], kept["run_id"]) == (code, code, "failed", "nightly")
    assert (kept["files_removed"], kept["version"]) == (told["files_removed"], told["version"] or 29)
    assert kept["actual"] is not None and kept["reason"].startswith("Interrupted")
    assert " interrupted " in compactor("runs", table).stdout
    again = json.loads(compactor("run", *options).stdout)
    assert (again["status"], kept["files_removed"] + again["files_removed"]) == ("committed", 30)
    assert [json.loads(line)["status"] for line in compactor("runs", table, "--json").stdout.splitlines()] == ["committed", "failed"]
    assert ids(table) == expected


def _added(table: Path) -> set[str]:
    entries = (table / "_delta_log").glob("*.json")
    lines = [json.loads(line) for entry in entries for line in entry.read_text().splitlines()]
    return {line["add"]["path"] for line in lines if "add" in line}


def test_the_loop_compacts_and_stops_when_told(table: Path, compactor: Callable[..., Shown]) -> None:
    """`serve` leaves alone what others have just written to, compacts it when told to, waits, and ends with 0 soon after SIGTERM."""
    busy = compactor("serve", "--once", table.parent, "--json").stdout
    assert "12 in partitions that others write to" in busy, busy
    at_once = [*COMMAND, "serve", "--every", "1h", "--quiet-period", "0", str(table.parent)]
    with subprocess.Popen(at_once, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "committed version 12" in child.stdout.readline()
        assert "1 compacted" in child.stdout.readline()
        started = time.monotonic()
        child.terminate()
        assert child.wait(timeout=30) == 0
        assert time.monotonic() - started < 10
    assert ids(table) == list(range(1200))
