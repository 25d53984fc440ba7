"""`vacuum` on tables on disk, whose files and log entries are as old as the tests make them."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from support import reader
from support.delta_tables import HandTable, append, make_table, mask_rows, remove_of, table_of, write_checkpoint
from support.own_tables import deletes, evolution, history, mapping, partitions, types, writers  # noqa: F401 - they register their tables
from support.own_tables.registry import OWN_TABLES

import compactor
from compactor.ambient.system import system_ambient
from compactor.errors import StorageUnavailable, TableRefused, UsageError
from compactor.maintenance.vacuum import Ground, Terms, vacuum
from compactor.model.vacuum import Vacuumed
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.wiring import claims_on, open_care
from compactor_cli.main import main

SETTINGS = Settings(executor="serial", min_input_files=2)
DAY_S = 86_400


def age(path: Path | str, days: float) -> None:
    """Make a file, or everything in a folder, that many days old."""
    path = Path(path)
    now = system_ambient().clock.now_ms() / 1000
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.utime(one, (now - days * DAY_S,) * 2)


def files(root: Path | str) -> set[str]:
    """Everything in the folder but the log."""
    root = Path(root)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "_delta_log" not in path.parts}


def sweep(table: HandTable | str, **more: Any) -> Vacuumed:
    uri = table if isinstance(table, str) else table.uri
    return compactor.vacuum(uri, settings=SETTINGS, **{"dry_run": False, **more})


def entry(uri: str, version: int) -> dict[str, Any]:
    (line,) = Path(uri, "_delta_log", f"{version:020d}.json").read_text().splitlines()
    info: dict[str, Any] = json.loads(line)["commitInfo"]
    return info


@pytest.fixture
def worn(tmp_path: Path) -> tuple[str, dict[int, Counter[Any]], set[str]]:
    """A table of deltalake: six appends and a compaction of ours ten days ago; an append, a second compaction and a delete of half of the
    rows three days ago, another append now. With the rows of each version, and the files that only versions before the first compaction
    need."""
    uri = str(tmp_path / "t")
    for i in range(6):
        write_deltalake(uri, pa.table({"n": list(range(i * 10, i * 10 + 10)), "p": ["a", "b"] * 5}), mode="append", partition_by=["p"])
    old = files(uri)
    assert compactor.run(uri, settings=SETTINGS).exit_code == 0
    age(uri, 10)
    before = {path: path.stat().st_mtime for path in Path(uri).rglob("*")}
    write_deltalake(uri, pa.table({"n": [100, 101], "p": ["a", "b"]}), mode="append", partition_by=["p"])
    again = compactor.run(uri, settings=SETTINGS.model_copy(update={"force_rewrite": True}))
    assert again.exit_code == 0
    DeltaTable(uri).delete("n % 2 = 0")
    for path in Path(uri).rglob("*"):
        if path.is_file() and path not in before:
            age(path, 3)
    write_deltalake(uri, pa.table({"n": [200], "p": ["a"]}), mode="append", partition_by=["p"])
    newest = DeltaTable(uri).version()
    return uri, {version: rows_of(uri, version) for version in range(newest + 1)}, old


def rows_of(uri: str, version: int) -> Counter[Any]:
    found = DeltaTable(uri, version=version).to_pyarrow_table().select(["n", "p"]).to_pylist()
    return Counter((row["n"], row["p"]) for row in found)


def test_without_being_told_nothing_is_deleted(worn: tuple[str, Any, set[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run, which is the default of library and command, names the files and writes nothing."""
    uri, _, old = worn
    before = {path: path.stat().st_mtime_ns for path in Path(uri).rglob("*")}
    found = compactor.vacuum(uri, settings=SETTINGS)
    assert (found.dry_run, set(found.paths), found.start_version, found.retention_s) == (True, old, None, 7 * DAY_S)
    with pytest.raises(SystemExit) as ended:
        main(["vacuum", uri])
    assert ended.value.code == 0
    assert "12 files" in (said := capsys.readouterr().out) and "would be deleted" in said and "--no-dry-run" in said
    live = {str(Path(file).relative_to(uri)) for file in DeltaTable(uri).file_uris()}
    stay = files(uri) - old - live
    assert found.replaced_files == len({path for path in stay if not path.startswith("_compactor")}) > 0
    assert found.replaced_bytes == sum(Path(uri, path).stat().st_size for path in stay if not path.startswith("_compactor"))
    assert f"{found.replaced_files} files" in said and "were replaced within that time" in said
    assert {path: path.stat().st_mtime_ns for path in Path(uri).rglob("*")} == before


