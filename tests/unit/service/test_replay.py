"""Replaying a history under a policy: files are followed, runs come when the policy says, and others' removes find what was merged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planning_worlds import RESOURCES, snapshot_of

from compactor.model.changes import FileChange, LogTail, PastCommit, partition_text, partition_values
from compactor.model.policy import MIB, Policy
from compactor.model.survey import Survey
from compactor.planning.cost import Assumptions
from compactor.planning.plan import plan
from compactor.service.past import Past
from compactor.service.replay import Replayed, Rules, replay
from compactor.service.standing import Standing, followed, taken, terms_of
from compactor.service.windows import parse_window
from compactor.service.work import work_of

HOUR_MS = 3_600_000
EMPTY = replace(snapshot_of([]), version=0)
TARGET = 100 * MIB
POLICY = Policy(target_bytes=TARGET)
RULES = Rules(policy=POLICY, target_bytes=TARGET)


def came(path: str, size: int = MIB, deleted: int = 0) -> FileChange:
    return FileChange(added=True, partition="", size_bytes=size, rows=1000, deleted_rows=deleted, path=path)


def went(path: str) -> FileChange:
    return FileChange(added=False, partition="", size_bytes=0, path=path)


def commit(hour: float, *changes: FileChange, keeps_rows: bool = False) -> PastCommit:
    at_ms = int(hour * HOUR_MS)
    landed = tuple(replace(change, landed_ms=at_ms) for change in changes)
    return PastCommit(version=int(hour * 100), at_ms=at_ms, keeps_rows=keeps_rows, changes=landed)


def appends(hours: int) -> list[PastCommit]:
    return [commit(hour + 0.5, came(f"f{hour}")) for hour in range(hours)]


def played(history: list[PastCommit], rules: Rules = RULES) -> Replayed:
    return replay(EMPTY, history, rules, Assumptions())


def test_appends_are_merged_as_the_policy_says() -> None:
    """A file an hour, merged as soon as there are five; what was merged once is not merged again before it fills half a target."""
    found = played(appends(40))
    assert len(found.runs) >= 2
    assert found.runs[0].input_files == 5
    assert found.runs[0].lag_s <= 3600
    assert found.points[-1].before == 40
    assert found.points[-1].files < 10
    assert found.written_bytes == 40 * MIB
    assert 0.8 <= found.write_amplification <= 2


def test_a_policy_that_waits_runs_less() -> None:
    """More files at once: fewer runs and fewer bytes rewritten."""
    often, seldom = played(appends(100)), played(appends(100), replace(RULES, min_gain_files=30))
    assert len(seldom.runs) < len(often.runs)
    assert seldom.write_amplification <= often.write_amplification
    assert min(run.input_files for run in seldom.runs) >= 30


def test_windows_are_kept_and_lag_is_told() -> None:
    """Nothing runs but at night; what was worth it in the day waits till then."""
    found = played(appends(72), replace(RULES, windows=(parse_window("0 3 * * * for 2h"),)))
    assert found.runs
    assert {run.at_ms // HOUR_MS % 24 for run in found.runs} <= {3, 4}
    assert found.lag_s(0.99) > 10 * 3600


def test_young_files_wait_and_are_not_forgotten() -> None:
    """A table that is not written any more is compacted once its files have come of age."""
    history = [*appends(10), commit(60, came("last"))]
    found = played(history, replace(RULES, policy=replace(POLICY, min_age_s=20 * 3600.0)))
    assert found.runs
    assert all(run.at_ms >= 25 * HOUR_MS for run in found.runs)


def test_a_compaction_of_history_is_left_out_and_traced() -> None:
    """Its outputs stand for what it took: their removal removes what was merged here instead."""
    history = [
        commit(1, *(came(f"f{number}") for number in range(10))),
        commit(2, *(went(f"f{number}") for number in range(10)), came("optimised", 10 * MIB), keeps_rows=True),
        commit(3, came("g")),
        commit(9, went("optimised")),
    ]
    found = played(history)
    assert found.runs[0].input_files == 10
    assert (found.points[-1].files, found.points[-1].before) == (1, 1)


def test_rows_deleted_from_a_merged_file_are_purged() -> None:
    """History rewrites one of the merged files without some rows: here the output gets deleted rows, and a purge in time."""
    history = [
        commit(1, *(came(f"f{number}") for number in range(10))),
        commit(5, went("f3"), came("f3b", MIB)),
        commit(9, came("z", 90 * MIB)),
    ]
    found = played(history)
    first, second = found.runs[:2]
    assert (first.input_files, second.input_files) == (10, 1)
    assert second.at_ms == 6 * HOUR_MS


def test_a_history_of_one_version() -> None:
    """There is nothing to replay, and that is no error."""
    assert played([]).points == []


def test_texts_of_partitions() -> None:
    """Null, empty and odd values come back."""
    for values in ({}, {"p": None}, {"p": ""}, {"p": "a=b", "q": "x/y z"}):
        assert partition_values(partition_text(values)) == values


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_what_is_told_is_what_there_is(data: st.DataObject) -> None:
    """Through any history, with compactions in between, the changes that are told lead to the standing of the world as it is."""
    past, standing = Past(EMPTY), taken(EMPTY, terms_of(POLICY, TARGET, False), None)
    live: list[str] = []
    for hour in range(data.draw(st.integers(1, 8))):
        gone = data.draw(st.lists(st.sampled_from(live), unique=True)) if live else []
        new = [f"f{hour}-{number}" for number in range(data.draw(st.integers(0, 6)))]
        masked = [path for path in live if path not in gone and data.draw(st.booleans())]
        changes = [
            *(went(path) for path in gone),
            *(change for path in masked for change in (went(path), came(path, deleted=data.draw(st.integers(0, 1000))))),
            *(came(path, data.draw(st.sampled_from([MIB, 60 * MIB, 190 * MIB]))) for path in new),
        ]
        live = [path for path in live if path not in gone] + new
        standing = _followed(standing, past.apply(commit(hour, *changes)))
        if data.draw(st.booleans()):
            planned = plan(past.snapshot(hour), Survey(), POLICY, RESOURCES, target_bytes=TARGET)
            standing = _followed(standing, past.compact(planned, hour))
        there = taken(past.snapshot(hour), standing.terms, None)
        assert (standing.files, standing.unclear) == (there.files, None)
        assert work_of(standing, min_input_files=2) == work_of(there, min_input_files=2)


def _followed(standing: Standing, changes: list[FileChange]) -> Standing:
    return followed(standing, LogTail(version=standing.version + 1, entry=None, changes=tuple(changes)))


def test_no_bytes_without_a_policy_that_wants_them() -> None:
    """A gain that is never reached rewrites nothing, and shows history as it was."""
    found = played(appends(30), replace(RULES, min_gain_files=1e9))
    assert (found.runs, found.write_amplification) == ([], 0.0)
    assert all(point.files == point.before for point in found.points)
    assert pytest.approx(found.lag_s(0.99)) == 0
