"""Rows keep their ids and commit versions through compactions, whatever lies in between."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, remove_of, table_of, write_checkpoint
from support.row_ids import tracked_rows
from support.same_rows import FORCED, compacted, refused

import compactor
from compactor import pipeline
from compactor.model.events import Event, GroupFinished
from compactor.model.run import RunStatus

FEATURES = ["appendOnly", "deletionVectors", "domainMetadata", "invariants", "rowTracking"]
ENABLED = {
    "delta.enableRowTracking": "true",
    "delta.rowTracking.materializedRowIdColumnName": "_row-id-col-1",
    "delta.rowTracking.materializedRowCommitVersionColumnName": "_row-version-col-1",
}


def tracked(root: Path, *, mapping: Literal["none", "name", "id"] = "none", **more: Any) -> HandTable:
    """Forty rows in eight files of two partitions, with row tracking enabled."""
    rows = table_of(n=range(40), s=[f"text {i % 7}" for i in range(40)], p=[f"p{i % 2}" for i in range(40)])
    features = [*FEATURES, "columnMapping"] if mapping != "none" else FEATURES
    return make_table(root, rows, files=4, partition_by=["p"], features=features, properties=ENABLED, mapping=mapping, **more)


def entry(table: HandTable, version: int | None = None) -> list[dict[str, Any]]:
    """The lines of an entry, by default the newest."""
    text = (table.log / f"{table.version if version is None else version:020d}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("mapping", ["none", "name", "id"])
def test_ids_survive_rounds_of_deletes_appends_and_compactions(tmp_path: Path, mapping: Literal["none", "name", "id"]) -> None:
    """Over four rounds of deletes, appends and compactions no row changes its id or its commit version, and no id is used twice."""
    table = tracked(tmp_path / "t", mapping=mapping)
    chance = random.Random(4)
    for turn in range(4):
        for add in list(table.live()):
            records = json.loads(add["stats"])["numRecords"]
            if "deletionVector" not in add:
                mask_rows(table, add, sorted(chance.sample(range(records), records // 4)))
        append(table, table_of(n=range(100 * turn, 100 * turn + 6), s=["x"] * 6, p=["p0", "p1"] * 3), files=2)
        if turn == 2:
            write_checkpoint(table)
        before = tracked_rows(table)
        compacted(table)
        assert tracked_rows(table) == before
        assert len(table.live()) == 2
        versions = {version for version, _ in before.values()}
        assert len(versions) == turn + 2, "rows of several commits are among them"


def test_the_entry_says_so_and_gives_fresh_numbers(tmp_path: Path) -> None:
    """The entry tells that ids are preserved, and its files get fresh base ids right above the high-water mark, and its own version."""
    table = tracked(tmp_path / "t")
    compacted(table)
    lines = entry(table)
    assert lines[0]["commitInfo"]["tags"]["delta.rowTracking.preserved"] == "true"
    adds = [line["add"] for line in lines if "add" in line]
    assert sorted(add["baseRowId"] for add in adds) == [40, 60]
    assert {add["defaultRowCommitVersion"] for add in adds} == {table.version}
    marks = [json.loads(line["domainMetadata"]["configuration"]) for line in lines if "domainMetadata" in line]
    assert marks == [{"rowIdHighWaterMark": 79}]
    stats = [json.loads(add["stats"]) for add in adds]
    assert all(set(one["nullCount"]) == {"n", "s"} for one in stats), "columns of row ids get no statistics"


def test_parts_of_a_split_file_keep_ids(tmp_path: Path) -> None:
    """A file that becomes several keeps the id of every row, rows of later row groups and after deleted ones included."""
    import pyarrow.parquet as pq

    table = make_table(
        tmp_path / "t", table_of(n=range(5000), s=[f"{i:x}" * 20 for i in range(5000)]), features=FEATURES, properties=ENABLED
    )
    path = table.root / table.live()[0]["path"]
    pq.write_table(pq.read_table(path), path, row_group_size=700)
    table.live()[0]["size"] = path.stat().st_size
    table.commit([{"add": table.live()[0]}])
    mask_rows(table, table.live()[0], list(range(0, 5000, 3)))
    before = tracked_rows(table)
    compacted(table, FORCED.model_copy(update={"target_size": "8KiB"}))
    assert len(table.live()) > 2
    assert tracked_rows(table) == before


def test_numbers_are_taken_anew_on_every_rebase(tmp_path: Path) -> None:
    """A writer that takes our version and row ids first makes us take higher ones; rows still keep theirs."""
    table = tracked(tmp_path / "t")
    met: list[int] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished) and not met:
            met.append(append(table, table_of(n=[1000], s=["new"], p=["p0"])))

    before = tracked_rows(table)
    run = compactor.run(table.uri, settings=FORCED, sink=interfere)
    assert (run.status, run.version) == (RunStatus.COMMITTED, 2)
    table.resume()
    after = tracked_rows(table)
    assert {row_id: after[row_id] for row_id in before} == before
    assert after.keys() - before.keys() == {40}
    ours = [line["add"] for line in entry(table) if "add" in line]
    assert sorted(add["baseRowId"] for add in ours) == [41, 61]
    assert {add["defaultRowCommitVersion"] for add in ours} == {2}


def test_renumbered_inputs_are_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose input was given other row ids meanwhile (a backfill) is dropped; groups of other inputs stand."""
    monkeypatch.setattr(pipeline, "REPLANS", 0)
    table = tracked(tmp_path / "t")
    met: list[int] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished) and not met:
            add = next(add for add in table.live() if add["partitionValues"] == {"p": "p1"})
            met.append(table.commit([{"add": {**add, "baseRowId": 500, "dataChange": False}}], "ROW TRACKING BACKFILL"))

    run = compactor.run(table.uri, settings=FORCED, sink=interfere)
    assert (run.status, run.groups_committed) == (RunStatus.COMMITTED, 1)
    assert [(drop.reason, "other row ids" in drop.detail) for drop in run.groups_dropped] == [("table-changed", True)]


