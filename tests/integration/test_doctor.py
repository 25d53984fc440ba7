"""`doctor` against tables on disk: sound ones, ones damaged by hand, and ones that deltalake has damaged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from support.delta_tables import HandTable, append, make_table, mask_rows, remove_of, table_of, write_checkpoint, write_files

import compactor
from compactor.model.findings import Diagnosis, Finding, FindingKind
from compactor.rewriting import native
from compactor.settings import Settings
from compactor_cli.main import main

SETTINGS = Settings(executor="serial")
K = FindingKind


def examine(table: HandTable | str, **more: Any) -> Diagnosis:
    uri = table if isinstance(table, str) else table.uri
    return compactor.doctor(uri, settings=more.pop("settings", SETTINGS), **more)


def kinds(found: Diagnosis) -> list[FindingKind]:
    return [finding.kind for finding in found.findings]


def only(found: Diagnosis) -> Finding:
    (finding,) = found.findings
    return finding


@pytest.fixture
def table(tmp_path: Path) -> HandTable:
    """Ten files in two partitions, two of them with deletion vectors, two checkpoints, an append after them."""
    rows = table_of(n=range(100), s=[f"text {i}" for i in range(100)], p=["a", "b"] * 50)
    table = make_table(tmp_path / "t", rows, files=5, partition_by=["p"], features=["deletionVectors"])
    mask_rows(table, table.live()[0], [1, 2])
    write_checkpoint(table)
    mask_rows(table, table.live()[1], [3], storage="i")
    append(table, table_of(n=[500], s=["x"], p=["a"]))
    write_checkpoint(table)
    append(table, table_of(n=[501], s=["y"], p=["b"]))
    return table


def test_a_sound_table_has_no_findings(table: HandTable) -> None:
    """Nothing is found, by the log, the folder and the data; nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in table.root.rglob("*")}
    found = examine(table, data=True)
    assert (found.findings, found.exit_code, found.version, found.files) == ((), 0, table.version, 12)
    assert found.checkpoint_version == 3 and found.checkpoint_age_s is not None
    assert {path: path.stat().st_mtime_ns for path in table.root.rglob("*")} == before


def test_removes_of_what_was_not_live_are_damage(table: HandTable) -> None:
    """A commit that removes a file a second time is named with its engine, its files and the version before; a RESTORE ends the damage."""
    victim = table.live()[2]
    replaced = table.commit(
        [{"remove": remove_of(table, victim)}, *({"add": add} for add in write_files(table, table_of(n=[1], s=["z"], p=["a"])))]
    )
    table.engine = "delta-rs:py-1.6.6"
    stale = table.commit(
        [{"remove": remove_of(table, victim)}, *({"add": add} for add in write_files(table, table_of(n=[1], s=["z"], p=["a"])))]
    )
    finding = only(found := examine(table))
    assert (finding.kind, finding.version, finding.engine, finding.related) == (K.REMOVED_TWICE, stale, "delta-rs:py-1.6.6", (replaced,))
    assert finding.files[0] == victim["path"] and found.exit_code == 6
    added = [add for add in table.live() if add["path"] == finding.files[1]]
    table.commit([{"remove": remove_of(table, add)} for add in added], "RESTORE", operationParameters={"version": str(stale)})
    assert kinds(examine(table)) == [K.REMOVED_TWICE]
    table.commit([], "RESTORE", operationParameters={"version": stale - 1})
    assert kinds(found := examine(table)) == [K.UNDONE]
    assert found.exit_code == 0


def test_what_a_checkpoint_says_was_live_is_known(table: HandTable) -> None:
    """Where the log begins with a checkpoint, a remove of what that has is lawful, a remove of what it lacks is damage."""
    for version in range(2):
        (table.log / f"{version:020d}.json").unlink()
    table.commit([{"remove": remove_of(table, table.live()[3])}])
    assert examine(table).findings == ()
    table.commit([{"remove": {**remove_of(table, table.live()[3]), "path": "p=a/never-there.parquet"}}])
    assert only(examine(table)).files == ("p=a/never-there.parquet",)


def forget_a_file(table: HandTable) -> None:
    Path(table.root, table.live()[4]["path"]).unlink()


def cut_a_file(table: HandTable) -> None:
    path = Path(table.root, table.live()[4]["path"])
    path.write_bytes(path.read_bytes()[:-1])


def forget_a_vector(table: HandTable) -> None:
    next(table.root.glob("deletion_vector_*.bin")).unlink()


def flip_a_vector(table: HandTable) -> None:
    path = next(table.root.glob("deletion_vector_*.bin"))
    data = path.read_bytes()
    path.write_bytes(data[:-6] + bytes([data[-6] ^ 1]) + data[-5:])


def miscount_a_vector(table: HandTable) -> None:
    add = mask_rows(table, table.live()[5], [1])
    table.commit([{"add": {**add, "deletionVector": {**add["deletionVector"], "cardinality": 3}}}])


