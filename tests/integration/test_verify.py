"""`verify` against tables on disk: good commits, commits forged by hand, files that were vacuumed, damaged or replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from support.delta_tables import make_table, mask_rows, table_of

import compactor
from compactor.errors import UsageError
from compactor.model.verification import CommitVerdict, Verdict, Verification
from compactor.settings import Settings
from compactor_cli.main import main

SETTINGS = Settings(executor="serial", target_size="1MiB")
Rows = Callable[[pa.Table], pa.Table]


def small_files(folder: Path, files: int = 6) -> str:
    """A table of small files in two partitions."""
    for i in range(files):
        rows = pa.table({"n": list(range(i * 10, i * 10 + 10)), "s": [f"text {i}.{j}" for j in range(10)], "p": ["a", "b"] * 5})
        write_deltalake(str(folder), rows, partition_by=["p"], mode="append")
    return str(folder)


def compacted(folder: Path) -> str:
    uri = small_files(folder)
    assert compactor.run(uri, settings=SETTINGS).exit_code == 0
    return uri


def live(uri: str) -> list[dict[str, Any]]:
    """The live adds, by reading the log from its first entry."""
    adds: dict[str, dict[str, Any]] = {}
    for entry in sorted(Path(uri, "_delta_log").glob("*.json")):
        for line in map(json.loads, entry.read_text().splitlines()):
            if "remove" in line:
                adds.pop(line["remove"]["path"], None)
            if "add" in line:
                adds[line["add"]["path"]] = line["add"]
    return list(adds.values())


def forge(uri: str, change: Rows, *, ours: bool, partition: str = "a") -> int:
    """A compaction of one partition by plain pyarrow and JSON, of rows that `change` made of the right ones. Returns its version."""
    inputs = [add for add in live(uri) if add["partitionValues"]["p"] == partition]
    rows = pa.concat_tables([pq.read_table(Path(uri, add["path"]), partitioning=None) for add in inputs])
    path = f"p={partition}/forged.parquet"
    pq.write_table(change(rows), Path(uri, path))
    version = len(list(Path(uri, "_delta_log").glob("*.json")))
    info: dict[str, Any] = {"operation": "OPTIMIZE", "timestamp": 1, **({"tags": {"compactor.runId": "forged"}} if ours else {})}
    removes = [{"remove": {**{k: add[k] for k in ("path", "partitionValues", "size")}, "dataChange": False}} for add in inputs]
    add = {"path": path, "partitionValues": {"p": partition}, "size": Path(uri, path).stat().st_size, "modificationTime": 1}
    lines = [{"commitInfo": info}, *removes, {"add": {**add, "dataChange": False, "stats": json.dumps({"numRecords": rows.num_rows})}}]
    Path(uri, "_delta_log", f"{version:020d}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return version


def exchanged(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, "n", rows["n"].take([1, 0, *range(2, rows.num_rows)]))


FORGERIES: dict[str, Rows] = {
    "two values of a column exchanged": exchanged,
    "a row doubled": lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]),
    "a row lost": lambda rows: rows.slice(1),
    "a row lost and one doubled": lambda rows: pa.concat_tables([rows.slice(1), rows.slice(1, 1)]),
    "a column of nulls": lambda rows: rows.set_column(1, "s", pa.nulls(rows.num_rows, pa.string())),
}


def only(found: Verification) -> CommitVerdict:
    (commit,) = found.commits
    return commit


def test_our_commits_verify(tmp_path: Path) -> None:
    """All our commits of the log, and none of others, oldest first; the rows are counted."""
    uri = compacted(tmp_path / "t")
    small_files(tmp_path / "t")
    assert compactor.run(uri, settings=SETTINGS.model_copy(update={"force_rewrite": True})).exit_code == 0
    found = compactor.verify(uri, settings=SETTINGS)
    assert [(commit.version, commit.verdict) for commit in found.commits] == [(6, Verdict.EQUAL), (13, Verdict.EQUAL)]
    assert (found.commits[0].rows, found.commits[0].files_removed, found.commits[0].files_added) == (60, 12, 2)
    assert dict(found.commits[0].parts) == {Verdict.EQUAL: 2}
    assert found.exit_code == 0
    assert [commit.version for commit in compactor.verify(uri, settings=SETTINGS, first=7).commits] == [13]
    assert [commit.version for commit in compactor.verify(uri, settings=SETTINGS, last=12).commits] == [6]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_compaction_is_found(tmp_path: Path, forgery: str, ours: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A commit whose rows are not those it removed: exit 8, the partition and its files named, whoever wrote it."""
    uri = small_files(tmp_path / "t")
    version = forge(uri, FORGERIES[forgery], ours=ours)
    found = compactor.verify(uri, settings=SETTINGS, version=version)
    part = only(found).first_fault
    assert (found.exit_code, only(found).verdict) == (8, Verdict.DIFFERS)
    assert part is not None
    assert (part.partition, part.files) == ({"p": "a"}, ("p=a/forged.parquet",))
    assert len(compactor.verify(uri, settings=SETTINGS).commits) == ours
    with pytest.raises(SystemExit) as ended:
        main(["verify", uri, "--version", str(version), "--json", "--executor", "serial"])
    assert ended.value.code == 8
    out, err = capsys.readouterr()
    assert json.loads(out)["first_fault"]["files"] == ["p=a/forged.parquet"]
    assert f"version {version}, partition p=a: " in err


