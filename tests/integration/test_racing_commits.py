"""Racing compactors on real rows: rows never change, no version is lost or used twice, and losers leave no committed damage."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.moto_s3 import DUMMY_ENVIRONMENT, REGION, Bucket
from support.plain_compactor import clickhouse_rows, deltalake_rows, race
from support.protocol_check import check_entry, live_files, read

from compactor.model.commit import CommitOutcome, Committed, Conflict
from compactor.model.storage import StorageOptions
from compactor.storage import open_store

RACERS = 4
FILES = 10
PARTITIONS = ("a", "b", "c", "d")


def make_table(uri: str, storage_options: dict[str, str] | None = None) -> None:
    """A table of four partitions with ten small files in each, by a real writer."""
    from deltalake import write_deltalake

    for i in range(FILES):
        ids = range(i * 8, i * 8 + 8)
        rows = pa.table({"id": list(ids), "v": [f"value {n}" for n in ids], "p": [PARTITIONS[n % 4] for n in ids]})
        write_deltalake(uri, rows, mode="append", partition_by=["p"], storage_options=storage_options)


def threads() -> Executor:
    return ThreadPoolExecutor(RACERS)


def processes() -> Executor:
    return ProcessPoolExecutor(RACERS, mp_context=multiprocessing.get_context("spawn"))


def run_race(uri: str, options: StorageOptions, pool: Callable[[], Executor], disjoint: bool) -> list[CommitOutcome]:
    """Every racer at once; disjoint: each in a partition of its own."""
    with pool() as executor:
        futures = [executor.submit(race, uri, options, f"racer{n}", 6, [n] if disjoint else None) for n in range(RACERS)]
        return [outcome for future in futures for outcome in future.result(timeout=120)]


def check_log(uri: str, options: StorageOptions, outcomes: list[CommitOutcome]) -> None:
    """Every commit is in the log once, is lawful, and is what its racer was told."""
    store = open_store(uri, options)
    committed = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
    assert all(isinstance(outcome, Committed | Conflict) for outcome in outcomes)
    versions = sorted(outcome.version for outcome in committed)
    assert versions == list(range(FILES, FILES + len(committed))), "a version was lost or used twice"
    for outcome in committed:
        check_entry(store, outcome.version, parquet=True)
        lines = read(store, outcome.version)
        assert sum("remove" in line for line in lines) == outcome.files_removed
        assert sum(json.loads(line["add"]["stats"])["numRecords"] for line in lines if "add" in line) == outcome.rows
    live, _ = live_files(store, versions[-1])
    assert len(live) == FILES * 4 - sum(outcome.files_removed - outcome.files_added for outcome in committed)


@pytest.mark.parametrize("disjoint", [True, False], ids=["disjoint", "overlapping"])
@pytest.mark.parametrize("pool", [threads, processes])
def test_on_a_disk(tmp_path: Path, pool: Callable[[], Executor], disjoint: bool) -> None:
    """Racers in threads and in processes on one disk: disjoint groups all land; of overlapping ones exactly those whose inputs lived."""
    uri = str(tmp_path / "table")
    make_table(uri)
    before = deltalake_rows(uri)
    outcomes = run_race(uri, StorageOptions(), pool, disjoint)
    check_log(uri, StorageOptions(), outcomes)
    assert deltalake_rows(uri) == before == clickhouse_rows(Path(uri))
    dropped = [d for outcome in outcomes if isinstance(outcome, Committed | Conflict) for d in outcome.dropped]
    assert {d.reason for d in dropped} <= {"input-vanished"}
    if disjoint:
        assert not dropped and len(outcomes) == RACERS * 6


@pytest.mark.parametrize("disjoint", [True, False], ids=["disjoint", "overlapping"])
def test_on_s3(s3_bucket: Bucket, disjoint: bool) -> None:
    """The same on an S3 endpoint, by conditional puts (moto with its put lock in place: a test of our answers, no proof of S3)."""
    uri = f"{s3_bucket.uri}/table"
    access = {
        "endpoint_url": s3_bucket.endpoint_url, "allow_http": "true", "region": "eu-central-1",
        "access_key_id": "testing", "secret_access_key": "testing",
    }  # fmt: skip
    make_table(uri, access)
    before = deltalake_rows(uri, access)
    outcomes = run_race(uri, s3_bucket.options, threads, disjoint)
    check_log(uri, s3_bucket.options, outcomes)
    assert deltalake_rows(uri, access) == before == clickhouse_rows(f"{s3_bucket.endpoint_url}/{s3_bucket.name}/table/")


APPENDS, APPENDED_ROWS = 25, 40
APPENDER = f"""
import sys
import pyarrow as pa
from deltalake import write_deltalake
uri, options = sys.argv[1], dict(pair.split("=", 1) for pair in sys.argv[2:])
for i in range({APPENDS}):
    ids = list(range(i * {APPENDED_ROWS}, (i + 1) * {APPENDED_ROWS}))
    rows = pa.table({{"id": ids, "v": [f"value {{n}}" for n in ids], "p": ["abcd"[n % 4] for n in ids]}})
    write_deltalake(uri, rows, mode="append", partition_by=["p"], storage_options=options)
    print(i, flush=True)
