"""A run that plans again what others took from it: what it says when that is not possible any more."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.delta_tables import HandTable, make_table, mask_rows, remove_files, table_of
from support.same_rows import FORCED

import compactor
from compactor.model.events import CommitLanded, Event, GroupFinished, Planned
from compactor.model.run import RunStatus
from compactor.rewriting import rewrite
from compactor.rewriting.output import Written
from compactor.rewriting.proof import ReadAgain, read_outputs
from compactor.settings import Settings


def newer(table: HandTable) -> None:
    """Another writer gives the table a feature that nobody here knows."""
    table.resume()
    table.commit([{"protocol": {**table.protocol, "writerFeatures": [*table.protocol["writerFeatures"], "unheardOf"]}}], "UPGRADE")


def damaged(table: HandTable) -> None:
    """The next entry of the log is no JSON."""
    table.resume()
    (table.log / f"{table.version + 1:020d}.json").write_text("{{", encoding="utf-8")


def dropped(table: HandTable) -> None:
    """The table is gone."""
    shutil.rmtree(table.log)


@pytest.mark.parametrize("change", [newer, damaged, dropped])
def test_what_was_committed_stands_when_nothing_can_be_planned_again(tmp_path: Path, change: Callable[[HandTable], None]) -> None:
    """A table that may not, or cannot, be compacted any more after the first commits makes no refused or failed run of theirs: the run is
    told, and kept in the journal, as committed, with a warning."""
    rows = table_of(n=range(60), p=[i % 3 for i in range(60)])
    table = make_table(tmp_path / "t", rows, files=4, partition_by=["p"], features=["appendOnly", "invariants"])
    done: set[str] = set()

    def sink(event: Event) -> None:
        if isinstance(event, GroupFinished) and "taken" not in done:
            done.add("taken")
            remove_files(table, table.live()[:1])
        if isinstance(event, CommitLanded):
            change(table)

    run = compactor.run(table.uri, settings=FORCED, sink=sink)
    assert (run.status, run.exit_code, run.groups_committed) == (RunStatus.COMMITTED, 0, 2), run.reason
    assert any("not planned again" in warning for warning in run.warnings)
    assert list((table.root / "_compactor" / "runs").glob(f"{run.run_id}.json"))


def test_a_run_to_which_others_left_nothing_has_nothing_to_do(tmp_path: Path) -> None:
    """When another compactor has done all that a run had planned, the run looks again, finds nothing to do, says so and keeps it in the
    journal; it does not tell its user to come again."""
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=6)
    others: list[str] = []

    def sink(event: Event) -> None:
        if isinstance(event, GroupFinished) and not others:
            others.append(compactor.run(table.uri).status)

    run = compactor.run(table.uri, sink=sink)
    assert others == ["committed"]
    assert (run.status, run.exit_code, run.groups_committed) == (RunStatus.NOTHING_TO_DO, 0, 0), run.reason
    assert (run.reason or "").startswith("Others changed or compacted all that was planned, and left nothing to do:")
    assert [drop.reason for drop in run.groups_dropped] == ["input-vanished"]
    assert list((table.root / "_compactor" / "runs").glob(f"{run.run_id}~1.json"))


def test_a_file_that_others_replaced_and_vacuumed_is_no_damage(tmp_path: Path) -> None:
    """An input that is gone because it was replaced and deleted before it was read is a conflict: the run plans again, and does not call
    the table damaged; a file that is gone although the log names it still is damage."""
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=6)
    taken = table.live()[0]

    def sink(event: Event) -> None:
        if isinstance(event, Planned) and (table.root / taken["path"]).exists():
            remove_files(table, [taken])
            (table.root / taken["path"]).unlink()

    run = compactor.run(table.uri, settings=FORCED, sink=sink)
    assert (run.status, run.exit_code) == (RunStatus.COMMITTED, 0), run.reason
    assert [drop.reason for drop in run.groups_dropped] == ["input-vanished"]
    assert "was replaced while" in run.groups_dropped[0].detail
    table.resume()
    (table.root / table.live()[0]["path"]).unlink()
    assert compactor.run(table.uri, settings=FORCED).exit_code == 6


def test_a_vector_that_others_replaced_and_vacuumed_is_no_damage(tmp_path: Path) -> None:
    """A deletion vector that is gone because its file has another by now is a conflict; one that the newest version names is damage."""
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=6, features=["deletionVectors"])
    first = mask_rows(table, table.live()[0], [1])

    def vacuum() -> None:
        for file in table.root.glob("*.bin"):
            file.unlink()

    def sink(event: Event) -> None:
        if isinstance(event, Planned):
            vacuum()
            mask_rows(table, first, [1, 2], "i")

    run = compactor.run(table.uri, settings=FORCED, sink=sink)
    assert (run.status, run.exit_code) == (RunStatus.CONFLICT, 4), run.reason
    assert "was replaced while" in (run.reason or "")
    mask_rows(table, table.live()[1], [3])
    vacuum()
    assert compactor.run(table.uri, settings=FORCED).exit_code == 6


def test_an_output_that_a_vacuum_took_is_made_again(tmp_path: Path) -> None:
    """A vacuum whose retention is shorter than a run deletes an output that is not committed yet: its group is planned again at once."""
    rows = table_of(n=range(60))
    table = make_table(tmp_path / "t", rows, files=6)
    taken: list[str] = []

    def sink(event: Event) -> None:
        if isinstance(event, GroupFinished) and not taken:
            taken.append(event.result.outputs[0].key)
            (table.root / taken[0]).unlink()

    run = compactor.run(table.uri, sink=sink)
    assert (run.status, run.exit_code, run.groups_committed) == (RunStatus.COMMITTED, 0, 1), run.reason
    assert [(drop.reason, drop.file) for drop in run.groups_dropped] == [("output-vanished", taken[0])]
    assert compactor.verify(table.uri).exit_code == 0


def test_an_output_that_a_vacuum_took_before_its_proof_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It vanishes between its upload and its being read again: that is no failed proof, and its group is planned again at once."""
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=6)
    taken: list[str] = []

    def vacuumed(written: Sequence[Written], *rest: Any) -> ReadAgain:
        if not taken:
            taken.append(written[0].file.key)
            (table.root / taken[0]).unlink()
        return read_outputs(written, *rest)

    monkeypatch.setattr(rewrite, "read_outputs", vacuumed)
    run = compactor.run(table.uri, settings=Settings(executor="serial"))
    assert (run.status, run.exit_code, run.groups_committed) == (RunStatus.COMMITTED, 0, 1), run.reason
    assert [(drop.reason, drop.file) for drop in run.groups_dropped] == [("output-vanished", taken[0])]
    assert compactor.verify(table.uri).exit_code == 0
