"""Whole runs that copy encoded row groups: on tables of real writers, read back by real readers, proven, and done after one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import chdb
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake
from support.moto_s3 import DUMMY_ENVIRONMENT, Bucket

import compactor
from compactor.model.run import Run
from compactor.rewriting import native

MIB = 1024 * 1024


def rows(first: int, count: int) -> pa.Table:
    n = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(n, pa.int64()),
            "kind": [f"kind {i % 7}" for i in n],
            "x": [None if i % 13 == 0 else i / 3 for i in n],
            "name": [f"{i:09d}-{i * 7919 % 1000003}" for i in n],
            "tags": [[f"t{i % 5}"] if i % 4 else None for i in n],
            "part": ["a" if i < first + count // 2 else "b" for i in n],
        }
    )


def run(uri: str | Path, **flags: object) -> Run:
    values = {"min_input_files": 2, "executor": "serial", "engine": "stitch", **flags}
    return compactor.run(str(uri), settings=compactor.load_settings(flags=values, env={}))


def log_of(table: Path, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (table / "_delta_log" / f"{version:020d}.json").read_text().splitlines()]


def ask_for(table: Path, codec: str) -> None:
    """The table's first version says which codec its files are to have; deltalake itself does not set that property."""
    first = table / "_delta_log" / f"{0:020d}.json"
    actions = log_of(table, 0)
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"]["delta.parquet.compression.codec"] = codec
    first.write_text("".join(json.dumps(action) + "\n" for action in actions))


def sums(path: Path) -> list[tuple[object, ...]]:
    """What readers of Delta tables make of it: rows, sum of ids, of a filter on names, of null tags."""
    found = DeltaTable(path).to_pyarrow_table()
    name = f"{1234:09d}"
    delta = (found.num_rows, pc.sum(found["id"]).as_py(), pc.sum(pc.starts_with(found["name"], name)).as_py(), found["tags"].null_count)
    files = [str(path / file) for file in DeltaTable(path).file_uris()]
    sql = f"count(*), sum(id), sum(case when name like '{name}%' then 1 else 0 end), sum(case when tags is null then 1 else 0 end)"
    duck = duckdb.sql(f"select {sql} from read_parquet({files})").fetchall()[0]
    polars = pl.scan_delta(str(path))
    like = polars.filter(pl.col("name").str.starts_with(name)).select(pl.len()).collect().item()
    whole = polars.select(pl.len(), pl.col("id").sum(), pl.col("tags").null_count().alias("nulls")).collect().row(0)
    wanted = f"select count(), sum(id), countIf(name like '{name}%')"
    house = [chdb.query(f"{wanted} from file('{file}', Parquet)", "CSV").data().split(",") for file in files]
    assert tuple(sum(int(one[i]) for one in house) for i in range(3)) == delta[:3]
    return [delta, tuple(map(int, duck)), (whole[0], whole[1], like, whole[2])]


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_table_by_deltalake_is_copied_proven_and_done(tmp_path: Path, partitioned: bool) -> None:
    """Every row group is copied; the rows, the log's statistics and what other readers find are right; a second run rewrites nothing."""
    table = tmp_path / "t"
    for i in range(4):
        write_deltalake(table, rows(i * 3000, 3000), mode="append", partition_by=["part"] if partitioned else None)
    before = sums(table)
    assert len(set(before)) == 1
    done = run(table, target_size="64MiB")
    assert (done.status, done.proof, done.files_removed) == ("committed", "bytes", 8 if partitioned else 4)
    assert (done.copies.row_groups, done.decoded) == (8 if partitioned else 4, ())
    assert sums(table) == before
    info, *_ = (action["commitInfo"] for action in log_of(table, 4) if "commitInfo" in action)
    assert info["tags"]["compactor.proof"] == "bytes"
    assert (info["tags"]["compactor.fingerprintAlgorithm"], info["tags"]["compactor.fingerprintRows"]) == ("bytes-2", "12000")
    adds = [action["add"] for action in log_of(table, 4) if "add" in action]
    assert all(0 < int(add["tags"]["compactor.encodeDebt"]) < add["size"] for add in adds)
    assert compactor.assess(str(table)).encode_debt_bytes == sum(int(add["tags"]["compactor.encodeDebt"]) for add in adds)
    assert not any("compactor.fingerprint" in add["tags"] for add in adds)
    stats = [json.loads(action["add"]["stats"]) for action in log_of(table, 4) if "add" in action]
    assert sum(found["numRecords"] for found in stats) == 12_000
    assert min(found["minValues"]["id"] for found in stats) == 0
    assert max(found["maxValues"]["x"] for found in stats) == 11_998 / 3  # the last is null
    assert sum(found["nullCount"]["tags"] for found in stats) == 3_000
    (verdict,) = compactor.verify(str(table)).commits
    assert verdict.verdict == "equal"
    assert not compactor.doctor(str(table), data=True).findings
    again = run(table, target_size="64MiB")
    assert (again.status, again.bytes_removed) == ("nothing-to-do", 0)