def test_every_version_of_the_retention_can_be_read(worn: tuple[str, dict[int, Counter[Any]], set[str]]) -> None:
    """What only older versions needed is gone, exactly; versions that were the latest within the retention read as before, by deltalake
    and by an independent reader; a second vacuum has nothing to do and writes nothing."""
    uri, rows, old = worn
    present, now = files(uri), reader.rows(uri)
    steps: list[int] = []
    found = sweep(uri, on_swept=lambda swept: steps.append(swept.files))
    assert set(found.paths) == old == present - files(uri)
    assert (found.version, steps) == (max(rows), [12])
    for version in range(6, max(rows) + 1):
        assert rows_of(uri, version) == rows[version], version
    assert reader.rows(uri) == now
    assert compactor.doctor(uri, settings=SETTINGS).exit_code == 0
    log = sorted(Path(uri, "_delta_log").glob("*.json"))
    again = sweep(uri)
    assert (again.paths, again.start_version) == ((), None) and sorted(Path(uri, "_delta_log").glob("*.json")) == log


def test_the_log_says_what_was_done(worn: tuple[str, Any, set[str]]) -> None:
    """Two entries around the deletes, which change no file, with parameters and metrics under the names that other engines use."""
    uri, rows, _ = worn
    found = sweep(uri, retention="8d")
    assert (found.start_version, found.end_version) == (max(rows) + 1, max(rows) + 2)
    start, end = entry(uri, max(rows) + 1), entry(uri, max(rows) + 2)
    assert (start["operation"], end["operation"]) == ("VACUUM START", "VACUUM END")
    assert start["operationParameters"] == {
        "retentionCheckEnabled": True,
        "specifiedRetentionMillis": 8 * DAY_S * 1000,
        "defaultRetentionMillis": 7 * DAY_S * 1000,
    }
    assert start["operationMetrics"] == {"numFilesToDelete": "12", "sizeOfDataToDelete": str(found.bytes)}
    assert (end["operationParameters"], end["operationMetrics"]) == (
        {"status": "COMPLETED"},
        {"numDeletedFiles": "12", "numVacuumedDirectories": "2"},
    )
    assert [one["operation"] for one in DeltaTable(uri).history(2)] == ["VACUUM END", "VACUUM START"]
    assert compactor.load(uri).files.equals(compactor.load(uri, version=max(rows)).files)


def test_a_retention_below_the_table_s_must_be_allowed(worn: tuple[str, Any, set[str]], capsys: pytest.CaptureFixture[str]) -> None:
    """A shorter retention is a usage error that names the property, dry run or not; allowed, it takes what those days needed."""
    uri, rows, old = worn
    for dry_run in (True, False):
        with pytest.raises(UsageError, match="deletedFileRetentionDuration"):
            sweep(uri, retention="6d", dry_run=dry_run)
    with pytest.raises(SystemExit) as ended:
        main(["vacuum", uri, "--retention", "1h", "--no-dry-run", "--json"])
    assert ended.value.code == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["vacuum", uri, "--retention", "1h", "--no-dry-run", "--json", "--allow-short-retention"])
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == len(told["paths"]) > len(old) and told["dry_run"] is False
    newest = max(rows)
    assert rows_of(uri, newest) == rows[newest]
    assert entry(uri, newest + 1)["operationParameters"]["retentionCheckEnabled"] is False