def test_a_sound_compaction_by_others_verifies(tmp_path: Path) -> None:
    """Another engine's rewrite, in another order, keeps the rows; a version that is no rewrite is a usage error, as is one not there."""
    uri = small_files(tmp_path / "t")
    version = forge(uri, lambda rows: rows.take(list(range(rows.num_rows))[::-1]), ours=False)
    assert only(compactor.verify(uri, settings=SETTINGS, version=version)).verdict is Verdict.EQUAL
    table = DeltaTable(uri)
    table.optimize.compact()
    assert only(compactor.verify(uri, settings=SETTINGS, version=table.version())).verdict is Verdict.EQUAL
    for wrong in (3, 99):
        with pytest.raises(UsageError):
            compactor.verify(uri, settings=SETTINGS, version=wrong)


def removed_files(uri: str, version: int) -> list[Path]:
    lines = map(json.loads, Path(uri, "_delta_log", f"{version:020d}.json").read_text().splitlines())
    return [Path(uri, line["remove"]["path"]) for line in lines if "remove" in line]


def test_what_vacuum_took_is_said(tmp_path: Path) -> None:
    """Without the removed files, added ones are held against the digests in the log; without those too, nothing can be said."""
    uri = compacted(tmp_path / "t")
    for path in removed_files(uri, 6):
        if path.parent.name == "p=a":
            path.unlink()
    half = only(compactor.verify(uri, settings=SETTINGS))
    assert (half.verdict, dict(half.parts)) == (Verdict.RECORDED, {Verdict.RECORDED: 1, Verdict.EQUAL: 1})
    added = [Path(uri, add["path"]) for add in sorted(live(uri), key=lambda add: str(add["path"]))]
    rows = pq.read_table(added[0], partitioning=None)
    original = added[0].read_bytes()
    pq.write_table(exchanged(rows), added[0])
    changed = only(compactor.verify(uri, settings=SETTINGS))
    assert (changed.verdict, changed.first_fault and changed.first_fault.files) == (Verdict.DIFFERS, (str(added[0].relative_to(uri)),))
    added[0].write_bytes(original)
    for path in added:
        path.unlink()
    gone = compactor.verify(uri, settings=SETTINGS)
    assert (only(gone).verdict, gone.exit_code, only(gone).rows) == (Verdict.NOT_VERIFIABLE, 0, None)
    assert only(gone).first_fault is None


