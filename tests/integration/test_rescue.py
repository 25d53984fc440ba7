"""Rows that others delete while their files are rewritten: the group is kept, and the rows are deleted in its outputs too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.delta_tables import Action, HandTable, append, make_table, mask_rows, remove_of, table_of
from support.protocol_check import check_entry, key
from support.row_ids import tracked_rows
from support.same_rows import FORCED, rows_of

import compactor
from compactor import pipeline, wiring
from compactor.coordination.outputs import OutputFates
from compactor.coordination.records import RunRecords
from compactor.model.events import CommitLanded, Event, GroupFinished
from compactor.model.run import Run, RunStatus
from compactor.model.verification import Verdict
from compactor.storage import open_store
from compactor.tables.delta.table import DeltaTable
from compactor_cli.jsonable import run_object
from compactor_cli.render.run import run_lines

SETTINGS = FORCED.model_copy(update={"max_deleted_ratio": 0.5})
VECTORS = {"delta.enableDeletionVectors": "true"}
Change = Callable[[HandTable], object]


@pytest.fixture(autouse=True)
def no_second_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that is dropped here stays so: what a run plans again is shown elsewhere."""
    monkeypatch.setattr(pipeline, "REPLANS", 0)


def table_at(path: Path, *, rows: int = 60, files: int = 4, **more: object) -> HandTable:
    """A table whose rows may be deleted by vectors; its second file has two deleted already."""
    options = {"features": ["deletionVectors"], "properties": VECTORS, **more}
    table = make_table(path, table_of(n=range(rows), s=[f"text {i}" for i in range(rows)]), files=files, **options)
    mask_rows(table, by_number(table)[1], [0, 5])
    return table


def by_number(table: HandTable) -> list[Action]:
    """Live adds in the order of their rows."""
    return sorted(table.live(), key=lambda add: json.loads(add["stats"])["minValues"]["n"])


def raced(table: HandTable, change: Change, settings: compactor.Settings = SETTINGS) -> tuple[Run, list[Event]]:
    """A run during which `change` is made, after a group was rewritten and before it is committed; rows and entry are checked."""
    events: list[Event] = []
    state: dict[str, object] = {}

    def sink(event: Event) -> None:
        events.append(event)
        if isinstance(event, GroupFinished) and "rows" not in state:
            change(table)
            state["rows"], state["live"] = rows_of(table), dict(table.adds)

    run = compactor.run(table.uri, settings=settings, sink=sink)
    assert "rows" in state
    after = rows_of(table)
    for reader, rows in state["rows"].items():  # type: ignore[attr-defined]
        assert after[reader] == rows, f"{reader} finds other rows than the writer left"
    if run.status is RunStatus.COMMITTED:
        check_entry(open_store(table.uri), run.version or 0, {key(add): add for add in state["live"].values()}, parquet=True)  # type: ignore[attr-defined]
    table.resume()
    return run, events


def masked_more(table: HandTable) -> None:
    """A writer deletes rows of three files, of one more of them than before, and appends."""
    first, second, third, _ = by_number(table)
    mask_rows(table, first, [0, 14])
    mask_rows(table, second, [0, 1, 5, 6], "i")
    mask_rows(table, third, [7], "p")
    append(table, table_of(n=[1000], s=["new"]))


@pytest.mark.parametrize("proof", ["full", "counts"])
def test_rows_deleted_meanwhile_are_deleted_in_the_outputs(tmp_path: Path, proof: str) -> None:
    """Positions in the inputs, behind rows that had been deleted before, become positions in the output; nothing is rewritten again."""
    table = table_at(tmp_path / "t")
    run, events = raced(table, masked_more, SETTINGS.model_copy(update={"proof": proof}))
    assert (run.status, run.files_removed, run.files_added, run.rows) == (RunStatus.COMMITTED, 4, 1, 60 - 2 - 5), run.reason
    (add,) = (add for add in table.live() if add["path"].startswith("part") and "deletionVector" in add)
    assert add["deletionVector"]["cardinality"] == 5
    assert json.loads(add["stats"])["numRecords"] == 58 and json.loads(add["stats"])["tightBounds"] is False
    assert [event.outcome.masked_rows for event in events if isinstance(event, CommitLanded)] == [run.masked_rows] == [5]
    assert any("5 rows deleted by others meanwhile" in line for line in run_lines(run, None)) and run_object(run)["masked_rows"] == 5
    assert [commit.verdict for commit in compactor.verify(table.uri, settings=SETTINGS).commits] == [Verdict.EQUAL]


def test_a_file_that_was_removed_takes_its_rows_with_it(tmp_path: Path) -> None:
    """A writer that copies the rest of a file elsewhere costs the group only the rows of that file."""
    table = table_at(tmp_path / "t")

    def update(table: HandTable) -> None:
        second = by_number(table)[1]
        table.commit([{"remove": {**remove_of(table, second), "dataChange": True}}], "UPDATE")
        append(table, table_of(n=range(15, 28), s=["updated"] * 13))

    run, _ = raced(table, update)
    assert (run.status, run.files_removed, run.rows) == (RunStatus.COMMITTED, 3, 45), run.reason


