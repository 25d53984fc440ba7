"""Events of a run, as values. Each telemetry sink (progress bar, log, metrics) is a function of these and lives in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from compactor.model.commit import Committed
from compactor.model.health import Decision, Health
from compactor.model.plan import Plan
from compactor.model.recovery import LeftRun
from compactor.model.rewrite import GroupDropped, RewriteResult
from compactor.model.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run began."""

    run_id: str
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotLoaded:
    """A version was loaded."""

    version: int
    files: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """Health and what was decided on it."""

    health: Health
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan that will be run."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFinished:
    """A group was rewritten (not yet committed)."""

    result: RewriteResult
    input_files: int
    input_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLost:
    """A group was dropped, by a worker or by a conflict."""

    dropped: GroupDropped


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRetried:
    """Another writer took the version; the commit was judged again against it."""

    version: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitLanded:
    """A commit is in the log."""

    outcome: Committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """A checkpoint was written, or (error) was not; its failure is never a failed commit."""

    version: int
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something the user should know. `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A run that had not ended cleanly was looked at, and what could be was cleaned up."""

    left: LeftRun


class LeaseState(StrEnum):
    """What became of a table's lease, as one run knows it."""

    TAKEN = "taken"
    TAKEN_OVER = "taken-over"  # from a holder that was gone
    REFUSED = "refused"  # another run holds it
    RETURNED = "returned"
    LOST = "lost"  # another run took it for expired


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseChanged:
    """The lease of the run's table was taken, given back, lost, or not to be had."""

    state: LeaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """A run ended."""

    run: Run


Event = (
    RunStarted
    | SnapshotLoaded
    | Assessed
    | Planned
    | GroupFinished
    | GroupLost
    | CommitRetried
    | CommitLanded
    | Checkpointed
    | Warned
    | Recovered
    | LeaseChanged
    | RunEnded
)
Sink = Callable[[Event], None]