def test_the_table_s_own_retention_counts(tmp_path: Path) -> None:
    """A table that wants thirty days gets them."""
    table = make_table(tmp_path / "t", table_of(n=range(9)), files=3, properties={"delta.deletedFileRetentionDuration": "interval 30 days"})
    table.commit([{"remove": remove_of(table, table.live()[0])}])
    age(table.root, 20)
    assert sweep(table).paths == ()
    age(table.root, 40)
    assert len(sweep(table).paths) == 1


def test_vectors_live_as_long_as_what_names_them(tmp_path: Path) -> None:
    """Deletion vectors of any version within the retention stay, replaced ones go, wherever and however they are named."""
    table = make_table(tmp_path / "t", table_of(n=range(40)), files=4, features=["deletionVectors"])
    masked = mask_rows(table, table.live()[0], [1])
    kept = mask_rows(table, table.live()[0], [2], prefix="ab")
    absolute = mask_rows(table, table.live()[0], [3], storage="p")
    replaced = set(table.root.glob("deletion_vector_*.bin")) | set(table.root.glob("ab/*.bin"))
    mask_rows(table, masked, [1, 2])
    age(table.root, 10)
    last = mask_rows(table, kept, [2, 3])
    rows = reader.rows(table.root)
    found = sweep(table)
    assert {str(path.relative_to(table.root)) for path in replaced} > set(found.paths) and len(found.paths) == 1
    assert reader.rows(table.root) == rows and last["deletionVector"] and absolute["deletionVector"]
    assert compactor.doctor(table.uri, settings=SETTINGS).exit_code == 0


def plain(table: HandTable, name: str, days: float = 10) -> str:
    """A file that nobody names."""
    path = table.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PAR1")
    age(path, days)
    return name


def test_only_files_of_this_table_are_touched(tmp_path: Path) -> None:
    """Orphans go, in folders of partition columns with an underscore too. What is hidden, young, of another kind, or another table's
    stays."""
    rows = table_of(n=range(4), _x=["a", "b"] * 2)
    table = make_table(tmp_path / "t", rows, partition_by=["_x"])
    other = make_table(table.root / "UPPER", table_of(n=[1]))
    orphans = {
        plain(table, name) for name in ("o.parquet", "_x=a/o.parquet", "_change_data/o.parquet", "deletion_vector_1.bin", "q=1/o.PARQUET")
    }
    for name in (
        "_y=a/o.parquet",
        "_index/o.parquet",
        "_x=a/.o.parquet",
        ".o.parquet",
        "_o.parquet",
        "notes.txt",
        "metadata/v1.metadata.json",
    ):
        plain(table, name)
    plain(other, "o.parquet")
    plain(table, "UPPER/_x=a/o.parquet")
    plain(table, "young.parquet", days=6)
    age(table.log, 10)
    found = sweep(table)
    assert set(found.paths) == orphans
    assert (found.young_files, found.young_bytes) == (1, 4)


def test_what_a_run_has_promised_is_not_touched(tmp_path: Path) -> None:
    """Files under the stem of a standing intent stay, whatever their age, here and in a configured place of records."""
    table = make_table(tmp_path / "t", table_of(n=[1]))
    age(table.root, 10)
    intent = {"format_version": 1, "kind": "intent", "run_id": "r", "table": table.uri, "version": 0, "created_ms": 0}
    for name in ("part-00000-here-0.parquet", "part-00000-there-0.parquet", "part-00000-nowhere-0.parquet"):
        plain(table, name)
    state = tmp_path / "state"
    store = open_store(str(table.root))
    from compactor.wiring import _folder_of

    for folder, stem in ((table.root / "_compactor", "part-00000-here"), (state / _folder_of(store.uri), "part-00000-there")):
        (folder / "intents").mkdir(parents=True)
        (folder / "intents/r.json").write_text(json.dumps({**intent, "groups": [[0, "x", stem]]}))
    settings = SETTINGS.model_copy(update={"state": str(state)})
    assert set(compactor.vacuum(table.uri, settings=settings).paths) == {"part-00000-nowhere-0.parquet"}
    assert set(compactor.vacuum(table.uri, settings=SETTINGS).paths) == {"part-00000-nowhere-0.parquet", "part-00000-there-0.parquet"}
    (table.root / "_compactor/intents/r.json").write_text(json.dumps({**intent, "format_version": 99, "groups": []}))
    with pytest.raises(TableRefused, match="format version 99"):
        sweep(table)


