"""Reaching a version: checkpoints of every kind, damage, time travel, refresh."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from support.delta_tables import (
    CheckpointKind,
    HandTable,
    append,
    make_table,
    mask_rows,
    remove_files,
    write_checkpoint,
    write_with_deltalake,
)

from compactor.ambient import system_ambient
from compactor.errors import NotATable, TableCorrupt, UsageError
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.local import LocalStore
from compactor.tables.delta import parquet_source
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.log import entry_key
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.state import DeltaState
from compactor.tables.delta.table import DeltaTable

ROWS = pa.table({"a": pa.array(range(40), pa.int64()), "p": pa.array(["x", "y z%é", "", None] * 10)})
KINDS: list[tuple[CheckpointKind, int]] = [
    ("classic", 0),
    ("multi-part", 0),
    ("v2-json", 0),
    ("v2-json", 2),
    ("v2-parquet", 0),
    ("v2-parquet", 2),
    ("v2-classic", 0),
    ("v2-classic", 2),
]


def opened(root: Path | str) -> DeltaTable:
    return DeltaTable(TableRef(uri=str(root)), LocalStore(str(root)), system_ambient(), DeltaOptions())


def built(root: Path) -> HandTable:
    """Six versions with a removal and a deletion vector; no checkpoint yet."""
    table = make_table(root, ROWS, files=2, partition_by=["p"], features=["deletionVectors", "v2Checkpoint", "domainMetadata"])
    append(table, ROWS.slice(0, 9))
    mask_rows(table, table.live()[0], [1, 3])
    remove_files(table, table.live()[1:3])
    append(table, ROWS.slice(0, 5))
    table.commit([{"domainMetadata": {"domain": "d", "configuration": "1", "removed": False}}])
    return table


def live(snapshot: Snapshot) -> set[tuple[str, str | None]]:
    return set(zip(snapshot.files["path"].to_pylist(), snapshot.files["deletes_id"].to_pylist(), strict=True))


def state(snapshot: Snapshot) -> DeltaState:
    assert isinstance(snapshot.state, DeltaState)
    return snapshot.state


def plain(snapshot: Snapshot) -> pa.Table:
    """The files without what depends on where they were read from."""
    return snapshot.files.drop_columns(["source", "source_row", "landed_ms"])


@pytest.mark.parametrize("stats", ["json", "struct", "both", "mixed"])
@pytest.mark.parametrize(("kind", "sidecars"), KINDS)
def test_every_kind_of_checkpoint_gives_the_same_snapshot(kind: CheckpointKind, sidecars: int, stats: str, tmp_path: Path) -> None:
    """A checkpoint of any kind gives what its commits give, also when those commits are gone; raw actions are found in it again."""
    table = built(tmp_path / "t")
    from_commits = opened(table.root).load()
    write_checkpoint(table, kind=kind, sidecars=sidecars, stats=stats)  # type: ignore[arg-type]
    append(table, ROWS.slice(0, 3))
    for version in range(5):
        (table.log / f"{version:020d}.json").unlink()
    snapshot = opened(table.root).load()
    assert state(snapshot).checkpoint_version == 5
    assert live(snapshot) == set(table.adds)
    older = opened(table.root).load(5)
    assert plain(older) == plain(from_commits)
    assert (older.partitions, older.properties, older.features) == (from_commits.partitions, from_commits.properties, from_commits.features)
    by_path = {add["path"]: add for add in table.live()}
    for raw in raw_adds(LocalStore(table.uri), snapshot, list(range(snapshot.files.num_rows))[::-1]):
        expected = dict(by_path[raw["path"]])
        if "stats" not in raw:
            expected.pop("stats")
        assert raw == expected


OUR_TAGS = {"compactor.generation": "2", "compactor.finishedFor": "1000", "compactor.encodeDebt": "70"}


def test_checkpointed_domains_and_tags_are_read(tmp_path: Path) -> None:
    """Domains and our tags come out of a checkpoint as out of a commit; a removed domain does not."""
    table = make_table(tmp_path / "t", ROWS, features=["domainMetadata"])
    add = {**table.live()[0], "path": "tagged", "tags": {**OUR_TAGS, "other": "x"}}
    table.commit([{"add": add}])
    first = opened(table.root).load()
    write_checkpoint(table)
    second = opened(table.root).load()
    for snapshot in (first, second):
        row = next(row for row in snapshot.files.to_pylist() if row["path"] == "tagged")
        assert (row["generation"], row["finished_for_bytes"], row["encode_debt_bytes"]) == (2, 1000, 70)
        assert sum(debt or 0 for debt in snapshot.files["encode_debt_bytes"].to_pylist()) == 70
    table.commit([{"domainMetadata": {"domain": name, "configuration": "c", "removed": False}} for name in "ab"])
    table.commit([{"domainMetadata": {"domain": "a", "configuration": "", "removed": True}}])
    assert state(opened(table.root).load()).domains == {"b": "c"}


def test_many_batches_keep_their_row_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that is read in many batches gives the same files, each with the row in which it stands."""
    table = built(tmp_path / "t")
    expected = plain(opened(table.root).load())
    write_checkpoint(table)
    monkeypatch.setattr(parquet_source, "BATCH_ROWS", 3)
    snapshot = opened(table.root).load()
    assert plain(snapshot) == expected
    raws = raw_adds(LocalStore(table.uri), snapshot, range(snapshot.files.num_rows))
    assert [raw["path"] for raw in raws] == snapshot.files["path"].to_pylist()


