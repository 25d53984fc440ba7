"""Our replay against deltalake's and against an independent reader, on every public table."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from deltalake import DeltaTable as TheirTable
from support.golden import BROKEN, GOLDEN_MISSING, TABLES, oracle

from compactor.ambient import system_ambient
from compactor.errors import NotATable, TableCorrupt, TableRefused, UsageError
from compactor.model.snapshot import FILES_SCHEMA, Snapshot, TableRef
from compactor.storage.local import LocalStore
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.table import DeltaTable

pytestmark = pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))
MUST_BE_REFUSED = {
    "delta--canonicalized-paths-special-a",
    "delta--canonicalized-paths-special-b",
    "delta--deltalog-state-reconstruction-from-checkpoint-missing-protocol",
    "delta--deltalog-state-reconstruction-without-metadata",
    "delta--deltalog-state-reconstruction-without-protocol",
    "delta-rs--table_f",
    "kernel-rs--deltalog-commit-info",
}


def open_table(folder: Path) -> DeltaTable:
    return DeltaTable(TableRef(uri=str(folder)), LocalStore(str(folder)), system_ambient(), DeltaOptions())


def keys(snapshot: Snapshot) -> set[tuple[str, str | None]]:
    paths, deletes = snapshot.files["path"].to_pylist(), snapshot.files["deletes_id"].to_pylist()
    return {(canonical(path), vector) for path, vector in zip(paths, deletes, strict=True)}


def without_nulls(action: dict[str, object]) -> dict[str, object]:
    """An action without absent fields and without what a checkpoint derives."""
    plain = {k: v for k, v in action.items() if v is not None and k not in ("stats_parsed", "partitionValues_parsed")}
    vector = plain.get("deletionVector")
    return plain | ({"deletionVector": without_nulls(vector)} if isinstance(vector, dict) else {})


@pytest.mark.parametrize("folder", TABLES, ids=lambda p: p.name)
def test_live_files_equal_the_independent_readers(folder: Path) -> None:
    """Live files, their raw actions, partition maps, version, domains and row counts are those that the independent reader finds."""
    snapshot, expected = open_table(folder).load(), oracle.snapshot(str(folder))
    assert (snapshot.version, keys(snapshot), dict(snapshot.state.domains)) == (expected.version, set(expected.adds), expected.domains)
    assert snapshot.files.schema == FILES_SCHEMA
    raws = raw_adds(LocalStore(str(folder)), snapshot, range(snapshot.files.num_rows))
    for row, raw in zip(snapshot.files.to_pylist(), raws, strict=True):
        theirs = expected.adds[(canonical(row["path"]), row["deletes_id"])]
        assert without_nulls(raw) == without_nulls(theirs)
        maps = {name: snapshot.partitions[name][row["partition_id"]].as_py() for name in snapshot.partitions.column_names}
        assert maps == {name: theirs["partitionValues"].get(name) for name in maps}
        assert (row["size_bytes"], row["modified_ms"]) == (theirs["size"], theirs["modificationTime"])


@pytest.mark.parametrize("folder", TABLES, ids=lambda p: p.name)
def test_live_files_equal_deltalakes(folder: Path) -> None:
    """Wherever deltalake opens a table it lists the same files, at the same version, at every version that can still be read."""
    if "canonicalized-paths" in folder.name:
        pytest.skip("deltalake takes file:/x and /x for two files; the independent reader does not")
    try:
        theirs = TheirTable(str(folder))
        files = sorted(_decoded(path) for path in theirs.file_uris())
    except Exception as error:  # noqa: BLE001 - whatever it cannot open is no judge
        pytest.skip(f"deltalake does not open it: {type(error).__name__}")
    table = open_table(folder)
    assert _absolute(table.load(), folder) == files
    for version in range(table.load().version):
        try:
            theirs.load_as_version(version)
            files = sorted(_decoded(path) for path in theirs.file_uris())
        except Exception:  # noqa: BLE001
            continue
        try:
            assert _absolute(table.load(version), folder) == files, version
        except TableCorrupt as error:
            assert "no readable schema" in str(error)  # deltalake lists files of a version that has no schema


def _decoded(uri: str) -> str:
    return canonical(unquote(uri))


def _absolute(snapshot: Snapshot, folder: Path) -> list[str]:
    found = [canonical(unquote(canonical(path))) for path in snapshot.files["path"].to_pylist()]
    return sorted(path if path.startswith("/") else f"{folder.resolve()}/{path}" for path in found)


@pytest.mark.parametrize("folder", TABLES, ids=lambda p: p.name)
def test_refresh_reaches_what_loading_reaches(folder: Path) -> None:
    """From every older version that can be read, a refresh gives the snapshot that a fresh load gives."""
    if folder.name == "kernel-rs--parquet_row_group_skipping":
        pytest.skip("its checkpoint was edited and has other table properties than its commits")
    table = open_table(folder)
    latest = table.load()
    for version in range(latest.version):
        try:
            older = table.load(version)
        except (UsageError, TableCorrupt):
            continue
        refreshed = table.refresh(older)
        sources = ["source", "source_row", "landed_ms", "rows"]  # a commit for one, a checkpoint (even without statistics) for the other
        assert refreshed.files.drop_columns(sources) == latest.files.drop_columns(sources)
        counts = zip(refreshed.files["rows"].to_pylist(), latest.files["rows"].to_pylist(), strict=True)
        assert all(a == b for a, b in counts if a is not None and b is not None)
        assert (refreshed.version, refreshed.partitions, refreshed.properties) == (latest.version, latest.partitions, latest.properties)
    assert table.refresh(latest) is latest


@pytest.mark.parametrize("folder", BROKEN, ids=lambda p: p.name)
def test_broken_tables_raise_what_a_caller_can_handle(folder: Path) -> None:
    """A broken log is TableCorrupt, TableRefused or NotATable, never another error; a log whose data files are missing loads."""
    table = open_table(folder)
    refused = False
    try:
        snapshot = table.load()
        refused = bool(table.gate(snapshot).refusals)
        if not refused:
            table.read_spec(snapshot)
            table.write_spec(snapshot)
            table.history()
    except (TableCorrupt, TableRefused, NotATable):
        refused = True
    assert refused == (folder.name in MUST_BE_REFUSED)
