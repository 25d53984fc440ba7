"""Checkpoints: when they are due, that deltalake's are good, and that a failure is an error of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import delta_log

from compactor.errors import CompactorError
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.storage import StorageOptions
from compactor.storage import open_store
from compactor.storage.memory import MemoryStore
from compactor.tables.delta import checkpoint
from compactor.tables.delta.checkpoint import DeltaLakeCheckpointer, due


def table(**properties: str) -> Snapshot:
    return delta_log.start(MemoryStore(), properties={f"delta.{key}": value for key, value in properties.items()})


def test_a_checkpoint_is_due_after_the_interval() -> None:
    """Ten versions, or as many as delta.checkpointInterval says, after the last checkpoint; never below a protected version."""
    assert [due(table(), version) for version in (9, 10, 11)] == [False, True, True]
    assert [due(table(checkpointInterval="3"), version) for version in (2, 3)] == [False, True]
    assert due(table(checkpointInterval="nonsense"), 10)
    assert [due(table(requireCheckpointProtectionBeforeVersion="20"), version) for version in (19, 20)] == [False, True]


def real_table(uri: str, versions: int, **properties: str) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    for i in range(versions):
        configuration = {f"delta.{key}": value for key, value in properties.items()}
        write_deltalake(uri, pa.table({"a": [i]}), mode="append", configuration=configuration if i == 0 else None)


def test_deltalake_writes_the_checkpoint_and_cleans_nothing(tmp_path: Path) -> None:
    """The checkpoint of the version asked for appears; every log entry stays, however short the table's log retention."""
    uri = str(tmp_path / "t")
    real_table(uri, 4, logRetentionDuration="interval 0 seconds", enableExpiredLogCleanup="true")
    log = tmp_path / "t" / "_delta_log"
    before = sorted(path.name for path in log.glob("*.json"))
    DeltaLakeCheckpointer(StorageOptions()).checkpoint(TableRef(uri=uri), 2)
    assert [path.name for path in log.glob("*.parquet")] == ["00000000000000000002.checkpoint.parquet"]
    assert sorted(path.name for path in log.glob("*.json")) == before
    assert json.loads((log / "_last_checkpoint").read_text())["version"] == 2
    assert due(delta_log.load(open_store(uri)), 10)


def test_a_protected_version_gets_none(tmp_path: Path) -> None:
    """Below delta.requireCheckpointProtectionBeforeVersion nothing is written, and the error says so."""
    uri = str(tmp_path / "t")
    real_table(uri, 1)
    entry = tmp_path / "t" / "_delta_log" / f"{0:020d}.json"
    text = entry.read_text().replace('"configuration":{}', '"configuration":{"delta.requireCheckpointProtectionBeforeVersion":"5"}')
    entry.write_text(text)
    assert "ProtectionBefore" in text
    with pytest.raises(CompactorError, match="below 5 are protected"):
        DeltaLakeCheckpointer(StorageOptions()).checkpoint(TableRef(uri=uri), 0)
    assert not list((tmp_path / "t").rglob("*.checkpoint.parquet"))


@pytest.mark.parametrize("broken", ["missing", "unreadable", "unknown-feature"])
def test_what_deltalake_cannot_open_is_one_sentence(tmp_path: Path, broken: str) -> None:
    """A table that deltalake cannot open gives a CompactorError that names table and version, whatever the library raised."""
    uri = str(tmp_path / "t")
    real_table(uri, 1)
    entry = tmp_path / "t" / "_delta_log" / f"{0:020d}.json"
    if broken == "missing":
        uri = str(tmp_path / "nothing")
    elif broken == "unreadable":
        entry.write_text("{")
    else:
        lines = [json.loads(line) for line in entry.read_text().splitlines()]
        for line in lines:
            if "protocol" in line:
                features = ["timeTravelInReverse"]
                line["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
        entry.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(CompactorError, match=r"No checkpoint of .* at version 0") as raised:
        DeltaLakeCheckpointer(StorageOptions()).checkpoint(TableRef(uri=uri), 0)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_is_skipped_when_memory_is_short(tmp_path: Path) -> None:
    """With less free memory than so many files need, nothing is started, and the sentence has both numbers."""
    checkpointer = DeltaLakeCheckpointer(StorageOptions(), available=lambda: 1024**3)
    with pytest.raises(CompactorError, match=r"about 2\.5 GiB of memory, and 1\.0 GiB are free"):
        checkpointer.checkpoint(TableRef(uri=str(tmp_path)), 3, 1_000_000)


def test_a_checkpoint_that_hangs_is_stopped(tmp_path: Path) -> None:
    """The time limit ends the process, and the caller gets a sentence."""
    with pytest.raises(CompactorError, match=r"longer than 0\.01 s and was stopped"):
        DeltaLakeCheckpointer(StorageOptions(), time_limit_s=0.01).checkpoint(TableRef(uri=str(tmp_path)), 3)


def test_a_checkpoint_process_that_dies_is_no_more_than_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An out-of-memory kill of the process, say, is told with its exit code."""
    monkeypatch.setattr(checkpoint, "_BOOT", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CompactorError, match="exit code -9"):
        DeltaLakeCheckpointer(StorageOptions()).checkpoint(TableRef(uri=str(tmp_path)), 3)
