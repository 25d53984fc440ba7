"""What a run does about dead runs of its table, told as events: first what they had finished is committed, last what they left is deleted.

How is decided in coordination/recovery.py. Nothing that goes wrong here ends the run: it is a warning.
"""

from __future__ import annotations

from compactor.coordination.recovery import Recovery, Rescue
from compactor.model.commit import Committed
from compactor.model.events import CommitLanded, Recovered, Sink, Warned
from compactor.tables.base import Table


def take_over(table: Table, recovery: Recovery, run_id: str, rescue: Rescue, sink: Sink) -> list[Committed]:
    """Commit what dead runs had finished, under our run id, so that the plan starts from there. Rows deleted since are followed."""
    commits = recovery.take_over(table, run_id, rescue)
    for commit in commits:
        sink(CommitLanded(outcome=commit))
    _tell_problems(recovery, sink)
    return commits


def settle(table: Table, recovery: Recovery, sink: Sink) -> None:
    """Delete what dead runs left, as far as it is known that no version names it or ever will."""
    for end in recovery.settle(table):
        sink(Recovered(left=end))
    _tell_problems(recovery, sink)


def _tell_problems(recovery: Recovery, sink: Sink) -> None:
    problems, recovery.problems = recovery.problems, []
    for problem in problems:
        sink(Warned(code="recovery", message=problem))