def lose_from_a_checkpoint(table: HandTable) -> None:
    newest = max(table.log.glob("*.checkpoint.parquet"))
    rows = pq.read_table(newest)
    pq.write_table(rows.slice(0, rows.num_rows - 1), newest)


def break_a_checkpoint(table: HandTable) -> None:
    max(table.log.glob("*.checkpoint.parquet")).write_bytes(b"PAR1nothing")


def old_checkpoint(table: HandTable) -> None:
    for _ in range(101):
        table.commit([])


def unreadable_intent(table: HandTable) -> None:
    (table.root / "_compactor/intents").mkdir(parents=True)
    (table.root / "_compactor/intents/r.json").write_text('{"format_version": 99, "kind": "intent"}')


def outside(table: HandTable) -> None:
    table.commit([{"add": {**table.live()[0], "path": "/elsewhere/x.parquet"}}])


@pytest.mark.parametrize(
    ("harm", "kind", "damaged"),
    [
        (forget_a_file, K.MISSING, True),
        (cut_a_file, K.OTHER_SIZE, True),
        (forget_a_vector, K.BAD_VECTOR, True),
        (flip_a_vector, K.BAD_VECTOR, True),
        (miscount_a_vector, K.BAD_VECTOR, True),
        (lose_from_a_checkpoint, K.WRONG_CHECKPOINT, True),
        (break_a_checkpoint, K.WRONG_CHECKPOINT, True),
        (old_checkpoint, K.OLD_CHECKPOINT, False),
        (outside, K.NOT_EXAMINED, False),
        (unreadable_intent, K.NOT_EXAMINED, False),
    ],
)
def test_each_harm_is_found(table: HandTable, harm: Callable[[HandTable], None], kind: FindingKind, damaged: bool) -> None:
    """Every kind of damage is found as what it is, and as nothing else; the exit code says whether rows are at stake."""
    harm(table)
    found = examine(table)
    assert (kinds(found), found.exit_code) == ([kind], 6 if damaged else 0)
    assert only(found).why and only(found).advice


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "numRecords is": lambda stats: stats.update(numRecords=stats["numRecords"] + 1),
    "minimum of n is": lambda stats: stats["minValues"].update(n=stats["minValues"]["n"] + 1),
    "maximum of n is": lambda stats: stats["maxValues"].update(n=stats["maxValues"]["n"] - 1),
    "nullCount of s is": lambda stats: stats["nullCount"].update(s=1),
    "maximum of s is": lambda stats: stats["maxValues"].update(s="text"),
}


@pytest.mark.parametrize("lie", LIES)
def test_statistics_that_lie_are_found_by_reading(table: HandTable, lie: str) -> None:
    """A count or a bound that excludes rows is named with its file; without --data nobody knows."""
    add = table.live()[2]
    stats = json.loads(add["stats"])
    LIES[lie](stats)
    table.commit([{"add": {**add, "stats": json.dumps(stats)}}])
    assert examine(table).findings == ()
    finding = only(found := examine(table, data=True))
    assert (finding.kind, finding.files, found.exit_code) == (K.WRONG_STATISTICS, (add["path"],), 6)
    assert lie in finding.why


def test_wide_bounds_and_deleted_rows_are_no_lies(tmp_path: Path) -> None:
    """Bounds may be wider than the rows, nulls of deleted rows may be counted, timestamps are cut to milliseconds, long texts too."""
    times = pa.array([1_000_123, 2_000_999], pa.timestamp("us", "UTC"))
    rows = pa.table({"n": [1, None], "t": times, "s": ["a" * 40, "é" * 3000], "f": [float("nan"), 1.5]})
    table = make_table(tmp_path / "t", rows, features=["deletionVectors"])
    add = table.live()[0]
    stats = {"numRecords": 2, "minValues": {"n": -9, "t": "1970-01-01T00:00:01.000Z", "s": "a" * 32, "f": 1.5}}
    stats |= {"maxValues": {"n": 9, "t": "1970-01-01T00:00:02.000Z", "s": "é" * 32 + "\U0010ffff", "f": 1.5}, "nullCount": {"n": 1}}
    table.commit([{"add": {**add, "stats": json.dumps(stats)}}])
    assert examine(table, data=True).findings == ()
    mask_rows(table, table.live()[0], [1])
    assert examine(table, data=True).findings == ()
    stats["maxValues"]["t"] = "1970-01-01T00:00:00.999Z"  # type: ignore[index]
    table.commit([{"add": {**table.live()[0], "stats": json.dumps(stats)}}])
    assert kinds(examine(table, data=True)) == [K.WRONG_STATISTICS]


def test_the_decimals_of_deltalake_are_found(tmp_path: Path) -> None:
    """deltalake rounds bounds of decimals through floats, so that filters lose rows: its own table tells."""
    rows = pa.table({"d": pa.array(["9007199254740993.01"] * 2).cast(pa.decimal128(20, 2))})
    write_deltalake(str(tmp_path / "t"), rows)
    assert kinds(examine(str(tmp_path / "t"), data=True)) == [K.WRONG_STATISTICS]


