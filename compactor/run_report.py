"""From what happened in a run to its Run value: status, reason and exit code. Pure; the one place where those are decided.

every group committed                          committed       0
some committed, others lost to other writers   committed       0   (dropped groups are listed with their reasons)
some committed, others failed                  failed          exit code of the worst failure; what was committed stands
some committed, then the lease was lost        committed       0   (the reason says so; the next run goes on)
none committed, all lost to other writers      conflict        4
none committed, and others left nothing to do  nothing-to-do   0
none committed, files that must be left alone  nothing-to-do   0
none committed, others failed                  failed          exit code of the worst failure
cut short by a signal after it began to write  failed          130, or 143 for SIGTERM; what was committed stands
nothing planned                                nothing-to-do   0
a dry run that planned something               planned         0
refused by the gate                            refused         3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from compactor.errors import CompactorError, ConflictGaveUp, Interrupted, StorageError, TableRefused
from compactor.model.commit import Committed
from compactor.model.engine import Copies, DecodedBecause, together
from compactor.model.events import Checkpointed, Event, Sink, Warned
from compactor.model.fingerprint import FINGERPRINT_ALGORITHM, Fingerprint, GroupFingerprint, ProofLevel, Proven, readers_together
from compactor.model.rewrite import GroupDropped, RewriteResult
from compactor.model.run import Run, RunStatus
from compactor.model.usage import Economy, Usage

_EXIT_OF_REASON = {
    "proof": 8,
    "corrupt-file": 6,
    "storage": 5,
    "out-of-memory": 7,
    "worker-lost": 7,
    "deadline": 7,
    "cancelled": 7,
    "failed": 7,
    "input-vanished": 0,
    "output-vanished": 0,
    "table-changed": 0,
    "taken-over": 0,
    "contention": 0,
    "unsupported-file": 0,
    "drifted": 0,
}
_TERMINATED = 143
"""128 and the number of SIGTERM, which whoever handles signals says in the KeyboardInterrupt that is raised for one."""
_SEVERITY = (1, 8, 6, 7, 5)
"""Exit codes of failures, worst first: a bug of ours, a failed proof, damage, execution, storage."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has happened so far in one run. Only the pipeline changes it. acted: its intent was written, so there is something to keep.

    overtaken: why nothing was left to do when what others took was planned again; None when it was not, or something was.
    not_yet: files that only time keeps out of the newest plan.
    taken: how many of the first commits are of what dead runs had finished; their groups have numbers of other plans.
    """

    run_id: str
    table: str
    planned: int = 0
    version: int | None = None
    commits: list[Committed] = field(default_factory=list)
    taken: int = 0
    dropped: list[GroupDropped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    peak_memory_bytes: int = 0
    acted: bool = False
    why: str | None = None
    overtaken: str | None = None
    not_yet: int = 0
    plan_id: str | None = None
    predicted: Usage | None = None
    spent: Usage = field(default_factory=Usage)
    economy: Economy = field(default_factory=Economy)
    proof: ProofLevel | None = None
    fingerprints: dict[int, Fingerprint] = field(default_factory=dict)
    proven: set[Proven] = field(default_factory=set)
    proof_readers: str | None = None
    copies: Copies = field(default_factory=Copies)
    decoded: tuple[DecodedBecause, ...] = ()

    def took_over(self, commits: Sequence[Committed]) -> None:
        """Note commits of what dead runs had finished."""
        self.commits.extend(commits)
        self.taken = len(self.commits)
        self.planned += sum(len(commit.groups) for commit in commits)
        self.acted |= bool(commits)

    def rewritten(self, result: RewriteResult) -> None:
        """Note a finished group."""
        self.peak_memory_bytes = max(self.peak_memory_bytes, result.peak_memory_bytes)
        if result.fingerprint is not None:
            self.fingerprints[result.group_id] = result.fingerprint
        self.proven.add(result.proof)
        self.proof_readers = readers_together((self.proof_readers, result.proof_readers))
        self.copies += result.copies
        self.decoded = together((*self.decoded, *result.decoded))


def report(tally: Tally, *, seconds: float, error: CompactorError | None = None, dry_run: bool = False) -> Run:
    """The Run for a tally that ended normally, or with `error`."""
    status, reason, exit_code = _verdict(tally, error)
    if dry_run and error is None and tally.planned > len(tally.dropped):
        status, reason = RunStatus.PLANNED, "dry run: nothing was written"
    commits = tally.commits
    proven = _proven(tally)
    return Run(
        run_id=tally.run_id,
        table=tally.table,
        status=status,
        reason=reason,
        version=max((c.version for c in commits), default=tally.version),
        files_removed=sum(c.files_removed for c in commits),
        files_added=sum(c.files_added for c in commits),
        bytes_removed=sum(c.bytes_removed for c in commits),
        bytes_added=sum(c.bytes_added for c in commits),
        rows=sum(c.rows for c in commits),
        masked_rows=sum(c.masked_rows for c in commits),
        groups_planned=tally.planned,
        groups_committed=sum(len(c.groups) for c in commits),
        groups_dropped=tuple(tally.dropped),
        seconds=round(seconds, 3),
        peak_memory_bytes=tally.peak_memory_bytes,
        warnings=tuple(tally.warnings),
        exit_code=exit_code,
        why=tally.why,
        not_yet=tally.not_yet,
        plan_id=tally.plan_id,
        predicted=tally.predicted,
        actual=_actual(tally, seconds) if tally.acted else None,
        proof="bytes" if tally.proof == "full" and "bytes" in tally.proven else tally.proof,
        proof_readers=tally.proof_readers,
        copies=tally.copies,
        decoded=tally.decoded,
        fingerprint_algorithm=FINGERPRINT_ALGORITHM if proven else None,
        fingerprints=proven,
    )


def cut_short(tally: Tally, end: KeyboardInterrupt | SystemExit, *, seconds: float) -> Run:
    """The Run for a tally that a signal ended; what was committed by then is in it."""
    told = end.code if isinstance(end, SystemExit) else next(iter(end.args), None)
    run = report(tally, seconds=seconds, error=Interrupted("Interrupted; what was committed stands, and nothing else was kept."))
    return replace(run, exit_code=_TERMINATED if told == _TERMINATED - 128 else Interrupted.exit_code)


def _proven(tally: Tally) -> tuple[GroupFingerprint, ...]:
    """The fingerprints of the groups of this run's own plan that were committed."""
    committed = sorted({group for commit in tally.commits[tally.taken :] for group in commit.groups} & tally.fingerprints.keys())
    found = ((group, tally.fingerprints[group]) for group in committed)
    return tuple(GroupFingerprint(group_id=group, digest=value.digest, rows=value.rows) for group, value in found)


