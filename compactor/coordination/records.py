"""The records of one table's runs, as the pipeline uses them: intents before effects, results after the end.

They live below `prefix` of a store: `_compactor/` in the table's own folder (names that begin with an underscore are invisible to readers
of the table and to VACUUM), or a folder for each table below a configured state URI. A run that writes nothing leaves nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from compactor.ambient.ports import Clock
from compactor.coordination.documents import check_run_id
from compactor.coordination.intent import Intent, IntentGroup, intent_keys, read_intent, write_intent
from compactor.coordination.journal import find_run, read_runs, write_run
from compactor.coordination.markers import BY_OWNER, Marker, base_of, beat, erase, may_commit, results_folder, say
from compactor.coordination.pulse import Pulse
from compactor.coordination.results import forget_results, keep_result
from compactor.errors import CompactorError, ObjectMissing, StorageError, TakenForDead
from compactor.model.commit import FinishedGroup
from compactor.model.plan import Plan
from compactor.model.run import Run, RunRecord
from compactor.storage.base import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How carefully runs are watched over.

    keep_bytes: results of groups that write at least this much are kept until they are committed, so that a crash does not lose the work.
    beat_s: between two signs of life of a run; None: it gives none. silent_s: a run whose last sign is older than this, by the store's
    dates, is taken for dead. late_s: how long after its death a worker of a run may still write: the task deadline, and a margin.
    """

    keep_bytes: int = 64 * 1024 * 1024
    beat_s: float | None = 60.0
    silent_s: float = 900.0
    late_s: float = 3900.0


@dataclass(slots=True)
class _Open:
    """An intent of ours that stands. kept: results of it may be with us, for others to commit after our end; known: groups whose are;
    taken: another decides about it now, to whom it is left."""

    key: str
    base: str
    pulse: Pulse | None
    kept: bool = False
    taken: bool = False
    known: set[int] = field(default_factory=set)


