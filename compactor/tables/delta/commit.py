"""Publishes rewritten groups as the table's next version, judging them again against every version that others take first.

Correctness rests on two things only: the arbiter hands a version to one writer, and right before every attempt this module checks at the
version it builds on that every file the entry removes (path and deletion vector) is live and that every output exists with the size
written. It never deletes anything, never overwrites an entry, and never calls a commit failed whose fate it does not know.

    judge ──► claim ──► Created ─────────────────────────────► Committed
      ▲         │  ▲
      │         │  └── absent: the same bytes at the same version again
      │         ├─► Exists or PutUnknown ─► read the entry: our transaction id ─► Committed
      └─────────┴──────────────────────────── another writer's; unreadable ─► Unknown

Between knowing a version and claiming the next lie as few round trips as can be, or a writer that commits every few of them would win for
ever: who lost goes on from the entry that won, without a pause or a listing, and asks for permission while it looks at entry and outputs.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import metadata as distributions

from compactor.ambient import Ambient
from compactor.ambient.inline import Inline
from compactor.errors import CompactorError
from compactor.model.commit import CommitOutcome, CommitRequest, Committed, Conflict, Unknown
from compactor.model.rewrite import GroupDropped
from compactor.model.snapshot import Snapshot
from compactor.model.verification import ReadFiles
from compactor.storage.base import Created, Exists, ObjectStore, PutUnknown, in_memory
from compactor.tables.base import Permit, always
from compactor.tables.delta.arbiter import Arbiter, arbiter_for
from compactor.tables.delta.conflicts import TABLE_CHANGED, Terms
from compactor.tables.delta.entry import EntryGroup, build_entry
from compactor.tables.delta.entry_terms import terms_for
from compactor.tables.delta.features import gate_features
from compactor.tables.delta.known_entries import KnownEntries
from compactor.tables.delta.landed import committed_of, find_run, transaction_of
from compactor.tables.delta.log import list_log, read_entry
from compactor.tables.delta.log_access import LogAccess
from compactor.tables.delta.paths import encode_path
from compactor.tables.delta.replay import apply
from compactor.tables.delta.rescue import Rescuer
from compactor.tables.delta.salvage import Candidates, any_live, judged, proven, with_outputs
from compactor.tables.delta.state import DeltaState, LogEntry
from compactor.tables.delta.vectors import deletes_of

__all__ = ["find_run", "publish"]

CONTENTION = "contention"
_CHASED = 32
"""After so many attempts a committer pauses and lists the log, which would show one that was cut off."""
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 2.0


def publish(
    log: LogAccess, snapshot: Snapshot, request: CommitRequest, permit: Permit = always, prove: ReadFiles | None = None
) -> CommitOutcome:
    """Commit what can be committed of `request`, whose groups were read from `snapshot`; `permit` is asked before every attempt.

    prove: reads files to prove groups whose inputs lost rows meanwhile; without it such groups are dropped where rows are proven at all.

    Raises StorageError, TableCorrupt, TableRefused, SettingsError or what `permit` raises, only when it is known that nothing landed.
    """
    with _beside(log.store) as beside:
        committer = _Committer(
            store=log.store,
            ambient=log.ambient,
            arbiter=arbiter_for(log.options, log.ambient),
            attempts_left=log.options.max_commit_attempts,
            request=request,
            permit=permit,
            prove=prove,
            beside=beside,
            known=log.known,
        )
        return committer.run(snapshot)


def _beside(store: ObjectStore) -> Executor:
    """Where permission is asked while other requests are under way."""
    return Inline() if in_memory(store) else ThreadPoolExecutor(1, thread_name_prefix="permit")


@cache
def engine_info() -> str:
    """How we sign our commits."""
    try:
        return f"lakehouse-compactor/{distributions.version('lakehouse-compactor')}"
    except distributions.PackageNotFoundError:
        return "lakehouse-compactor/unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Landed:
    """The version is ours."""


@dataclass(slots=True, kw_only=True)
class _Committer:
    """One publication. Mutable: it counts its attempts."""

    store: ObjectStore
    ambient: Ambient
    arbiter: Arbiter
    request: CommitRequest
    attempts_left: int
    permit: Permit
    prove: ReadFiles | None
    beside: Executor
    known: KnownEntries
    attempts: int = 0
    asked: Future[None] | None = None
    """Permission that was asked for since the newest version that is known to exist was known to."""

    def run(self, base: Snapshot) -> CommitOutcome:
        """Judge, claim, and again, until the entry is in the log, nothing is left to commit, or the attempts are used up."""
        target, lost = base, None
        work = proven(self.store, base, self.request.groups)
        rescuer = Rescuer(store=self.store, request=self.request, read=work.adds, prove=self.prove)
        while True:
            winners = [lost] if lost is not None else self._winners(target)
            permitted = self._ask()  # of a version that is known to exist: who takes a run for dead relies on it
            ours = [winner for winner in winners if self._is_ours(winner)]
            if ours:
                return committed_of(ours)
            if winners:
                target = apply(target, winners)
                work = judged(work, winners, Terms.of(base), target, rescuer)
            work, groups = with_outputs(self.store, self._honoured(work, target))
            permitted.result()
            if not groups:
                return self._conflict(work, target, "no group was left to commit")
            if self.attempts_left <= 0:
                return self._conflict(_contended(work), target, f"other writers won all of {self.attempts} attempts")
            outcome = self._attempt(base, target, work, groups)
            if not isinstance(outcome, LogEntry):
                return outcome
            lost = outcome
            if self.attempts % _CHASED == 0:
                self._pause()
                lost, self.asked = None, None

    def _ask(self) -> Future[None]:
        """Permission to claim the version after the newest one known; asked beside what is done next. Raises nothing yet."""
        asked, self.asked = self.asked or self.beside.submit(self.permit), None
        return asked

    def _winners(self, target: Snapshot) -> list[LogEntry]:
        """The versions that others took after `target`. By LIST, because GETs alone would not notice a log cut off behind us."""
        listing = list_log(self.store, target.version)
        newest = listing.newest
        if newest is None or newest <= target.version:
            return []
        return list(self.known.read(self.store, target.version, newest, listing))

    def _is_ours(self, entry: LogEntry) -> bool:
        return transaction_of(entry) == self.request.transaction_id

    def _honoured(self, work: Candidates, target: Snapshot) -> Candidates:
        """Nothing, when the table now has a feature that a compaction does not honour."""
        state = target.state
        assert isinstance(state, DeltaState)
        refusals = gate_features(state.protocol, state.metadata)
        return work.without(lambda _: (TABLE_CHANGED, refusals[0].why, None)) if refusals else work

    def _attempt(self, base: Snapshot, target: Snapshot, work: Candidates, groups: tuple[EntryGroup, ...]) -> CommitOutcome | LogEntry:
        """Write one entry and claim the version after `target` for it; another writer's entry when that has the version."""
        version = target.version + 1
        terms = terms_for(self.store, target, now_ms=self.ambient.clock.now_ms(), read_version=base.version, request=self.request)
        outcome = self._claim(version, build_entry(terms, groups, engine_info()), work)
        return _committed(version, self.attempts, groups, work.dropped) if isinstance(outcome, _Landed) else outcome

    def _claim(self, version: int, data: bytes, work: Candidates) -> _Landed | LogEntry | Unknown:
        """Put the entry until it is known whose the version is: the same bytes every time, so that it does not matter which put landed."""
        doubt: str | None = None
        while True:
            self.attempts += 1
            self.attempts_left -= 1
            try:
                outcome = self.arbiter.claim(self.store, version, data)
            except CompactorError as error:
                if doubt is None:
                    raise
                return Unknown(version=version, why=f"{doubt} Then: {error}")
            if isinstance(outcome, Created):
                return _Landed()
            self.asked = self.beside.submit(self.permit) if isinstance(outcome, Exists) else None
            doubt = outcome.why if isinstance(outcome, PutUnknown) else doubt or "The store says that the version is taken."
            try:
                entry = read_entry(self.store, version)
                if entry is not None:
                    return _Landed() if self._is_ours(entry) else entry
                if self.attempts_left <= 0:
                    return Unknown(version=version, why=f"{doubt} No entry was seen so far.")
                self._pause()
                if len(with_outputs(self.store, work)[1]) < len(work.groups):
                    return Unknown(version=version, why=f"{doubt} Meanwhile outputs of it vanished.")
            except CompactorError as error:
                return Unknown(version=version, why=f"{doubt} Then: {error}")

    def _pause(self) -> None:
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self.attempts, 10))
        self.ambient.clock.sleep(self.ambient.randomness.uniform(0.0, longest))

    def _conflict(self, work: Candidates, target: Snapshot, why: str) -> CommitOutcome:
        """Nothing landed, unless the table lists an output of ours: then this request was published before, and nothing may be deleted."""
        outputs = {encode_path(output.key) for group in self.request.groups for output in group.result.outputs}
        if any_live(target, outputs):
            return Unknown(version=target.version, why="Outputs of this request are live although no commit of it was seen.")
        return Conflict(dropped=work.dropped, why=why)


def _contended(work: Candidates) -> Candidates:
    return work.without(lambda _: (CONTENTION, "other writers took every version that was tried", None))


def _committed(version: int, attempts: int, groups: tuple[EntryGroup, ...], dropped: tuple[GroupDropped, ...]) -> Committed:
    outputs = [output for group in groups for output in group.outputs]
    removed = [add for group in groups for add in group.inputs]
    masked = sum(int(vector["cardinality"]) for group in groups for vector in group.vectors if vector is not None)
    return Committed(
        version=version,
        attempts=attempts,
        groups=tuple(group.finished.result.group_id for group in groups),
        files_removed=len(removed),
        files_added=len(outputs),
        bytes_removed=sum(int(add["size"]) for add in removed),
        bytes_added=sum(output.size_bytes for output in outputs),
        rows=sum(output.rows for output in outputs) - masked,
        dropped=dropped,
        masked_rows=masked,
        vectors=tuple(key for group in groups for vector in group.vectors if vector is not None and (key := deletes_of(vector, "").key)),
    )