def test_paths_may_be_spelled_in_any_way(tmp_path: Path) -> None:
    """Live files are known by absolute and encoded paths, by dots and doubled slashes, and by a spelling of the root that is not ours."""
    table = make_table(tmp_path / "t", table_of(n=range(60), p=["a", "b", "c", "d", "e", "ä 1"] * 10), partition_by=["p"])
    adds = table.live()
    real = [table.root / name for name in sorted(files(table.root))]
    plain_path = {add["path"]: next(path for path in real if path.name == Path(add["path"]).name) for add in adds}
    respelled = [
        {**adds[0], "path": str(plain_path[adds[0]["path"]])},
        {**adds[1], "path": f"file://{plain_path[adds[1]['path']]}"},
        {**adds[2], "path": "./" + adds[2]["path"]},
        {**adds[3], "path": adds[3]["path"].replace("/", "//")},
        {**adds[4], "path": f"s3a://an-alias/t/{adds[4]['path']}"},
    ]
    table.commit([*({"remove": remove_of(table, add)} for add in adds[:5]), *({"add": add} for add in respelled)])
    age(table.root, 10)
    care, store = open_care(table.uri, SETTINGS.model_copy(update={"allow_external_paths": True}))
    settings = SETTINGS.model_copy(update={"allow_external_paths": True})
    ground = Ground(table=care, store=store, claims=lambda: claims_on(store, settings))
    assert vacuum(ground, Terms(dry_run=False)).paths == ()


def test_change_files_stay_as_long_as_their_versions(tmp_path: Path) -> None:
    """A change file goes when its commit is older than the retention, and not before."""
    table = make_table(tmp_path / "t", table_of(n=[1]), features=["changeDataFeed"])
    for name in ("old", "new"):
        plain(table, f"_change_data/{name}.parquet")
        table.commit([{"cdc": {"path": f"_change_data/{name}.parquet", "partitionValues": {}, "size": 4, "dataChange": False}}])
        age(table.root, 10)
    age(table.log / f"{2:020d}.json", 3)
    assert sweep(table).paths == ("_change_data/old.parquet",)


def test_a_log_that_was_cleaned_too_early_is_refused(tmp_path: Path) -> None:
    """Where the log does not tell what versions within the retention needed, nothing is deleted."""
    table = make_table(tmp_path / "t", table_of(n=range(9)), files=3)
    table.commit([{"remove": remove_of(table, table.live()[0])}])
    write_checkpoint(table)
    append(table, table_of(n=[5]))
    plain(table, "o.parquet")
    for version in (0, 1):
        (table.log / f"{version:020d}.json").unlink()
    present = files(table.root)
    with pytest.raises(TableRefused, match="cleaned up within the retention"):
        sweep(table)
    assert files(table.root) == present
    age(table.root, 10)
    assert len(sweep(table).paths) == 2, "older than the retention, it does not matter"


def test_a_wrong_checkpoint_costs_no_live_file(tmp_path: Path) -> None:
    """What only the newest checkpoint knows to be live stays, though an older one, from which the retention begins, lacks it."""
    table = make_table(tmp_path / "t", table_of(n=range(9)), files=3)
    append(table, table_of(n=[5]))
    lost = table.adds.pop(next(iter(table.adds)))
    write_checkpoint(table)
    table.adds[lost["path"], None] = lost
    age(table.root, 10)
    append(table, table_of(n=[6]))
    write_checkpoint(table)
    (table.log / f"{0:020d}.json").unlink()
    assert sweep(table).paths == ()