def test_supported_but_not_enabled_gives_fresh_ids_only(tmp_path: Path) -> None:
    """Where row tracking is only supported, files get fresh ids, no row id is stored and none is said to be preserved."""
    table = make_table(tmp_path / "t", table_of(n=range(10)), files=5, features=FEATURES)
    compacted(table)
    lines = entry(table)
    assert "delta.rowTracking.preserved" not in lines[0]["commitInfo"]["tags"]
    assert [(line["add"]["baseRowId"], line["add"]["defaultRowCommitVersion"]) for line in lines if "add" in line] == [(10, 1)]
    assert _columns(table) == ["n"]


def test_suspended_gives_no_ids(tmp_path: Path) -> None:
    """Where row tracking is suspended, files get neither field and the high-water mark is not touched."""
    table = make_table(tmp_path / "t", table_of(n=range(10)), files=5, features=FEATURES, properties={"delta.rowTrackingSuspended": "true"})
    compacted(table)
    lines = entry(table)
    assert not any("domainMetadata" in line for line in lines)
    assert not {"baseRowId", "defaultRowCommitVersion"} & {key for line in lines if "add" in line for key in line["add"]}


def test_a_file_without_any_number_is_left_alone(tmp_path: Path) -> None:
    """A file for whose rows neither the log nor the file has ids is not rewritten: ids are never made up."""
    table = tracked(tmp_path / "t")
    add = next(add for add in table.live() if add["partitionValues"] == {"p": "p1"})
    bare = {key: value for key, value in add.items() if key not in ("baseRowId", "defaultRowCommitVersion")}
    table.next_row_id = None
    table.commit([{"remove": remove_of(table, add)}])
    table.commit([{"add": bare}])
    run = compactor.run(table.uri, settings=FORCED)
    table.resume()
    assert run.exit_code == 0
    assert add["path"] in {live["path"] for live in table.live()}


def test_a_high_water_mark_below_ids_in_use_is_damage(tmp_path: Path) -> None:
    """A log whose high-water mark was lost gets no commit that would give an id twice."""
    table = tracked(tmp_path / "t")
    table.domains.clear()
    write_checkpoint(table)
    (table.log / f"{0:020d}.json").unlink()
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 6)
    assert "high-water mark" in (run.reason or "")


def test_contradicting_properties_are_refused(tmp_path: Path) -> None:
    """Enabled and suspended at once is refused by the property's name."""
    table = tracked(tmp_path / "t")
    table.metadata["configuration"]["delta.rowTrackingSuspended"] = "true"
    table.commit([{"metaData": table.metadata}])
    refused(table, "delta.rowTrackingSuspended")


def _columns(table: HandTable) -> list[str]:
    import pyarrow.parquet as pq

    schema: pa.Schema = pq.read_schema(table.root / table.live()[0]["path"])
    return list(schema.names)
