"""What a started image must do: say its help, examine itself, compact a table in a mounted folder, and serve with a mounted file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from image.engines import Engine

_FILE = """
state = "/data/state"
[service]
round = "1s"
grace = "5s"
[http]
port = {port}
[[source]]
prefix = "/data/lake"
[defaults]
quiet_period = "0s"
min_age = "0s"
min_input_files = 2
[run]
memory = "512MiB"
"""


def checks(engine: Engine, image: str, work: Path) -> Iterator[str]:
    """A line for each thing that holds. Raises AssertionError for the first that does not."""
    yield f"size: {engine.size_bytes(image) / 1e6:.0f} MB, unpacked"
    assert "Exit codes" in _run(engine, image, {}, "--help")
    yield "--help: the commands"
    itself = json.loads(_run(engine, image, {}, "doctor", "--self", "--json"))
    assert itself["native"] and "ray" in itself["executors"], itself
    yield f"doctor --self: Python {itself['python']}, native kernels {itself['native']}, executors {itself['executors']}"
    lake = _lake(work)
    mounts = {work: "/data"}
    ended = json.loads(_run(engine, image, mounts, "run", "/data/lake/events", "--min-input-files", "2", "--memory", "512MiB", "--json"))
    table = DeltaTable(lake / "events")
    assert (ended["status"], len(table.file_uris()), table.to_pyarrow_table().num_rows) == ("committed", 1, 1200), ended
    owners = {path.stat().st_uid for path in lake.rglob("*") if path.is_file()} - {os.getuid()}
    assert os.getuid() != 0 or owners == {10001}, owners
    yield f"run: {ended['files_removed']} files became {ended['files_added']}, by user {', '.join(map(str, owners)) or os.getuid()}"
    yield from _served(engine, image, mounts, work)


def _served(engine: Engine, image: str, mounts: Mapping[Path, str], work: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    work.joinpath("service.toml").write_text(_FILE.format(port=port))
    command = engine.command(image, mounts, ["serve", "--config", "/data/service.toml"])
    with work.joinpath("log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            for path in ("/healthz", "/readyz", "/metrics"):
                yield f"serve: {path} answers {_answer(f'http://127.0.0.1:{port}{path}', work / 'log')}"
        finally:
            os.kill(_innermost(process.pid), signal.SIGTERM)
            code = process.wait(timeout=60)
    events = [json.loads(line)["event"] for line in work.joinpath("log").read_text().splitlines() if line.startswith("{")]
    assert "Stopped" in events, events
    yield f"serve: SIGTERM ends it ({code}), after {', '.join(sorted(set(events)))}"


def _innermost(pid: int) -> int:
    """The process of the container where it is one of this machine's, as under buildah; else the program that passes signals on to it."""
    family = [pid]
    for parent in family:
        family.extend(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))
    inside = [one for one in family if b"buildah" not in Path(f"/proc/{one}/cmdline").read_bytes()]
    return inside[0] if inside else pid


def _answer(url: str, log: Path) -> int:
    """200, sooner or later."""
    for _ in range(60):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError(f"{url} did not answer: {log.read_text()[-2000:]}")


def _lake(work: Path) -> Path:
    """A lake with the table `events` of twelve small files, which anybody may write to."""
    for number in range(12):
        write_deltalake(work / "lake/events", pa.table({"n": range(100 * number, 100 * number + 100)}), mode="append")
    for path in (work, *work.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    return work / "lake"


def _run(engine: Engine, image: str, mounts: Mapping[Path, str], *arguments: str) -> str:
    done = subprocess.run(engine.command(image, mounts, arguments), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{arguments}: {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