class RunRecords:
    """Records of the runs of one table."""

    def __init__(
        self, *, store: ObjectStore, prefix: str, clock: Clock, by: str | None = None, care: Care | None = None, owner: str = ""
    ) -> None:
        """`prefix`: empty, or ending in `/`. `by`: the program and machine that runs, for people; `owner`: the process, for Owners."""
        self._store = store
        self._prefix = prefix
        self._clock = clock
        self._by = by
        self._care = care or Care(beat_s=None)
        self._owner = owner
        self._intents: dict[str, _Open] = {}

    def find(self, run_id: str) -> Run | None:
        """The result of a run of this id that ended before. Raises StorageError, TableRefused (newer format), UsageError (run id)."""
        return find_run(self._store, self._prefix, check_run_id(run_id))

    def intend(self, run_id: str, plan: Plan, stem: Callable[[int], str], beside: Callable[[str, str], str] | None = None) -> None:
        """Say what the run will write; when this returns, the intent is durable. Raises StorageError: then nothing may be written.

        beside: from the first input and the stem of a group to a path in whose folder its outputs lie; by default the first input's.
        """
        firsts = plan.inputs["path"].take(plan.groups["first_input"]).to_pylist()
        ids = plan.groups["group_id"].to_pylist()
        where = beside or _same_folder
        intent = Intent(
            run_id=run_id,
            table=plan.table.uri,
            version=plan.version,
            created_ms=self._clock.now_ms(),
            groups=tuple(IntentGroup(group_id=i, beside=where(first, stem(i)), stem=stem(i)) for i, first in zip(ids, firsts, strict=True)),
            nonce=stem(ids[0]),
            owner=self._owner,
        )
        try:
            key = write_intent(self._store, self._prefix, intent)
            base = base_of(key, intent.nonce)
            pulse = None if self._care.beat_s is None else Pulse(self._care.beat_s, lambda: self._beat(base), "sign-of-life")
            self._intents[run_id] = _Open(key, base, pulse)
        except KeyboardInterrupt:
            if run_id not in self._intents:
                self._take_back(intent)
            raise

    def _take_back(self, intent: Intent) -> None:
        """Remove an intent of which it is not known whether it was written: nothing else has been."""
        with suppress(CompactorError):
            ours = [key for key in intent_keys(self._store, self._prefix) if read_intent(self._store, key).nonce == intent.nonce]
            self._store.delete(ours)

    def _beat(self, base: str) -> None:
        with suppress(StorageError):  # the next one may come through; without any the run is taken for dead, which it survives
            beat(self._store, base)

    def keep(self, run_id: str, group: FinishedGroup, *, small: bool = False) -> bool:
        """Keep the result of a large group, or of a small one too, until it is committed; whether it is known to be kept.

        A store that fails keeps nothing, and the run goes on.
        """
        ours = self._intents.get(run_id)
        if ours is None or not (small or sum(output.size_bytes for output in group.result.outputs) >= self._care.keep_bytes):
            return False
        ours.kept = True
        if group.result.group_id not in ours.known:
            with suppress(StorageError):
                keep_result(self._store, self._folder(ours), group)
                ours.known.add(group.result.group_id)
        return group.result.group_id in ours.known

    def free(self, run_id: str) -> bool:
        """Whether no intent of this run stands but such as were taken from it, so that it may say another."""
        return run_id not in self._intents

    def check(self, run_id: str) -> None:
        """Whether the run may still commit. Raises TakenForDead when another thinks so, StorageError."""
        ours = self._intents.get(run_id)
        if ours is not None and not may_commit(self._store, ours.key, ours.base):
            ours.taken = True
            raise TakenForDead(f"Another run has taken over from run {run_id}, which gave no sign of life for too long.")

    def may_dispose(self, run_id: str) -> bool:
        """Whether the run may delete outputs of its own that are not in the log: not when another may be committing them, or has.

        The fence is made first, the intent looked for afterwards: who clears up removes the intent before any fence, so a fence that is
        ours beside an intent that is ours was the first.
        """
        ours = self._intents.get(run_id)
        if ours is None or not ours.kept:
            return True
        try:
            ours.taken = not (say(self._store, ours.base, Marker.FENCE, by=BY_OWNER) and self._stands(ours))
        except CompactorError:
            return False
        return not ours.taken

    def _stands(self, ours: _Open) -> bool:
        """Whether the intent is there, and ours: its name may be used again. Raises StorageError, TableRefused, TableCorrupt."""
        try:
            return base_of(ours.key, read_intent(self._store, ours.key).nonce) == ours.base
        except ObjectMissing:
            return False

    def close_intent(self, run_id: str, *, settled: bool) -> None:
        """The run ends. Settled: nothing can be left of it, and its intent goes; else, or if it cannot go, it says that nobody is at work.

        Whoever takes over from a run that kept results may commit them, as after its death.
        Never raises StorageError: an intent too many does no harm, and a later run sees to it.
        """
        ours = self._intents.get(run_id)
        if ours is None:
            return
        if ours.pulse is not None:
            ours.pulse.stop()
        try:
            if settled:
                self.forget_intent(run_id)
                return
        except StorageError:
            pass  # a store may create what it does not delete
        if ours.taken:
            del self._intents[run_id]
        with suppress(StorageError):
            if ours.kept:
                say(self._store, ours.base, Marker.ENDED)
            else:
                say(self._store, ours.base, Marker.FENCE, by=BY_OWNER)

    def forget_intent(self, run_id: str) -> None:
        """Remove the intent that intend() made, once nothing of the run can be left over. Raises StorageError."""
        ours = self._intents.pop(run_id, None)
        if ours is None:
            return
        if ours.kept:
            forget_results(self._store, self._folder(ours))
        self._store.delete([ours.key])
        if ours.kept or ours.pulse is not None:
            erase(self._store, ours.base)

    def _folder(self, ours: _Open) -> str:
        return results_folder(self._prefix, ours.base)

    def record(self, run: Run) -> None:
        """Keep the result of a run that wrote something. Raises StorageError."""
        write_run(self._store, self._prefix, RunRecord(run=run, ended_ms=self._clock.now_ms(), by=self._by))

    def runs(self, limit: int | None = None) -> list[RunRecord]:
        """Results of runs that wrote something, newest first. Raises StorageError, TableRefused (newer format), TableCorrupt."""
        return read_runs(self._store, self._prefix, limit)


def _same_folder(first: str, _stem: str) -> str:
    return first
