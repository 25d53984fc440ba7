"""A lease that is told of: what becomes of it, as events, for metrics and logs. Decides nothing; what is right rests on no lease anyway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from compactor.coordination.lease import Lease
from compactor.errors import ConflictGaveUp, Superseded
from compactor.model.events import LeaseChanged, LeaseState, Sink


class ToldLease:
    """`lease`, and a sink that hears of it."""

    def __init__(self, lease: Lease, sink: Sink) -> None:
        self._lease, self._sink = lease, sink
        self._lost = False

    @contextmanager
    def held(self, run_id: str) -> Iterator[bool]:
        """See Lease."""
        with ExitStack() as stack:
            try:
                inherited = stack.enter_context(self._lease.held(run_id))
            except ConflictGaveUp:
                self._tell(LeaseState.REFUSED)
                raise
            self._lost = False
            stack.callback(self._ended)
            self._tell(LeaseState.TAKEN_OVER if inherited else LeaseState.TAKEN)
            yield inherited

    def check(self) -> None:
        """See Lease."""
        try:
            self._lease.check()
        except Superseded:
            self._lost = True
            raise

    def _ended(self) -> None:
        self._tell(LeaseState.LOST if self._lost else LeaseState.RETURNED)

    def _tell(self, state: LeaseState) -> None:
        self._sink(LeaseChanged(state=state))