def test_an_incomplete_add_damages_a_checkpoint(tmp_path: Path) -> None:
    """A Parquet add without a size makes the checkpoint unusable; without commits to fall back on the file is named."""
    table = built(tmp_path / "t")
    table.live()[2]["size"] = None
    written = write_checkpoint(table)
    assert state(opened(table.root).load()).checkpoint_version is None
    (table.log / f"{0:020d}.json").unlink()
    with pytest.raises(TableCorrupt, match=written[0].name):
        opened(table.root).load()


def test_a_raw_action_that_changed_is_noticed(tmp_path: Path) -> None:
    """When a log file no longer holds the add that the snapshot saw in it, nothing else is taken for it."""
    table = built(tmp_path / "t")
    snapshot = opened(table.root).load()
    first = table.log / f"{0:020d}.json"
    lines = first.read_text().splitlines()
    for changed in ([*lines[:3], *lines[:2:-1]], lines[:4]):
        first.write_text("".join(line + "\n" for line in changed))
        with pytest.raises(TableCorrupt, match="no longer holds"):
            raw_adds(LocalStore(table.uri), snapshot, range(snapshot.files.num_rows))


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "gone"])
@pytest.mark.parametrize(("kind", "sidecars"), KINDS)
def test_a_damaged_checkpoint_is_passed_over(kind: CheckpointKind, sidecars: int, damage: str, tmp_path: Path) -> None:
    """When the newest checkpoint is damaged or incomplete, an older one or the commits are used, although the hint names the newest."""
    table = built(tmp_path / "t")
    expected = plain(opened(table.root).load())
    victim = write_checkpoint(table, kind=kind, sidecars=sidecars)[-1]
    data = victim.read_bytes()
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes({"cut": data[: len(data) // 2], "garbage": b"\xff" * len(data), "empty": b""}[damage])
    snapshot = opened(table.root).load()
    assert plain(snapshot) == expected
    assert state(snapshot).checkpoint_version is None
    (table.log / f"{0:020d}.json").unlink()
    with pytest.raises(TableCorrupt) as corrupt:
        opened(table.root).load()
    assert "checkpoint" in str(corrupt.value) or "_sidecars" in str(corrupt.value) or entry_key(0) in str(corrupt.value)


def test_an_older_checkpoint_serves_when_the_newest_is_damaged(tmp_path: Path) -> None:
    """The older checkpoint is used although the first commits are gone."""
    table = built(tmp_path / "t")
    write_checkpoint(table)
    append(table, ROWS.slice(0, 3))
    newest = write_checkpoint(table, kind="v2-parquet")
    append(table, ROWS.slice(0, 2))
    newest[0].write_bytes(b"PAR1 nothing PAR1")
    for version in range(5):
        (table.log / f"{version:020d}.json").unlink()
    snapshot = opened(table.root).load()
    assert (live(snapshot), state(snapshot).checkpoint_version) == (set(table.adds), 5)


@pytest.mark.parametrize("hint", ["", "not json", "[]", '{"version":"5"}', '{"version":99}', '{"version":1}', '{"version":-3}', None])
def test_the_last_checkpoint_file_is_only_a_hint(hint: str | None, tmp_path: Path) -> None:
    """Whatever _last_checkpoint says, the latest version is found."""
    table = built(tmp_path / "t")
    write_checkpoint(table, hint=False)
    append(table, ROWS.slice(0, 3))
    if hint is not None:
        (table.log / "_last_checkpoint").write_text(hint)
    snapshot = opened(table.root).load()
    assert (snapshot.version, live(snapshot)) == (6, set(table.adds))


def test_large_checkpoints_are_read_by_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint above the size limit is read in ranges, with the same result, and raw actions are found in it."""
    table = built(tmp_path / "t")
    expected = plain(opened(table.root).load())
    written = write_checkpoint(table, stats="both")
    (table.log / f"{0:020d}.json").unlink()
    monkeypatch.setattr(parquet_source, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(parquet_source, "_TAIL_BYTES", 500)

    class Counting(LocalStore):
        whole: list[str]

        def get(self, key: str) -> bytes | memoryview:
            self.whole.append(key)
            return super().get(key)

    store = Counting(table.uri)
    store.whole = []
    snapshot = DeltaTable(TableRef(uri=table.uri), store, system_ambient(), DeltaOptions()).load()
    assert plain(snapshot) == expected
    assert not any(written[0].name in key for key in store.whole)
    assert len(raw_adds(store, snapshot, [0, 2])) == 2


def test_time_travel(tmp_path: Path) -> None:
    """Every version is what it was; a version that never was, or whose log is gone, is a wrong use and says so."""
    table = built(tmp_path / "t")
    counts = [opened(table.root).load(version).files.num_rows for version in range(6)]
    assert counts == [8, 12, 12, 10, 14, 14]
    with pytest.raises(UsageError, match="has no version 6; the latest is 5"):
        opened(table.root).load(6)
    with pytest.raises(UsageError, match="has no version -1"):
        opened(table.root).load(-1)
    write_checkpoint(table)
    (table.log / f"{0:020d}.json").unlink()
    with pytest.raises(UsageError, match="cleaned up"):
        opened(table.root).load(3)
    assert opened(table.root).load(5).files.num_rows == 14


def test_refresh(tmp_path: Path) -> None:
    """A refresh reads the tail only, keeps the snapshot itself when nothing is newer, and reloads when the log no longer continues it."""
    table = built(tmp_path / "t")
    snapshot = opened(table.root).load()
    assert opened(table.root).refresh(snapshot) is snapshot
    (table.log / f"{0:020d}.json").write_text("damaged, and not read again")
    append(table, ROWS.slice(0, 3))
    refreshed = opened(table.root).refresh(snapshot)
    assert (refreshed.version, live(refreshed)) == (6, set(table.adds))
    write_checkpoint(table)
    append(table, ROWS.slice(0, 3))
    later = opened(table.root).refresh(refreshed)
    assert (later.version, state(later).checkpoint_version) == (7, 6)
    for version in range(7):
        (table.log / f"{version:020d}.json").unlink()
    reloaded = opened(table.root).refresh(snapshot)
    assert plain(reloaded) == plain(later)


def test_refresh_of_a_table_that_was_made_anew(tmp_path: Path) -> None:
    """A table that was deleted and made again under the same name is loaded again, not taken for unchanged."""
    table = built(tmp_path / "t")
    snapshot = opened(table.root).load()
    shutil.rmtree(table.root)
    again = make_table(tmp_path / "t", ROWS.slice(0, 4))
    refreshed = opened(again.root).refresh(snapshot)
    assert (refreshed.version, live(refreshed)) == (0, set(again.adds))


def test_a_gap_is_named(tmp_path: Path) -> None:
    """A missing commit between others is corruption and named; nothing is guessed."""
    table = built(tmp_path / "t")
    (table.log / f"{3:020d}.json").unlink()
    with pytest.raises(TableCorrupt, match=entry_key(3)):
        opened(table.root).load()
    assert opened(table.root).load(2).version == 2


def test_a_log_that_starts_in_the_middle_is_named(tmp_path: Path) -> None:
    """Without version 0 and without a checkpoint the log is truncated."""
    table = built(tmp_path / "t")
    (table.log / f"{0:020d}.json").unlink()
    with pytest.raises(TableCorrupt, match=entry_key(0)):
        opened(table.root).load()


@pytest.mark.parametrize(("kind", "message"), [("protocol", "no protocol action"), ("metaData", "no metaData action")])
def test_a_log_without_protocol_or_metadata_is_corrupt(kind: str, message: str, tmp_path: Path) -> None:
    """Both must be there."""
    table = make_table(tmp_path / "t", ROWS)
    entry = table.log / f"{0:020d}.json"
    entry.write_text("".join(line + "\n" for line in entry.read_text().splitlines() if kind not in json.loads(line)))
    with pytest.raises(TableCorrupt, match=message):
        opened(table.root).load()


@pytest.mark.parametrize(
    "broken", [{"size": 3}, {"path": "x"}, {"path": "x", "size": "big"}, {"path": 7, "size": 3}, {"path": "x", "size": 2**70}]
)
def test_an_incomplete_add_is_named_by_line(broken: dict[str, object], tmp_path: Path) -> None:
    """An add without its required fields, or with a wrong type, is corruption of that log file, not a crash."""
    table = make_table(tmp_path / "t", ROWS)
    table.commit([{"add": {"path": "fine", "size": 1, "partitionValues": {}, "modificationTime": 1}}])
    with (table.log / f"{1:020d}.json").open("a") as out:
        out.write(json.dumps({"add": broken}) + "\n")
    with pytest.raises(TableCorrupt, match=entry_key(1)):
        opened(table.root).load()


def test_what_is_no_table(tmp_path: Path) -> None:
    """Nothing at all is a wrong use; a folder without a log is not a table; a log that holds nothing readable is corrupt."""
    with pytest.raises(UsageError, match="nothing at"):
        opened(tmp_path / "missing").load()
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UsageError, match="nothing at"):
        opened(folder).load()
    (folder / "x.parquet").write_bytes(b"x")
    with pytest.raises(NotATable, match="is not a Delta table: there is no _delta_log"):
        opened(folder).load()
    (folder / "_delta_log").mkdir()
    (folder / "_delta_log" / "_last_checkpoint").write_text('{"version":3}')
    with pytest.raises(TableCorrupt, match="no commit and no complete checkpoint"):
        opened(folder).load()


def test_in_commit_timestamps_survive_a_checkpoint(tmp_path: Path) -> None:
    """The timestamp of the latest version is known even when a checkpoint stands for it."""
    table = make_table(tmp_path / "t", ROWS, features=["inCommitTimestamp"], properties={"delta.enableInCommitTimestamps": "true"})
    table.commit([], inCommitTimestamp=1234)
    assert state(opened(table.root).load()).in_commit_timestamp_ms == 1234
    write_checkpoint(table)
    assert state(opened(table.root).load()).in_commit_timestamp_ms == 1234


def test_a_table_of_deltalakes_own_making(tmp_path: Path) -> None:
    """Commits and checkpoints by deltalake are read as deltalake reads them."""
    from deltalake import DeltaTable as TheirTable

    root = tmp_path / "t"
    write_with_deltalake(root, [ROWS.slice(i * 4, 4) for i in range(10)], partition_by=["p"])
    theirs = TheirTable(str(root))
    theirs.delete("a < 10")
    theirs.create_checkpoint()
    write_with_deltalake(root, [ROWS.slice(0, 4)])
    snapshot = opened(root).load()
    actions = pa.table(TheirTable(str(root)).get_add_actions(flatten=True)).to_pylist()
    assert {(row["path"], row["size_bytes"], row["rows"]) for row in snapshot.files.to_pylist()} == {
        (a["path"], a["size_bytes"], a["num_records"]) for a in actions
    }
    assert state(snapshot).checkpoint_version == theirs.version()