def test_a_file_that_changed_later_is_told_from_one_that_was_wrong(tmp_path: Path) -> None:
    """Rows that are not those the file was written with: that file is named, not its neighbours."""
    uri = small_files(tmp_path / "t", files=12)
    settings = SETTINGS.model_copy(update={"target_size": "4KiB", "min_input_files": 2})
    assert compactor.run(uri, settings=settings, run_id="r").exit_code == 0
    added = [add["path"] for add in live(uri) if add["partitionValues"]["p"] == "a" and add.get("tags")]
    assert len(added) > 1
    victim = added[1]
    size = Path(uri, victim).stat().st_size
    rows = pq.read_table(Path(uri, victim), partitioning=None)
    pq.write_table(exchanged(rows), Path(uri, victim))
    commit = only(compactor.verify(uri, settings=SETTINGS))
    assert commit.first_fault is not None
    assert (commit.verdict, commit.first_fault.files) == (Verdict.DIFFERS, (victim,))
    Path(uri, victim).write_bytes(b"PAR1" + b"\0" * (size - 12) + b"\x10\0\0\0PAR1")
    damaged = compactor.verify(uri, settings=SETTINGS)
    assert (only(damaged).verdict, damaged.exit_code) == (Verdict.DAMAGED, 6)
    assert only(damaged).first_fault.files == (victim,)  # type: ignore[union-attr]


def test_a_digest_in_the_log_that_is_not_that_of_the_rows(tmp_path: Path) -> None:
    """Rows that are equal on both sides but not those that the commit recorded: also that is a difference."""
    uri = compacted(tmp_path / "t")
    entry = Path(uri, "_delta_log", f"{6:020d}.json")
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    tags = lines[0]["commitInfo"]["tags"]
    tags["compactor.fingerprint"] = f"{int(tags['compactor.fingerprint'], 16) ^ 1:032x}"
    entry.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert only(compactor.verify(uri, settings=SETTINGS)).verdict is Verdict.DIFFERS


def test_deleted_rows_do_not_count_and_columns_may_be_added(tmp_path: Path) -> None:
    """Rows under deletion vectors are not among those removed; a column that came later changes no verdict on what was before it."""
    table = make_table(tmp_path / "t", table_of(ints=range(100)), files=10)
    for file in table.live()[:3]:
        mask_rows(table, file, [1, 2])
    uri = str(table.root)
    settings = SETTINGS.model_copy(update={"max_deleted_ratio": 0.0})
    run = compactor.run(uri, settings=settings)
    assert run.exit_code == 0
    commit = only(compactor.verify(uri, settings=SETTINGS))
    assert (commit.verdict, commit.rows) == (Verdict.EQUAL, 94)


def test_versions_that_are_gone_are_named(tmp_path: Path) -> None:
    """A range the log has lost is a usage error; what it retains after a checkpoint is verified, with or without the versions before."""
    uri = compacted(tmp_path / "t")
    DeltaTable(uri).create_checkpoint()
    small_files(tmp_path / "t", files=5)
    assert compactor.run(uri, settings=SETTINGS.model_copy(update={"force_rewrite": True})).exit_code == 0
    for version in range(6):
        Path(uri, "_delta_log", f"{version:020d}.json").unlink()
    assert [commit.verdict for commit in compactor.verify(uri, settings=SETTINGS).commits] == [Verdict.EQUAL] * 2
    with pytest.raises(UsageError, match="version 2"):
        compactor.verify(uri, settings=SETTINGS, first=2)


def test_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that we never touched: said, and exit code 0."""
    uri = small_files(tmp_path / "t", files=1)
    with pytest.raises(SystemExit) as ended:
        main(["verify", uri])
    assert ended.value.code == 0
    assert "nothing to verify" in capsys.readouterr().out


def test_threads_read_as_one_does(tmp_path: Path) -> None:
    """Several threads and a small memory bound give the same verdict."""
    uri = compacted(tmp_path / "t")
    settings = Settings(executor="local", parallelism=2, memory="64MiB")
    assert only(compactor.verify(uri, settings=settings)) == only(compactor.verify(uri, settings=SETTINGS))


def test_a_cluster_reads_as_this_machine_does(tmp_path: Path) -> None:
    """By a Ray Data pass the verdicts are the same: on sound commits, on forged ones, on files that are gone."""
    pytest.importorskip("ray")
    uri = compacted(tmp_path / "t")
    removed_files(uri, 6)[0].unlink()
    small_files(tmp_path / "t", files=2)
    forge(uri, exchanged, ours=True, partition="b")
    on_ray = Settings(executor="ray", ray_address="local", parallelism=1, memory="256MiB")
    found = compactor.verify(uri, settings=on_ray)
    assert [commit.verdict for commit in found.commits] == [Verdict.RECORDED, Verdict.DIFFERS]
    assert found == compactor.verify(uri, settings=SETTINGS)