def test_a_file_that_cannot_be_decoded_is_found_by_reading(table: HandTable) -> None:
    """Damage inside a file of the right size is seen by reading only, with threads as in one."""
    path = Path(table.root, table.live()[4]["path"])
    data = path.read_bytes()
    path.write_bytes(b"PAR1" + b"\xff" * 60 + data[64:])
    assert examine(table).findings == ()
    for settings in (SETTINGS, Settings(executor="local", parallelism=2, memory="64MiB")):
        assert kinds(examine(table, data=True, settings=settings)) == [K.CORRUPT]


def test_orphans_are_counted_but_not_what_a_run_may_need(table: HandTable) -> None:
    """Files that no version names are counted with bytes; hidden ones, those of other tables and of standing intents are not."""
    for name in ("p=a/orphan.parquet", "_hidden/x.parquet", "p=a/.x.parquet", "p=a/notes.txt", "p=b/part-00000-stem-0.parquet"):
        path = table.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 10)
    other = make_table(table.root / "nested", table_of(n=[1]))
    (other.root / "orphan-of-another.parquet").write_bytes(b"x")
    intent = {"format_version": 1, "kind": "intent", "run_id": "r", "table": table.uri, "version": 0, "created_ms": 0}
    (table.root / "_compactor/intents").mkdir(parents=True)
    (table.root / "_compactor/intents/r.json").write_text(json.dumps({**intent, "groups": [[0, "p=b/x.parquet", "part-00000-stem"]]}))
    finding = only(found := examine(table))
    assert (finding.kind, finding.count, finding.bytes, finding.files) == (K.ORPHANS, 1, 10, ("p=a/orphan.parquet",))
    assert found.exit_code == 0


def test_the_command_tells_people_and_programs(table: HandTable, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 6, the finding and the summary on stdout, the worst on stderr; with --json one object a line. --self needs no table."""
    forget_a_file(table)
    assert run("doctor", table.uri) == 6
    out, err = capsys.readouterr()
    assert "DAMAGE: 1 live files are not in the store" in out and "1 finding of damage" in out and "is damaged" in err
    assert run("doctor", table.uri, "--json", "--data", "--executor", "serial") == 6
    first, *_, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["finding"], first["damage"], first["count"]) == ("missing", True, 1)
    assert (last["finding"], last["damaged"], last["exit_code"], last["data"]) == (None, True, 6, True)
    assert run("doctor", "--self", "--json") == 0
    installed = json.loads(capsys.readouterr().out)
    assert (installed["versions"]["pyarrow"], installed["native"]) == (pa.__version__, native.STATUS)
    assert run("doctor", "--self") == 0
    assert f"native kernels: {native.STATUS}" in capsys.readouterr().out
    assert run("doctor") == 2


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


@pytest.mark.parametrize("by", ["version", "timestamp"])
def test_what_deltalake_damaged_is_not_compacted_until_told_so(tmp_path: Path, by: str) -> None:
    """After a stale OPTIMIZE of deltalake over ours: doctor names it, runs refuse the table, until accepted, or restored to whatever."""
    uri = str(tmp_path / "t")
    for i in range(6):
        write_deltalake(uri, pa.table({"n": list(range(i * 10, i * 10 + 10))}), mode="append")
    stale = DeltaTable(uri)
    settings = Settings(executor="serial", min_input_files=2)
    assert compactor.run(uri, settings=settings).exit_code == 0
    time.sleep(0.01)  # else both versions have one time, and a RESTORE to it takes the later
    stale.optimize.compact()
    if len(DeltaTable(uri).to_pyarrow_table()) == 60:
        pytest.skip("this release of deltalake does not double rows any more")
    finding = only(found := compactor.doctor(uri, settings=settings))
    assert (finding.kind, finding.related, found.exit_code) == (K.REMOVED_TWICE, (6,), 6)
    refused = compactor.run(uri, settings=settings)
    assert (refused.exit_code, refused.status.value) == (3, "refused") and "Version 7" in (refused.reason or "")
    assert compactor.run(uri, settings=settings.model_copy(update={"accept_damage": True}), dry_run=True).exit_code == 0
    ours = next(entry["timestamp"] for entry in DeltaTable(uri).history() if entry["version"] == 6)
    DeltaTable(uri).restore(6 if by == "version" else datetime.fromtimestamp(ours / 1000, UTC))
    assert kinds(compactor.doctor(uri, settings=settings)) == [K.UNDONE]
    assert compactor.run(uri, settings=settings).exit_code == 0


def test_a_cluster_examines_as_this_machine_does(table: HandTable) -> None:
    """By a Ray Data pass the findings are the same."""
    pytest.importorskip("ray")
    add = table.live()[-3]
    table.commit([{"add": {**add, "stats": '{"numRecords":99}'}}])
    on_ray = Settings(executor="ray", ray_address="local", parallelism=1, memory="256MiB")
    assert examine(table, data=True, settings=on_ray).findings == examine(table, data=True).findings != ()
