"""Proof in a whole run: what is not proven is not committed, the exit code says so, and log and journal keep what was proven."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

import compactor
from compactor.model.commit import Committed
from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint
from compactor.model.run import RunStatus
from compactor.rewriting.fingerprint import fingerprint
from compactor.rewriting.fragment import Fragment
from compactor.rewriting.sink import Sink
from compactor.run_report import Tally, report
from compactor.settings import Settings

SETTINGS = Settings(executor="serial", target_size="1MiB")


def small_files(folder: Path, files: int = 12) -> str:
    """A table of small files in two partitions."""
    for i in range(files):
        rows = pa.table({"n": list(range(i * 10, i * 10 + 10)), "s": [f"text {i}.{j}" for j in range(10)], "p": ["a", "b"] * 5})
        write_deltalake(str(folder), rows, partition_by=["p"], mode="append")
    return str(folder)


class Corrupting(Sink):
    """Changes a value of the first fragment that it is given."""

    written = 0

    def write(self, fragment: Fragment) -> None:
        Corrupting.written += 1
        rows = fragment.rows
        if Corrupting.written == 1:
            wrong = pa.array([rows["n"][0].as_py() ^ 4, *rows["n"].to_pylist()[1:]], rows.schema.field("n").type)
            rows = rows.set_column(rows.schema.get_field_index("n"), rows.schema.field("n"), wrong)
        super().write(replace(fragment, rows=rows))


def data_files(uri: str) -> set[str]:
    return {str(path.relative_to(uri)) for path in Path(uri).rglob("*.parquet") if "_delta_log" not in path.parts}


def test_a_run_that_cannot_prove_a_group_commits_the_others_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 8, the group named; its outputs are gone, its inputs live, and the other group is committed."""
    uri = small_files(tmp_path / "t")
    before = data_files(uri)
    monkeypatch.setattr("compactor.rewriting.rewrite.Sink", Corrupting)
    run = compactor.run(uri, settings=SETTINGS.model_copy(update={"engine": "transcode"}))
    (dropped,) = run.groups_dropped
    assert (run.status, run.exit_code, run.groups_committed) == (RunStatus.FAILED, 8, 1)
    assert (dropped.reason, f"group {dropped.group_id}" in dropped.detail) == ("proof", True)
    assert len(data_files(uri) - before) == run.files_added == 1
    rows = pa.table(DeltaTable(uri).to_pyarrow_dataset().to_table())
    assert sorted(rows["n"].to_pylist()) == list(range(120))
    assert [found.group_id for found in run.fingerprints] == [1 - dropped.group_id]


def commit_info(uri: str, version: int) -> dict[str, object]:
    lines = Path(uri, "_delta_log", f"{version:020d}.json").read_text().splitlines()
    return next(json.loads(line)["commitInfo"] for line in lines if "commitInfo" in line)


def test_log_and_journal_say_what_was_proven(tmp_path: Path) -> None:
    """The commit has level, digest, rows and algorithm, each file its digest, the journal those of the groups; and they add up."""
    uri = small_files(tmp_path / "t")
    run = compactor.run(uri, settings=SETTINGS, run_id="r")
    assert run.version is not None
    tags = commit_info(uri, run.version)["tags"]
    assert isinstance(tags, dict)
    total = sum((Fingerprint(sum=int(group.digest, 16), rows=group.rows) for group in run.fingerprints), Fingerprint())
    assert (tags["compactor.proof"], tags["compactor.fingerprintAlgorithm"]) == ("full", FINGERPRINT_ALGORITHM)
    assert (tags["compactor.fingerprint"], tags["compactor.fingerprintRows"]) == (total.digest, str(total.rows))
    entry = Path(uri, "_delta_log", f"{run.version:020d}.json").read_text().splitlines()
    added = [json.loads(line)["add"] for line in entry if line.startswith('{"add"')]
    for add in added:
        found = fingerprint(pq.read_table(Path(uri, add["path"]), partitioning=None))
        assert add["tags"]["compactor.fingerprint"] == f"{FINGERPRINT_ALGORITHM}:{found.digest}"
    (kept,) = compactor.runs(uri, settings=SETTINGS)
    assert (kept.run.proof, kept.run.fingerprint_algorithm, kept.run.fingerprints) == ("full", FINGERPRINT_ALGORITHM, run.fingerprints)
    assert len(kept.run.fingerprints) == len(added) == 2


def test_the_level_is_chosen_and_told(tmp_path: Path) -> None:
    """At `counts` nothing is fingerprinted, and log and run say that."""
    uri = small_files(tmp_path / "t")
    run = compactor.run(uri, settings=SETTINGS.model_copy(update={"proof": "counts"}))
    assert (run.status, run.proof, run.fingerprints) == (RunStatus.COMMITTED, "counts", ())
    assert run.version is not None
    tags = commit_info(uri, run.version)["tags"]
    assert isinstance(tags, dict)
    assert tags["compactor.proof"] == "counts"
    assert not [name for name in tags if "ingerprint" in name]


def test_only_committed_groups_have_fingerprints_in_a_run() -> None:
    """A group that was proven and then lost to another writer is not among the proven groups of its run."""
    tally = Tally(run_id="r", table="t", planned=2, proof="full", fingerprints={0: Fingerprint(rows=1), 1: Fingerprint(rows=2)})
    tally.commits.append(
        Committed(version=1, attempts=1, groups=(1,), files_removed=2, files_added=1, bytes_removed=1, bytes_added=1, rows=2)
    )
    assert [(found.group_id, found.rows) for found in report(tally, seconds=0.0).fingerprints] == [(1, 2)]