def _actual(tally: Tally, seconds: float) -> Usage:
    held_bytes = sum(commit.bytes_removed for commit in tally.commits)
    return tally.economy.priced(replace(tally.spent, seconds=round(seconds, 3)), held_bytes)


def _verdict(tally: Tally, error: CompactorError | None) -> tuple[RunStatus, str | None, int]:
    if isinstance(error, TableRefused):
        return RunStatus.REFUSED, str(error), error.exit_code
    if isinstance(error, ConflictGaveUp) and tally.commits:
        return RunStatus.COMMITTED, str(error), 0
    if isinstance(error, ConflictGaveUp):
        return RunStatus.CONFLICT, str(error), error.exit_code
    if error is not None:
        return RunStatus.FAILED, str(error), error.exit_code
    failure = _worst_failure(tally.dropped)
    if failure is not None:
        return RunStatus.FAILED, failure.detail, exit_code_of(failure)
    if tally.commits:
        return RunStatus.COMMITTED, None, 0
    conflicts = [drop for drop in tally.dropped if drop.reason != "unsupported-file"]
    if conflicts and tally.overtaken is not None:
        return RunStatus.NOTHING_TO_DO, f"Others changed or compacted all that was planned, and left nothing to do: {tally.overtaken}", 0
    if conflicts and all(drop.reason == "output-vanished" for drop in conflicts):  # the store does not keep what it is given
        return RunStatus.FAILED, conflicts[0].detail, StorageError.exit_code
    if conflicts:
        return RunStatus.CONFLICT, conflicts[0].detail, ConflictGaveUp.exit_code
    if tally.dropped:
        return RunStatus.NOTHING_TO_DO, tally.dropped[0].detail, 0
    return RunStatus.NOTHING_TO_DO, tally.why, 0


def _worst_failure(dropped: Sequence[GroupDropped]) -> GroupDropped | None:
    failures = [drop for drop in dropped if exit_code_of(drop) != 0]
    return min(failures, key=lambda drop: _SEVERITY.index(exit_code_of(drop)), default=None)


def exit_code_of(drop: GroupDropped) -> int:
    """The exit code that a dropped group asks for; 0 when it was dropped for the sake of another writer or of a rule."""
    return _EXIT_OF_REASON.get(drop.reason, 1)


def noting(tally: Tally, sink: Sink) -> Sink:
    """A sink that also keeps warnings for the Run."""

    def note(event: Event) -> None:
        if isinstance(event, Warned):
            tally.warnings.append(event.message)
        if isinstance(event, Checkpointed) and event.error is not None:
            tally.warnings.append(f"The checkpoint at version {event.version} was not written: {event.error}")
        sink(event)

    return note
