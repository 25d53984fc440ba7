"""Whole runs on an S3 that fails: each way to fail at each kind of request ends in success, or in one clear end that the next run mends.

    request                 503  lost before  lost after  cut short  late  409   for good: 503  keys expired  bucket gone
    list                     x        x            x          x        x    -             x          x             x
    read the log             x        x            x          x        x    -             x          x             x
    read a data file         x        x            x          x        x    -             x          x             x
    look at an output        x        x            x          -        x    -             x          x             x
    put (outputs)            x        x            x          -        x    -             x          x             x
    create (log entry)       x        x            x          -        x    x             x          x             x
    create (intent)          x        x            x          -        x    x             x          x             x
    begin, send, end upload  x        x            x          -        x    -             x          x             x
    delete                   x        x            x          -        x    -             x          x             x

Never a wrong table, never a hang, never a request without end. A disk that is full is in the last test.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import HandTable, make_table, table_of
from support.s3_server import Action, Delay, Reset, S3Fault, S3Server, Status, Truncate, s3_server

from compactor.ambient import VirtualClock
from compactor.ambient.system import system_ambient
from compactor.coordination.records import Care
from compactor.model.run import Run, RunStatus
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.wiring import wire

LONGEST_S = 60.0
MOST_REQUESTS = 400


@dataclass(frozen=True)
class Kind:
    """A kind of request. uploads: only large outputs make it; cleans: only a run after a dead one does."""

    operation: str
    key: str
    uploads: bool = False
    cleans: bool = False


KINDS = {
    "list": Kind("ListObjectsV2", "*"),
    "read-log": Kind("GetObject", "*_delta_log/*.json"),
    "read-data": Kind("GetObject", "*.parquet"),
    "look": Kind("HeadObject", "*.parquet"),
    "put": Kind("PutObject", "*.parquet"),
    "create-entry": Kind("PutObject", "*_delta_log/*.json"),
    "create-intent": Kind("PutObject", "*_compactor/intents/*.json"),
    "begin-upload": Kind("CreateMultipartUpload", "*.parquet", uploads=True),
    "send-part": Kind("UploadPart", "*.parquet", uploads=True),
    "end-upload": Kind("CompleteMultipartUpload", "*.parquet", uploads=True),
    "delete": Kind("DeleteObjects", "*", cleans=True),
}
READS = ("list", "read-log", "read-data")
PASSING: dict[str, tuple[Action, str]] = {
    "503": (Status(503, "SlowDown"), "before"),
    "lost-before": (Reset(), "before"),
    "lost-after": (Reset(), "after"),
    "cut-short": (Truncate(10), "after"),
    "late": (Delay(1.3), "after"),
    "409": (Status(409, "ConditionalRequestConflict"), "before"),
}
LASTING: dict[str, Action] = {
    "503": Status(503, "SlowDown"),
    "expired": Status(403, "ExpiredToken"),
    "no-bucket": Status(404, "NoSuchBucket"),
}


class Lake:
    """A table on a server that fails when told."""

    def __init__(self, server: S3Server, table: HandTable) -> None:
        self.server = server
        server.bucket("lake")
        self.options = replace(server.options(), request_timeout_s=1.0)
        self.store = open_store("s3://lake/t", self.options)
        for file in table.root.rglob("*"):
            if file.is_file():
                self.store.put(str(file.relative_to(table.root)), file.read_bytes())
        server.reset()

    def run(self) -> Run:
        options = self.options
        chosen = Settings(
            executor="serial",
            min_input_files=2,
            endpoint_url=options.endpoint_url,
            region=options.region,
            path_style=options.path_style,
            lease="off",
        )
        began = time.monotonic()
        ambient = replace(system_ambient(), clock=VirtualClock())  # what waits for the store to get well does not wait here
        run = run_table(wire(open_store("s3://lake/t", options), chosen, ambient=ambient, care=Care(late_s=0)), chosen.policy())
        assert time.monotonic() - began < LONGEST_S, "the run took too long to say how it ended"
        assert self.server.count() < MOST_REQUESTS, "the run never stopped asking"
        return run

    def rows(self) -> Counter[int]:
        """The first column of every live row, read without any of our code."""
        objects = {key.removeprefix("t/"): bytes(found.data) for key, found in self.server.buckets["lake"].items()}
        live: set[str] = set()
        for key in sorted(key for key in objects if key.startswith("_delta_log/") and key.endswith(".json")):
            told = [json.loads(line) for line in objects[key].splitlines() if line]
            live -= {action["remove"]["path"] for action in told if "remove" in action}
            live |= {action["add"]["path"] for action in told if "add" in action}
        return Counter(n for path in live for n in pq.read_table(io.BytesIO(objects[unquote(path)]))["n"].to_pylist())

    def left(self) -> list[str]:
        """Outputs and records that nobody will ever name or need."""
        entries = b"".join(bytes(found.data) for key, found in self.server.buckets["lake"].items() if "/_delta_log/" in key)
        kept = ("t/_delta_log/", "t/_compactor/runs/")
        files = [key for key in self.server.buckets["lake"] if not key.startswith(kept)]
        return [key for key in files if key.rpartition("/")[2].encode() not in entries] + sorted(self.server.uploads)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's retries without the seconds between them."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> HandTable:
    return make_table(tmp_path_factory.mktemp("small") / "t", table_of(n=range(60)), files=4)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> HandTable:
    """A table whose output needs an upload in parts."""
    noise = np.random.default_rng(1).integers(0, 2**62, 1_150_000)
    return make_table(tmp_path_factory.mktemp("large") / "t", pa.table({"n": noise}), files=2)


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture
def lake(request: pytest.FixtureRequest, server: S3Server) -> Lake:
    kind = KINDS[request.node.callspec.params["kind"]]
    made = Lake(server, request.getfixturevalue("large" if kind.uploads else "small"))
    if kind.cleans:
        server.fail(S3Fault(operation="PutObject", key="*_delta_log/*.json", action=Status(403, "AccessDenied"), times=None))
        server.fail(S3Fault(operation="DeleteObjects", action=Status(403, "AccessDenied"), times=None))
        assert made.run().exit_code == 5
        assert made.left(), "nothing was left to delete"
        server.reset()
    return made


def passing() -> list[object]:
    """Which request may fail how."""
    cells = [(kind, how) for kind in KINDS for how in ("503", "lost-before", "lost-after", "late")]
    cells += [(kind, "cut-short") for kind in READS]
    cells += [(kind, "409") for kind in KINDS if kind.startswith("create")]
    return [cell if _short(*cell) else pytest.param(*cell, marks=pytest.mark.long) for cell in cells]


def lasting() -> list[object]:
    cells = [(kind, how) for kind in KINDS for how in LASTING]
    return [cell if _short(*cell) else pytest.param(*cell, marks=pytest.mark.long) for cell in cells]


def _short(kind: str, how: str) -> bool:
    """Large outputs and requests that are answered late take seconds each."""
    return how != "late" and (not KINDS[kind].uploads or how in ("lost-after", "expired"))


@pytest.mark.parametrize(("kind", "how"), passing())
def test_a_store_that_fails_once_is_survived(lake: Lake, kind: str, how: str) -> None:
    """Whatever fails once, and however, the run commits, or ends as one that does not know and says so; rows are the same either way, and
    after the next run nothing is left over."""
    before = lake.rows()
    action, when = PASSING[how]
    lake.server.fail(S3Fault(operation=KINDS[kind].operation, key=KINDS[kind].key, action=action, when=when))  # type: ignore[arg-type]
    run = lake.run()
    assert (run.status, run.exit_code) == (RunStatus.COMMITTED, 0), run.reason
    assert lake.rows() == before
    lake.server.reset()
    assert lake.run().status is RunStatus.NOTHING_TO_DO
    assert lake.left() == []


@pytest.mark.parametrize(("kind", "how"), lasting())
def test_a_store_that_goes_on_failing_ends_the_run_clearly(lake: Lake, kind: str, how: str) -> None:
    """Requests that fail for good end the run with exit code 5 and one sentence that names the object, soon; what is there is right, and
    once the store is well again the next run does the rest and leaves nothing over."""
    before = lake.rows()
    lake.server.fail(S3Fault(operation=KINDS[kind].operation, key=KINDS[kind].key, action=LASTING[how], times=None))
    run = lake.run()
    if not KINDS[kind].cleans:  # what cannot be deleted waits for a later run
        assert (run.status, run.exit_code) == (RunStatus.FAILED, 5), run.reason
        assert "s3://lake/t" in (run.reason or "") or (how == "no-bucket" and kind == "look")  # a HEAD does not tell it from no object
    assert "\n" not in (run.reason or "") and "testing" not in (run.reason or "")
    assert lake.rows() == before
    lake.server.reset()
    ends = [lake.run() for _ in range(2)]
    assert [end.exit_code for end in ends] == [0, 0], [end.reason for end in ends]
    assert ends[-1].status is RunStatus.NOTHING_TO_DO
    assert lake.rows() == before
    assert lake.left() == []


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from compactor_cli.main import main
main(["run", sys.argv[1], "--executor", "serial"])
"""


def test_a_full_disk_ends_the_run_clearly(tmp_path: Path) -> None:
    """When outputs do not fit, the run says so with exit code 5 and leaves neither outputs nor temporary files; with room it commits."""
    noise = np.random.default_rng(2).integers(0, 2**62, 6_000)
    table = make_table(tmp_path / "t", pa.table({"n": noise}), files=6)
    before = {path for path in table.root.rglob("*") if path.is_file()}
    ended = subprocess.run([sys.executable, "-c", LIMITED, table.uri], capture_output=True, text=True, timeout=120, env=os.environ)
    assert ended.returncode == 5, ended.stderr
    assert "There is no room left on the disk" in ended.stdout + ended.stderr
    after = {path for path in table.root.rglob("*") if path.is_file() and "runs" not in path.parts}
    assert after == before
