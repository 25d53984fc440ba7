"""How a run is judged to have ended, from what happened in it."""

from __future__ import annotations

from compactor.model.commit import Committed
from compactor.model.fingerprint import Fingerprint
from compactor.model.rewrite import GroupDropped
from compactor.model.run import RunStatus
from compactor.run_report import Tally, report


def test_groups_of_dead_runs_are_not_mistaken_for_ours() -> None:
    """Group 0 that a dead run had finished does not make our own group 0, which was rewritten and lost, a committed one."""
    tally = Tally(run_id="r", table="t")
    tally.took_over([_commit(5, 0)])
    tally.fingerprints = {0: Fingerprint(sum=1, rows=1), 1: Fingerprint(sum=2, rows=1)}
    tally.commits.append(_commit(6, 1))
    run = report(tally, seconds=0.0)
    assert [found.group_id for found in run.fingerprints] == [1]
    assert run.groups_committed == 2


def _commit(version: int, group: int) -> Committed:
    return Committed(version=version, attempts=1, groups=(group,), files_removed=2, files_added=1, bytes_removed=2, bytes_added=1, rows=1)


def test_a_store_that_keeps_no_output_is_a_failure_and_no_conflict() -> None:
    """When all that was lost are outputs that vanished, the run failed on its storage; beside a group that others took, it gave up."""
    gone = GroupDropped(group_id=0, reason="output-vanished", detail="the output x was deleted before it was committed")
    taken = GroupDropped(group_id=1, reason="input-vanished", detail="another writer removed y")
    told = [report(Tally(run_id="r", table="t", planned=2, dropped=dropped), seconds=0) for dropped in ([gone], [gone, taken])]
    assert [(run.status, run.exit_code) for run in told] == [(RunStatus.FAILED, 5), (RunStatus.CONFLICT, 4)]