def test_deletes_in_several_outputs(tmp_path: Path) -> None:
    """Rows of a file that was split are deleted where they went."""
    table = table_at(tmp_path / "t", rows=40_000, files=2)
    settings = SETTINGS.model_copy(update={"target_size_bytes": 100_000, "target_size": "100KB"})
    run, _ = raced(table, lambda table: mask_rows(table, by_number(table)[0], range(0, 20_000, 7)), settings)
    assert run.status is RunStatus.COMMITTED, run.reason
    vectors = [add["deletionVector"]["cardinality"] for add in table.live() if add.get("deletionVector")]
    assert sum(vectors) >= 2_858 and len(vectors) > 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: mask_rows(table, by_number(table)[1], [3]), "are there again"),
        (lambda table: [mask_rows(table, add, range(14)) for add in by_number(table)], "of its rows are deleted now"),
        (lambda table: [table.commit([{"remove": remove_of(table, add)}]) for add in table.live()], "of its rows are deleted now"),
    ],
    ids=["deletes-taken-back", "most-rows", "all-files"],
)
def test_what_cannot_be_saved_is_dropped(tmp_path: Path, change: Change, why: str) -> None:
    """Deletes that were taken back, or that leave too little, cost the group; nothing of it stays behind."""
    table = table_at(tmp_path / "t")
    run, _ = raced(table, change)
    assert run.status is RunStatus.CONFLICT and why in run.groups_dropped[0].detail
    assert not [path for path in table.root.glob("*.parquet") if "-a0-" in path.name]


def test_without_vectors_enabled_the_group_is_dropped(tmp_path: Path) -> None:
    """A table that may have vectors but does not ask for them gets none from us."""
    table = table_at(tmp_path / "t", properties={})
    run, _ = raced(table, lambda table: mask_rows(table, by_number(table)[0], [3]))
    assert run.status is RunStatus.CONFLICT


def test_a_purge_never_masks(tmp_path: Path) -> None:
    """Whoever purges wants the bytes gone, so a purge that lost rows is done again instead."""
    table = table_at(tmp_path / "t")
    settings = SETTINGS.model_copy(update={"purge": True, "force_rewrite": False})
    run, _ = raced(table, lambda table: mask_rows(table, by_number(table)[1], [0, 1, 5]), settings)
    assert run.status is RunStatus.CONFLICT


def test_rows_keep_their_ids(tmp_path: Path) -> None:
    """Where rows are tracked, those that are left have the ids that they had."""
    tracking = {
        "delta.enableRowTracking": "true",
        "delta.rowTracking.materializedRowIdColumnName": "_id",
        "delta.rowTracking.materializedRowCommitVersionColumnName": "_version",
    }
    table = table_at(tmp_path / "t", features=["deletionVectors", "rowTracking", "domainMetadata"], properties={**VECTORS, **tracking})
    ids: list[object] = []

    def change(table: HandTable) -> None:
        mask_rows(table, by_number(table)[0], [2, 3])
        ids.append(tracked_rows(table))

    run, _ = raced(table, change)
    assert run.status is RunStatus.COMMITTED, run.reason
    assert tracked_rows(table) == ids[0]


def test_a_wrong_mask_is_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the positions ever be computed wrongly, the proof sees other rows, and the group is dropped."""
    from pyroaring import BitMap64

    from compactor.tables.delta import rescue

    right = rescue.masks
    monkeypatch.setattr(rescue, "masks", lambda *a: [BitMap64([p + 1 for p in mask]) for mask in right(*a)])
    table = table_at(tmp_path / "t")
    run, _ = raced(table, masked_more)
    assert run.status is RunStatus.CONFLICT
    assert "do not hold the rows" in run.groups_dropped[0].detail


def test_another_writer_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When others win the next versions too, the rows are looked up anew each time, from the files as they were read."""
    table = table_at(tmp_path / "t")
    left = [[0, 1, 5, 6], [0, 1, 2, 5, 6, 9]]

    from compactor.tables.delta import commit

    build = commit.build_entry

    def late(*arguments: object) -> bytes:
        entry = build(*arguments)  # type: ignore[arg-type]
        if left:
            mask_rows(table, by_number(table)[1], left.pop(0))
        return entry

    monkeypatch.setattr(commit, "build_entry", late)
    run = compactor.run(table.uri, settings=SETTINGS)
    assert (run.status, run.rows) == (RunStatus.COMMITTED, 54), run.reason
    table.resume()
    assert {sum(rows.values()) for rows in rows_of(table).values()} == {54}


def test_what_a_dead_run_had_finished_is_rescued_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run dies before its commit, rows are deleted, and the next run commits the finished group with these rows deleted in it."""
    table, before = table_at(tmp_path / "t"), wiring.Care
    monkeypatch.setattr(wiring, "Care", lambda: before(keep_bytes=0, beat_s=None, silent_s=0.0))

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(DeltaTable, "publish", die)
        dying.setattr(OutputFates, "sweep", lambda *_: None)
        dying.setattr(RunRecords, "close_intent", lambda *_, **__: None)
        compactor.run(table.uri, settings=SETTINGS)
    masked_more(table)
    rows, read = rows_of(table), []
    run = compactor.run(table.uri, settings=SETTINGS.model_copy(update={"force_rewrite": False}), sink=read.append)
    assert (run.status, run.masked_rows) == (RunStatus.COMMITTED, 5), run.reason
    assert not [event for event in read if isinstance(event, GroupFinished)], "something was rewritten again"
    after = rows_of(table)
    assert {reader: after[reader] for reader in rows} == rows