def test_what_others_name_meanwhile_stays(tmp_path: Path) -> None:
    """A file that a commit of somebody else brings back after it was listed is not deleted."""
    table = make_table(tmp_path / "t", table_of(n=range(9)), files=3)
    back, gone = table.live()[:2]
    table.commit([{"remove": remove_of(table, add)} for add in (back, gone)])
    age(table.root, 10)
    care, store = open_care(table.uri, SETTINGS)

    class Beside:
        """The table, in which somebody restores a file when the vacuum has been announced."""

        def __getattr__(self, name: str) -> Any:
            return getattr(care, name)

        def announce(self, operation: str, parameters: Mapping[str, object], metrics: Mapping[str, str]) -> int:
            version = care.announce(operation, parameters, metrics)
            if operation == "VACUUM START":
                table.resume()
                table.commit([{"add": back}], "RESTORE")
            return version

    found = vacuum(Ground(table=Beside(), store=store, claims=lambda: claims_on(store, SETTINGS)), Terms(dry_run=False))  # type: ignore[arg-type]
    assert found.paths == (gone["path"],)
    assert entry(table.uri, 4)["operationMetrics"]["numDeletedFiles"] == "1"
    assert sum(reader.rows(table.root).values()) == 6


def test_a_store_that_fails_is_told_in_the_log(tmp_path: Path) -> None:
    """Deletes that fail end the vacuum with the error, and with an end that says so."""
    table = make_table(tmp_path / "t", table_of(n=[1]))
    plain(table, "o.parquet")
    age(table.root, 10)
    care, store = open_care(table.uri, SETTINGS)

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def delete(self, keys: Iterator[str]) -> None:
            raise StorageUnavailable("The store sleeps.")

    with pytest.raises(StorageUnavailable, match="sleeps"):
        vacuum(Ground(table=care, store=Failing(), claims=lambda: claims_on(store, SETTINGS)), Terms(dry_run=False))  # type: ignore[arg-type]
    assert entry(table.uri, 2)["operationParameters"] == {"status": "FAILED"}


@pytest.mark.parametrize("feature", ["catalogManaged", "somethingNew"])
def test_tables_with_rules_that_are_not_known_are_refused(tmp_path: Path, feature: str) -> None:
    """A feature that is not honoured may have rules about files: nothing is deleted."""
    table = make_table(tmp_path / "t", table_of(n=[1]), features=[feature])
    plain(table, "o.parquet")
    age(table.root, 10)
    with pytest.raises(TableRefused, match=feature):
        sweep(table)
    assert "o.parquet" in files(table.root)


def test_timestamps_inside_commits_go_on(tmp_path: Path) -> None:
    """Where entries carry timestamps of their own, those of a vacuum do too, each after the one before."""
    properties = {"delta.enableInCommitTimestamps": "true"}
    table = make_table(tmp_path / "t", table_of(n=[1]), features=["inCommitTimestamp"], properties=properties)
    late = system_ambient().clock.now_ms() + 10**9
    table.commit([], inCommitTimestamp=late)
    plain(table, "o.parquet")
    age(table.root, 10)
    found = sweep(table)
    assert found.start_version is not None and found.end_version is not None
    assert [entry(table.uri, version)["inCommitTimestamp"] for version in (2, 3)] == [late + 1, late + 2]


def readable(root: Path) -> Counter[Any] | None:
    try:
        return reader.rows(root)
    except Exception:  # noqa: BLE001 - tables that nobody can read are among them
        return None


@pytest.mark.parametrize("name", sorted(OWN_TABLES))
def test_no_table_loses_anything_that_is_live(tmp_path: Path, name: str) -> None:
    """Every table of ours, vacuumed as harshly as can be: its rows are what they were, and nothing that the log names as live is gone."""
    root = tmp_path / "t"
    OWN_TABLES[name].build(root)
    rows = readable(root)
    plain_file = root / "an-orphan.parquet"
    shutil.copy(next(root.rglob("*.json")), plain_file)
    age(root, 1)
    try:
        found = sweep(str(root), retention=0, allow_short_retention=True)
    except TableRefused:
        assert plain_file.exists()
        return
    assert "an-orphan.parquet" in found.paths
    assert readable(root) == rows
    assert not [one for one in compactor.doctor(str(root), settings=SETTINGS).findings if one.kind.value in ("missing", "bad-vector")]
