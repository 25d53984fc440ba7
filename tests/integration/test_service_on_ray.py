"""The service with `executor = "ray"`: runs side by side on one local cluster, a stop in the middle of them, and a start after it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

FILE = """
state = "{root}/state"
[service]
round = "1s"
discover = "1s"
parallel = 3
grace = "{grace}"
[run]
executor = "ray"
memory = "256MiB"
parallelism = 2
[[source]]
prefix = "{root}/lake"
[defaults]
target_size = "1MiB"
quiet_period = "0s"
"""
CODE = "from compactor_cli.main import main\nmain()"
FILES, ROWS = 12, 20
_PATIENCE_S = 150


@dataclass
class Serving:
    """A process of the service, and what it has told so far."""

    process: subprocess.Popen[str]
    told: list[dict[str, Any]] = field(default_factory=list)

    def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait for what it tells."""
        ends_s = time.monotonic() + _PATIENCE_S
        while not holds(self.told):
            assert time.monotonic() < ends_s, self.told
            assert self.process.poll() is None, self.told
            time.sleep(0.05)

    def of(self, event: str, status: str | None = None) -> list[dict[str, Any]]:
        return [told for told in self.told if told["event"] == event and status in (None, told.get("status"))]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=_PATIENCE_S)


@contextmanager
def serving(root: Path, grace: str = "2s") -> Iterator[Serving]:
    file = root / "compactor.toml"
    file.write_text(FILE.format(root=root, grace=grace))
    with subprocess.Popen([sys.executable, "-c", CODE, "serve", "--config", str(file)], stdout=subprocess.PIPE, text=True) as process:
        found = Serving(process)

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                found.told.append(json.loads(line))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            yield found
        finally:
            process.kill()
            listener.join(timeout=10)


def tables(root: Path, number: int, files: int = FILES) -> list[Path]:
    found = [root / "lake" / f"t{table}" for table in range(number)]
    for table in found:
        for file in range(files):
            write_deltalake(table, pa.table({"id": range(file * ROWS, (file + 1) * ROWS)}), mode="append")
    return found


def whole(table: Path, files: int = FILES) -> bool:
    """Whether it has each row once."""
    return sorted(DeltaTable(table).to_pyarrow_table()["id"].to_pylist()) == list(range(files * ROWS))


def compacted(found: list[Path]) -> bool:
    return all(len(DeltaTable(table).file_uris()) == 1 for table in found)


@pytest.mark.ray
def test_runs_side_by_side_a_stop_and_a_start(tmp_path: Path) -> None:
    """Several tables at once on one cluster; SIGTERM in the middle ends with 0 and leaves every table whole; the next does the rest."""
    found = tables(tmp_path, 6)
    with serving(tmp_path) as first:
        first.until(lambda told: any(event["event"] == "RunFinished" for event in told))
        assert first.stop() == 0
    assert len(first.of("RunBegun")) >= 3
    assert {event["status"] for event in first.of("RunFinished")} <= {"committed", "failed"}
    assert all(event["exit_code"] in (0, 143) for event in first.of("RunFinished")), first.of("RunFinished")
    assert all(whole(table) for table in found)
    with serving(tmp_path) as second:
        second.until(lambda told: compacted(found))
        assert second.stop() == 0
    assert all(whole(table) for table in found)
    committed = {event["table"] for event in first.of("CommitLanded") + second.of("CommitLanded")}
    assert committed == {str(table) for table in found}, "some were interrupted after that"


@pytest.mark.ray
@pytest.mark.long
def test_stops_and_kills_at_any_time(tmp_path: Path) -> None:
    """However often the process is stopped or killed while its runs are on Ray, tables stay whole, and a last one that may finish does."""
    found = tables(tmp_path, 12, files=30)
    chance = random.Random(7)
    for number in range(8):
        with serving(tmp_path, grace="1s") as service:
            service.until(lambda told: any(event["event"] == "RunBegun" for event in told))
            time.sleep(chance.uniform(0, 12))
            if number % 2:
                assert service.stop() == 0
        assert all(whole(table, 30) for table in found)
    with serving(tmp_path) as last:
        last.until(lambda told: compacted(found))
        assert last.stop() == 0
    assert all(whole(table, 30) for table in found)
