"""Real processes killed with SIGKILL at every boundary of a run: the next run ends well, no row is lost, and nothing is left over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from support.killed import settings
from support.moto_s3 import DUMMY_ENVIRONMENT, REGION, MotoS3

from compactor.coordination.records import Care
from compactor.model.run import Run, RunStatus
from compactor.model.storage import StorageOptions
from compactor.pipeline import run_table
from compactor.storage import open_store
from compactor.storage.base import ObjectStore
from compactor.wiring import wire
from compactor_cli.main import main as cli

BOUNDARIES = (
    "before create _compactor/intents/*",
    "after create _compactor/intents/*.json",
    "after write *.parquet",
    "before close *.parquet",
    "after close *.parquet",
    "before create _compactor/results/*",
    "after create _compactor/results/*",
    "before create _delta_log/*",
    "after create _delta_log/*",
    "before delete _compactor/results/*",
    "before delete _compactor/intents/*.json",
    "after delete _compactor/intents/*.json",
    "after create _compactor/runs/*",
)
FEW = ("after create _compactor/intents/*.json", "before create _compactor/results/*", "after create _delta_log/*")
DRIVERS = tuple(boundary for boundary in BOUNDARIES if not boundary.endswith(".parquet"))
"""Boundaries of the driver, where workers have stores of their own."""
TESTS = Path(__file__).parents[1]
MARK = f"COMPACTOR_KILLED_BY={os.getpid()}"
"""In the environment of all that a killed process has started."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A table of two partitions, and how processes reach it."""

    uri: str
    options: StorageOptions | None
    environment: dict[str, str]

    @property
    def for_deltalake(self) -> dict[str, str] | None:
        if self.options is None:
            return None
        keys = {name: value for name, value in DUMMY_ENVIRONMENT.items() if name.startswith("AWS_")}
        return {**keys, "AWS_ENDPOINT_URL": str(self.options.endpoint_url), "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true"}

    def store(self) -> ObjectStore:
        return open_store(self.uri, self.options or StorageOptions())

    def fill(self) -> None:
        for number in range(6):
            rows = pa.table({"n": range(number * 40, number * 40 + 40), "p": ["a", "b"] * 20, "s": [f"row {i}" for i in range(40)]})
            write_deltalake(self.uri, rows, mode="append", partition_by=["p"], storage_options=self.for_deltalake)

    def rows(self) -> list[tuple[object, ...]]:
        found = DeltaTable(self.uri, storage_options=self.for_deltalake).to_pyarrow_table().sort_by("n")
        return list(zip(*(found[name].to_pylist() for name in ("n", "p", "s")), strict=True))

    def kill(self, executor: str, boundary: str) -> int:
        """How the process ended; what it said is shown when a test fails."""
        command = [sys.executable, "-m", "support.killed", self.uri, executor, boundary]
        environment = {**os.environ, **self.environment, **dict([MARK.split("=")])}
        with tempfile.TemporaryFile() as said:  # no pipe: what Ray started would hold it open
            child = subprocess.Popen(command, cwd=TESTS, env=environment, stdout=said, stderr=subprocess.DEVNULL)
            code = child.wait(timeout=240)
            said.seek(0)
            print(said.read().decode(), file=sys.stderr)
        return code

    def run(self, executor: str = "serial") -> Run:
        chosen = settings(executor, self.options)
        return run_table(wire(self.store(), chosen, care=Care(late_s=0)), chosen.policy())

    def left(self) -> list[str]:
        """Everything that is neither a file that some version names, nor of the log, nor the account of a run."""
        store = self.store()
        named: set[str] = set()
        for item in store.list("_delta_log/"):
            if item.key.endswith(".json"):
                for line in bytes(store.get(item.key)).decode().splitlines():
                    action = json.loads(line)
                    named |= {unquote(action[kind]["path"]) for kind in ("add", "remove") if kind in action}
        kept = ("_delta_log/", "_compactor/runs/")
        return [item.key for item in store.list("") if item.key not in named and not item.key.startswith(kept)]


@pytest.fixture
def disk(tmp_path: Path) -> Place:
    place = Place(uri=str(tmp_path / "t"), options=None, environment={})
    place.fill()
    return place


@pytest.fixture
def s3(moto_s3: MotoS3) -> Place:
    bucket = moto_s3.bucket()
    environment = {**DUMMY_ENVIRONMENT, "AWS_ENDPOINT_URL": bucket.endpoint_url}
    place = Place(uri=f"{bucket.uri}/t", options=bucket.options, environment=environment)
    place.fill()
    return place


