"""Looks now and then whether planned files are still in the table, so that no group is rewritten whose inputs others have taken.

A courtesy to the bill: the committer judges every group again. A file that is there with other deletes is no reason to pass over its group,
for that is followed at the commit; what is passed over is planned again in the same run.
"""

from __future__ import annotations

from compactor.ambient.ports import Clock
from compactor.coordination.lease import NoLease
from compactor.errors import CompactorError
from compactor.model.plan import Plan, RewriteGroup
from compactor.model.rewrite import GroupDropped
from compactor.model.snapshot import Snapshot
from compactor.planning.liveness import paths_gone
from compactor.ports import Ports
from compactor.tables.base import Table

LOOK_EVERY_S = 10.0
INPUT_VANISHED = "input-vanished"


class Lookout:
    """For the groups of one plan. Looks at once where a lease was taken after the plan was made: its last holder may have done the same."""

    def __init__(self, ports: Ports, snapshot: Snapshot, plan: Plan) -> None:
        self._table: Table = ports.table
        self._clock: Clock = ports.ambient.clock
        self._latest, self._plan = snapshot, plan
        self._looked_s = None if not isinstance(ports.lease, NoLease) else self._clock.monotonic_s()
        self._gone: frozenset[str] = frozenset()

    def lost(self, group: RewriteGroup) -> GroupDropped | None:
        """The drop of a group that was not begun, when a file of it is known to be gone. A look costs one LIST; one that fails, nothing."""
        if self._looked_s is None or self._clock.monotonic_s() - self._looked_s >= LOOK_EVERY_S:
            self._look()
        path = next((key.path for key in group.inputs if key.path in self._gone), None)
        if path is None:
            return None
        detail = f"{path} was removed before its group was begun"
        return GroupDropped(group_id=group.group_id, reason=INPUT_VANISHED, detail=detail, file=path)

    def _look(self) -> None:
        self._looked_s = self._clock.monotonic_s()
        try:
            latest = self._table.refresh(self._latest)
        except CompactorError:
            return
        if latest.version != self._latest.version:
            self._latest, self._gone = latest, paths_gone(latest, self._plan)