def test_encode_debt_is_paid_once_where_a_policy_asks_for_it(tmp_path: Path) -> None:
    """A finished file of small row groups that were copied is encoded anew, by no engine that would copy them again, and is done then."""
    table = tmp_path / "t"
    for i in range(4):
        write_deltalake(table, rows(i * 3000, 3000), mode="append")
    before = sums(table)
    small = str(sum(path.stat().st_size for path in table.glob("*.parquet")))
    assert run(table, target_size=small).copies.row_groups == 4
    debt = compactor.assess(str(table)).encode_debt_bytes
    assert run(table, target_size=small, engine="auto").status == "nothing-to-do"
    assert run(table, target_size=small, max_encode_debt=0.25).status == "nothing-to-do"  # `stitch` would make the same again
    paid = run(table, target_size=small, engine="auto", max_encode_debt=0.25)
    assert (paid.status, paid.files_removed, paid.files_added, paid.copies.row_groups) == ("committed", 1, 1, 0)
    health = compactor.assess(str(table), settings=compactor.Settings(max_encode_debt=0.0))
    assert 0 == health.encode_debt_bytes < debt
    assert (health.indebted_files, sums(table)) == (0, before)
    assert run(table, target_size=small, engine="auto", max_encode_debt=0.0).status == "nothing-to-do"


def test_small_row_groups_are_decoded_beside_large_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is merged, row groups below the threshold are decoded into the same output, and the run says so."""
    monkeypatch.setattr(native, "KERNELS", None)
    table = tmp_path / "t"
    for i, count in enumerate((20_000, 100, 20_000, 100)):
        write_deltalake(table, rows(i * 20_000, count), mode="append")
    before = sums(table)
    done = run(table, target_size="64MiB", engine="auto", copy_row_groups="100KiB")
    assert (done.status, done.copies.row_groups, done.files_added) == ("committed", 2, 1)
    assert [(because.code, because.row_groups) for because in done.decoded] == [("kernels", 2)]
    assert sums(table) == before
    assert run(table, target_size="64MiB", engine="auto", copy_row_groups="100KiB").status == "nothing-to-do"


def test_an_oversized_file_is_split_between_its_row_groups(tmp_path: Path) -> None:
    """Outputs end where row groups end, none needs another run, and nothing is decoded."""
    table = tmp_path / "t"
    write_deltalake(table, rows(0, 40_000), writer_properties=WriterProperties(max_row_group_size=2_000, compression="SNAPPY"))
    before = sums(table)
    size = next(table.glob("*.parquet")).stat().st_size
    done = run(table, target_size=str(size // 4))
    assert (done.status, done.files_removed, done.files_added, done.decoded) == ("committed", 1, 4, ())
    assert done.copies.row_groups == 20
    assert sums(table) == before
    assert run(table, target_size=str(size // 4)).bytes_removed == 0


def test_bytes_are_rewritten_at_most_twice(tmp_path: Path) -> None:
    """Dripping files are copied again no more often than they would be decoded again."""
    table, written = tmp_path / "t", 0
    appended = 0
    for i in range(24):
        write_deltalake(table, rows(i * 500, 500), mode="append")
        appended += sum(action["add"]["size"] for action in log_of(table, DeltaTable(table).version()) if "add" in action)
        if i % 3 == 2:
            written += run(table, target_size="200KiB", min_input_files=2).bytes_removed
    assert 0 < written <= 2 * appended
    assert DeltaTable(table).to_pyarrow_table().num_rows == 12_000


def test_a_codec_that_the_table_asks_for_is_kept(tmp_path: Path) -> None:
    """Snappy row groups are decoded where the table's property says zstd, and copied where it says nothing."""
    for codec, copied in (("zstd", 0), (None, 3)):
        table = tmp_path / str(codec)
        for i in range(3):
            write_deltalake(table, rows(i * 500, 500), mode="append", writer_properties=WriterProperties(compression="SNAPPY"))
        if codec:
            ask_for(table, codec)
        done = run(table)
        assert (done.status, done.copies.row_groups) == ("committed", copied)
        assert [because.code for because in done.decoded] == (["codec"] if codec else [])


def test_s3_copies_row_groups_by_itself(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """On S3 most bytes of large row groups are copied inside the store, and are proven by reading both sides."""
    for name, value in DUMMY_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    uri = f"{s3_bucket.uri}/t"
    options = {"AWS_ENDPOINT_URL": s3_bucket.endpoint_url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "eu-central-1"}
    plain = WriterProperties(compression="UNCOMPRESSED")
    for i in range(3):
        write_deltalake(uri, rows(i * 200_000, 200_000), mode="append", storage_options=options, writer_properties=plain)
    flags = {"endpoint_url": s3_bucket.endpoint_url, "region": "eu-central-1", "path_style": True}
    done = run(uri, target_size="256MiB", **flags)
    assert (done.status, done.proof, done.copies.row_groups) == ("committed", "bytes", 3)
    assert done.copies.store_requests >= 2  # the first row group may be too short for a copy behind the file's first bytes
    assert done.copies.stored_bytes >= done.copies.bytes // 2
    found = DeltaTable(uri, storage_options=options).to_pyarrow_table(columns=["id"])
    assert (found.num_rows, pc.sum(found["id"]).as_py()) == (600_000, sum(range(600_000)))
