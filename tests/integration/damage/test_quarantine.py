"""A file that a run found damaged is left alone by the next ones, with the reason, and its neighbours are compacted."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.conformance import FORCED
from support.damage import damage, two_groups

import compactor
from compactor.errors import TableCorrupt
from compactor.model.plan import LeftOut
from compactor.model.run import RunStatus

RETRIED = FORCED.model_copy(update={"accept_damage": True})


def test_neighbours_of_a_damaged_file_are_compacted_by_the_next_run(tmp_path: Path) -> None:
    """The first run fails and names the file, the second commits the others with a warning, and `explain` tells what was found."""
    table = two_groups(tmp_path / "t", use_dictionary=False)
    add = damage(table, lambda data: data[: len(data) // 2])
    first = compactor.run(table.uri, settings=FORCED)
    assert (first.status, first.exit_code, first.groups_committed) == (RunStatus.FAILED, 6, 1)
    second = compactor.run(table.uri, settings=FORCED)
    assert (second.status, second.exit_code) == (RunStatus.COMMITTED, 0), second.reason
    assert any("left alone" in warning and "damage" in warning for warning in second.warnings), second.warnings
    table.resume()
    assert add["path"] in {live["path"] for live in table.live()}
    assert dict(compactor.plan(table.uri, settings=FORCED).left_out)[LeftOut.QUARANTINED] == 1
    told = compactor.explain(table.uri, settings=FORCED, file=add["path"])
    assert told.reason is LeftOut.QUARANTINED and "damaged" in told.why and len(told.why) > 60


def test_a_file_in_quarantine_is_tried_again_when_told_so(tmp_path: Path) -> None:
    """--accept-damage tries it: it fails again while it is damaged, and is compacted once it is whole."""
    table = two_groups(tmp_path / "t", use_dictionary=False)
    path = next(iter(sorted(add["path"] for add in table.live() if add["partitionValues"] == {"p": "p0"})))
    whole = (table.root / path).read_bytes()
    (table.root / path).write_bytes(whole[:100] + bytes(len(whole) - 200) + whole[-100:])
    assert compactor.run(table.uri, settings=FORCED).exit_code == 6
    assert compactor.run(table.uri, settings=RETRIED).exit_code == 6
    (table.root / path).write_bytes(whole)
    assert compactor.run(table.uri, settings=RETRIED).exit_code == 0
    table.resume()
    assert path not in {live["path"] for live in table.live()}


def test_a_missing_file_that_comes_back_is_compacted(tmp_path: Path) -> None:
    """A file that was not there is not called damaged: once it is back, the next run takes it without being told anything."""
    table = two_groups(tmp_path / "t", use_dictionary=False)
    path = sorted(add["path"] for add in table.live() if add["partitionValues"] == {"p": "p0"})[0]
    (table.root / path).rename(tmp_path / "away")
    assert compactor.run(table.uri, settings=FORCED).exit_code == 6
    (tmp_path / "away").rename(table.root / path)
    assert compactor.run(table.uri, settings=FORCED).exit_code == 0
    table.resume()
    assert path not in {live["path"] for live in table.live()}


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A damaged list is one clear sentence with what to do, and no table is compacted in spite of it."""
    table = two_groups(tmp_path / "t", use_dictionary=False)
    (table.root / "_compactor").mkdir(exist_ok=True)
    (table.root / "_compactor" / "quarantine.json").write_text('{"format_version": 1, "kind": "quarantine", "files": 3}')
    with pytest.raises(TableCorrupt, match=r"quarantine\.json is not a quarantine document; delete it"):
        compactor.plan(table.uri, settings=FORCED)