"""
COMPACTOR = [
    *(sys.executable, "-c", "from compactor_cli.entry import main; main()", "run", "--json"),
    *("--min-input-files", "2", "--max-write-amplification", "30", "--executor", "local"),
]
"""Runs that always find something to rewrite, so that they meet."""


@pytest.fixture
def s3_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of an S3 store in a process of its own (moto with its put lock in place), ended with its standard input."""
    for name, value in {**DUMMY_ENVIRONMENT, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "compactor_cli.demo.s3_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()
        server.wait(timeout=20)


def compact(uri: str, *options: str) -> dict[str, Any]:
    """One `compactor run` in a process of its own: what it told."""
    done = subprocess.run([*COMPACTOR, *options, uri], capture_output=True, text=True, timeout=200, check=False, env=os.environ)
    assert "Traceback" not in done.stderr, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    return told


def test_processes_on_s3_beside_a_writer(s3_process: str) -> None:
    """Three `compactor run` processes at a time and a deltalake appender in its own, on one S3 table: the rows are those that were
    appended, each version was taken once, and each run that says so is in the log with what it says."""
    import boto3

    boto3.client("s3", endpoint_url=s3_process, region_name=REGION).create_bucket(
        Bucket="race", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    uri, options = "s3://race/table", StorageOptions(endpoint_url=s3_process, region=REGION, path_style=True)
    access = {"AWS_ENDPOINT_URL": s3_process, "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION}
    command = [sys.executable, "-c", APPENDER, uri, *(f"{name}={value}" for name, value in access.items())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as appender, ThreadPoolExecutor(3) as racers:
        assert appender.stdout is not None
        while int(appender.stdout.readline()) < 5:
            pass
        flags = ("--endpoint-url", s3_process, "--region", REGION, "--path-style")
        told = list(racers.map(lambda _: compact(uri, *flags), range(6)))
        appender.stdout.read()
    assert appender.returncode == 0
    assert {run["status"] for run in told} <= {"committed", "conflict", "nothing-to-do"}, told
    assert sum(run["status"] == "committed" for run in told) >= 2
    rows = deltalake_rows(uri, access)
    assert sorted(row[0] for row in rows) == list(range(APPENDS * APPENDED_ROWS)), "rows were lost or doubled"
    check_versions(uri, options, told)


def check_versions(uri: str, options: StorageOptions, told: list[dict[str, Any]]) -> None:
    """No gap, every append there, and what each run says of its commits is what the log says of them."""
    store = open_store(uri, options)
    versions = sorted(int(item.key.rpartition("/")[2][:20]) for item in store.list("_delta_log/") if item.key.endswith(".json"))
    assert versions == list(range(len(versions)))
    said = [next(line["commitInfo"] for line in read(store, version) if "commitInfo" in line) for version in versions]
    assert sum(info["operation"] == "WRITE" for info in said) == APPENDS
    ours = {info["tags"]["compactor.runId"]: version for version, info in enumerate(said) if "compactor.runId" in info.get("tags", {})}
    committed = [run for run in told if run["status"] == "committed"]
    assert ours == {run["run_id"]: run["version"] for run in committed} and len(ours) + APPENDS == len(versions)
    for run in committed:
        check_entry(store, run["version"], parquet=True)
        lines = read(store, run["version"])
        assert sum("remove" in line for line in lines) == run["files_removed"]
        assert sum("add" in line for line in lines) == run["files_added"]
    assert list(store.list("_compactor/intents/")) == []