def alone() -> None:
    """Wait until no worker of Ray is alive any more that a killed process had, as they write until they see that it is gone."""
    ends_s = time.monotonic() + 120
    while any(_is_worker(process) for process in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < ends_s, "workers of Ray live on"
        time.sleep(0.1)


def _is_worker(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes().startswith(b"ray::") and MARK.encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended, or is not ours
        return False


def survives(place: Place, executor: str, boundary: str, settle: Callable[[], None] = lambda: None) -> None:
    """Kill, run again, and look."""
    before = place.rows()
    assert place.kill(executor, boundary) == -9, f"the run was not killed: {boundary}"
    assert place.rows() == before
    settle()
    run = place.run()
    assert run.exit_code == 0, run.reason
    assert run.status in (RunStatus.COMMITTED, RunStatus.NOTHING_TO_DO)
    assert [warning for warning in run.warnings if "is also written by" not in warning] == []
    assert place.rows() == before
    assert place.left() == []
    assert place.run().status is RunStatus.NOTHING_TO_DO


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_on_disk(disk: Place, boundary: str) -> None:
    """On a disk, wherever the process dies, temporary files included."""
    survives(disk, "local", boundary)
    temporaries = [path for path in Path(disk.uri).rglob(".*.compactor-tmp") if "_compactor" not in path.parts]
    assert temporaries == []


@pytest.mark.parametrize("boundary", [b if b in FEW else pytest.param(b, marks=pytest.mark.long) for b in BOUNDARIES])
def test_killed_on_s3(s3: Place, boundary: str) -> None:
    """On S3, wherever the process dies."""
    survives(s3, "local", boundary)


def some(few: str) -> list[object]:
    """All boundaries of a driver, but only one of them in the short run."""
    return [boundary if boundary == few else pytest.param(boundary, marks=pytest.mark.long) for boundary in DRIVERS]


@pytest.mark.parametrize("boundary", some(FEW[1]))
def test_killed_beside_ray(disk: Place, boundary: str) -> None:
    """With Ray: its workers end soon after the driver, and what they still wrote is found."""
    survives(disk, "ray", boundary, settle=alone)


@pytest.mark.parametrize("boundary", some(FEW[2]))
def test_killed_beside_ray_on_s3(s3: Place, boundary: str) -> None:
    """The same on S3."""
    survives(s3, "ray", boundary, settle=alone)


def test_finished_groups_are_not_rewritten(disk: Place) -> None:
    """What a killed run had finished is committed by the next one, which reads none of those inputs again."""
    assert disk.kill("serial", "before create _delta_log/*") == -9
    written = {path.name for path in Path(disk.uri).glob("p=*/part-*-a0-*.parquet")}
    run = disk.run()
    assert run.status is RunStatus.COMMITTED
    assert {path.rpartition("/")[2] for path in DeltaTable(disk.uri).file_uris()} == written


def test_an_unfinished_upload_is_aborted(s3: Place) -> None:
    """A multipart upload under a stem of a dead run is found and aborted; one of somebody else stays."""
    import boto3

    assert s3.kill("serial", "after create _compactor/intents/*.json") == -9
    store = s3.store()
    (intent,) = [json.loads(bytes(store.get(item.key))) for item in store.list("_compactor/intents/") if item.key.endswith(".json")]
    bucket = s3.uri.split("/")[2]
    client = boto3.client("s3", endpoint_url=s3.environment["AWS_ENDPOINT_URL"], region_name=REGION)
    stem = intent["groups"][0][2]
    folder = intent["groups"][0][1].rpartition("/")[0]
    client.create_multipart_upload(Bucket=bucket, Key=f"t/{folder}/{stem}-a0-00000.zstd.parquet")
    client.create_multipart_upload(Bucket=bucket, Key=f"t/{folder}/part-00000-other.parquet")
    assert s3.run().status is RunStatus.COMMITTED
    begun = [item["Key"] for item in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]
    assert begun == [f"t/{folder}/part-00000-other.parquet"]


def test_clean_shows_and_does_it_by_hand(disk: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """`compactor clean`: a dry run writes nothing; then what a killed run left goes as soon as the table has another version."""
    assert disk.kill("serial", "after close *.parquet") == -9

    def clean(*more: str) -> dict[str, object]:
        with pytest.raises(SystemExit) as ended:
            cli(["clean", disk.uri, "--json", *more])
        assert ended.value.code == 0
        (line,) = capsys.readouterr().out.splitlines()
        return json.loads(line)  # type: ignore[no-any-return]

    before = disk.left()
    shown = clean("--dry-run")
    assert (shown["state"], shown["files"], shown["dry_run"]) == ("waiting", 1, True)
    assert disk.left() == before
    assert clean()["state"] == "waiting"
    write_deltalake(disk.uri, pa.table({"n": [1000], "p": ["a"], "s": ["x"]}), mode="append")
    done = clean()
    assert (done["state"], done["files"]) == ("swept", 1)
    assert [key for key in disk.left() if key.endswith(".parquet")] == []
    assert clean()["state"] == "swept"
