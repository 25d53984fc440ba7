"""Racing compactors on real rows: rows never change, no version is lost or used twice, and losers leave no committed damage."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from support.moto_s3 import Bucket
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
