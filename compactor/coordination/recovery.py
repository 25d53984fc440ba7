"""Recovery: what the next run of a table does about runs that left their intent, because they crashed or do not know what they committed.

    in flight ─ nothing. A process of this machine that still lives, or a sign of life that is young by the store's own dates
    dead, ended ─► fenced ─► its finished groups committed by us ─► what it wrote and nobody committed is deleted, by stem ─► swept ─► gone

Nobody is asked whether a run is really dead: being fenced stops it, dead or not. Deleting is safe by two facts and no clock:
- A run lists the log, then looks for its fence, then looks for its outputs, then creates the version after the newest one listed. So once
  the fence is durable, a create that is still under way aims at most at the version after the newest one that we list then. When that
  version is taken, nothing of the run can land any more, and what the log does not name by then it will never name.
- Of a group that the log names already, nothing else will ever be offered.
Groups that a run kept as finished may be committed by whoever created its fence, and by nobody else; that run has an intent of its own
meanwhile, and until it is gone, or fenced and past, nothing of either is deleted. A conflict never deletes outputs of others.

Must never delete a file that a retained version names, nor anything while it is not known what the log holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from compactor.ambient.ports import Ambient, Owners
from compactor.coordination.intent import Intent, IntentGroup, read_intent, write_intent
from compactor.coordination.markers import (
    BY_OWNER,
    BY_RECOVERY,
    Found,
    Marker,
    base_of,
    erase,
    find_intents,
    may_commit,
    results_folder,
    said,
    say,
)
from compactor.coordination.outputs import spare_vectors
from compactor.coordination.records import Care
from compactor.coordination.results import forget_results, read_results
from compactor.errors import CompactorError, ObjectMissing, Superseded
from compactor.model.commit import CommitOutcome, CommitRequest, Committed, FinishedGroup, Unknown
from compactor.model.recovery import LeftRun, LeftState, References
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.verification import ReadFiles
from compactor.storage.base import ObjectStore
from compactor.storage.unfinished import Unfinished, unfinished

_SWEPT = "Nothing of it is left; it is looked at once more after the task deadline, for workers that wrote late."


class RecoverableTable(Protocol):
    """What recovery asks of a table; see tables/base.py."""

    @property
    def ref(self) -> TableRef: ...
    def load(self, version: int | None = None) -> Snapshot: ...
    def object_key(self, path: str) -> str: ...
    def references(self, after_version: int, stems: Collection[str]) -> References: ...
    def publish(
        self, snapshot: Snapshot, request: CommitRequest, permit: Callable[[], None], prove: ReadFiles | None = None
    ) -> CommitOutcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """How finished groups of a dead run are saved that lost rows since, as a run saves its own: see CommitRequest and Table.publish."""

    max_deleted_ratio: float | None = None
    prove: ReadFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A run that is not in flight, and what was said about it."""

    found: Found
    intent: Intent
    fence: str | None

    @property
    def base(self) -> str:
        return base_of(self.found.key, self.intent.nonce)

    @property
    def name(self) -> str:
        """As the fences that its run creates call it."""
        return self.base.rpartition("/")[2]

    @property
    def stems(self) -> list[str]:
        return [group.stem for group in self.intent.groups]

    def marked(self, marker: Marker) -> bool:
        return f"{self.base}.{marker}" in self.found.markers


class Recovery:
    """Recovery of one table. `store` and `prefix` are where its records are, `outputs` is the store at the table's root."""

    def __init__(self, *, store: ObjectStore, prefix: str, outputs: ObjectStore, ambient: Ambient, care: Care, owners: Owners) -> None:
        self._store, self._prefix, self._outputs = store, prefix, outputs
        self._ambient, self._care, self._owners = ambient, care, owners
        self._pending: list[Left] = []
        self._rescue = Rescue()
        self._now_ms = 0
        self.problems: list[str] = []

    def look(self) -> bool:
        """One listing when nothing is left. Whether some run is, that is not in flight: then the others here have work.

        Raises StorageError.
        """
        found, lost = find_intents(self._store, self._prefix)
        if lost:
            self._store.delete(lost)
        self._now_ms = self._store.now_ms() if found else 0
        self._pending = [left for item in found if (left := self._left(item)) is not None]
        return bool(self._pending)

    def in_flight(self) -> list[LeftRun]:
        """The runs whose intents stand and that may still be at work. Raises StorageError."""
        pending = {left.found.key for left in self._pending}
        found, _ = find_intents(self._store, self._prefix)
        ids = [item.key.rpartition("/")[2].removesuffix(".json") for item in found if item.key not in pending]
        return [LeftRun(run_id=name, state=LeftState.IN_FLIGHT, why="It may still be at work.") for name in ids]

    def take_over(self, table: RecoverableTable, run_id: str, rescue: Rescue | None = None) -> list[Committed]:
        """Fence what is dead, and commit what it had finished: one commit for each dead run that kept something, under our run id.

        rescue: without it, groups that lost rows since are not saved.
        A dead run that cannot be taken over becomes a problem in `problems`, not an error.
        """
        commits: list[Committed] = []
        self._rescue = rescue or Rescue()
        for left in [left for left in self._pending if left.fence is None]:
            try:
                commits += self._take(table, left, run_id)
            except CompactorError as error:
                self.problems.append(f"Run {left.intent.run_id} could not be taken over: {error}")
        self._note_versions(table)
        return commits

    def fence(self, table: RecoverableTable) -> None:
        """Fence what is dead, and commit nothing of it. Raises StorageError."""
        for left in self._pending:
            if left.fence is None:
                self._fence(left, BY_RECOVERY)
        self._note_versions(table)

    def settle(self, table: RecoverableTable, *, dry_run: bool = False) -> list[LeftRun]:
        """Delete what is known to be in no version and never to be in one; for each left run, where its recovery stands now."""
        ends = []
        for left in self._pending:
            try:
                ends.append(self._settle(table, left, dry_run))
            except CompactorError as error:
                self.problems.append(f"What run {left.intent.run_id} left could not be cleaned up: {error}")
                ends.append(_end(left, LeftState.UNKNOWN, str(error)))
        if self._pending and not dry_run:
            self._discard_begun_records()
        return ends

    def _discard_begun_records(self) -> None:
        """Temporary files of entries of the log and of records, whose writers are certainly gone: they live for milliseconds."""
        places = [(self._outputs, "_delta_log/"), *((self._store, f"{self._prefix}{kind}/") for kind in ("intents", "results", "runs"))]
        with suppress(CompactorError):
            for store, prefix in places:
                for item in unfinished(store, prefix):
                    if self._now_ms - item.started_ms >= self._care.late_s * 1000:
                        item.discard()

    def _left(self, item: Found) -> Left | None:
        """The run behind an intent, unless it is in flight, or not for us to judge."""
        try:
            intent = read_intent(self._store, item.key)
            left = Left(found=item, intent=intent, fence=None)
            if left.marked(Marker.FENCE):
                words = said(self._store, left.base, Marker.FENCE) or {}
                return replace(left, fence=str(words.get("by", BY_RECOVERY)))
        except ObjectMissing:
            return None  # it ended since the listing
        except CompactorError as error:
            self.problems.append(f"An intent is left alone: {error}")
            return None
        beat = item.markers.get(f"{left.base}.{Marker.BEAT}")
        last_ms = max(item.modified_ms, beat.modified_ms if beat else 0)
        silent = self._now_ms - last_ms >= self._care.silent_s * 1000
        return left if silent or left.marked(Marker.ENDED) or self._owners.is_gone(intent.owner) else None

    def _fence(self, left: Left, by: str) -> bool:
        """Whether the fence is ours; either way it stands when this returns."""
        ours = say(self._store, left.base, Marker.FENCE, by=by)
        words = {} if ours else said(self._store, left.base, Marker.FENCE) or {}
        at = self._pending.index(left)
        self._pending[at] = replace(left, fence=by if ours else str(words.get("by", BY_RECOVERY)))
        return ours

    def _take(self, table: RecoverableTable, left: Left, run_id: str) -> list[Committed]:
        groups = read_results(self._store, results_folder(self._prefix, left.base))
        done = table.references(left.intent.version, left.stems).keys if groups else frozenset()
        groups = [group for group in groups if done.isdisjoint(output.key for output in group.result.outputs)]
        if not groups:
            self._fence(left, BY_RECOVERY)
            return []
        intent = Intent(
            run_id=run_id,
            table=table.ref.uri,
            version=left.intent.version,
            created_ms=self._ambient.clock.now_ms(),
            groups=(),
            nonce=self._ambient.ids.new(),
            owner=self._owners.me(),
        )
        key = write_intent(self._store, self._prefix, intent)
        base = base_of(key, intent.nonce)
        outcome: CommitOutcome | None = None
        try:
            if self._fence(left, base.rpartition("/")[2]):
                outcome = self._commit(table, left, run_id, groups, key, base)
        finally:
            self._close(key, base, unknown=isinstance(outcome, Unknown))
        return [outcome] if isinstance(outcome, Committed) else []

    def _commit(
        self, table: RecoverableTable, left: Left, run_id: str, groups: Sequence[FinishedGroup], key: str, base: str
    ) -> CommitOutcome:
        """Commit a dead run's finished groups, judged from the version that they were read at. What is lost to a conflict stays."""

        def permit() -> None:
            if not may_commit(self._store, key, base):
                raise Superseded(f"Another run has taken over from run {run_id}.")

        snapshot = table.load(left.intent.version)
        request = CommitRequest(
            run_id=run_id,
            transaction_id=self._ambient.ids.new(),
            groups=tuple(groups),
            max_deleted_ratio=self._rescue.max_deleted_ratio,
        )
        outcome = table.publish(snapshot, request, permit, self._rescue.prove)
        if isinstance(outcome, Unknown):
            self.problems.append(f"It is not known whether finished groups of run {left.intent.run_id} were committed: {outcome.why}")
        return outcome

    def _close(self, key: str, base: str, *, unknown: bool) -> None:
        """The intent of a takeover goes when its fate is known; else it says that nobody is at work on it."""
        with suppress(CompactorError):
            if unknown:
                say(self._store, base, Marker.FENCE, by=BY_OWNER)
                return
            self._store.delete([key])
            erase(self._store, base)

    def _note_versions(self, table: RecoverableTable) -> None:
        """Note for each fence that stands the newest version listed after it: once a newer one exists, nothing of that run can land."""
        fresh = [left for left in self._pending if left.fence is not None and not left.marked(Marker.SEEN)]
        if fresh:
            newest = table.references(max(left.intent.version for left in fresh), ()).newest
            for left in fresh:
                try:
                    say(self._store, left.base, Marker.SEEN, version=newest)
                except CompactorError as error:
                    self.problems.append(f"What run {left.intent.run_id} left waits for a later run: {error}")

    def _past(self, left: Left, newest: int) -> bool:
        """Whether nothing of the run can land any more, by versions."""
        words = said(self._store, left.base, Marker.SEEN)
        return words is not None and newest > int(words["version"])

    def _taken_by_another(self, left: Left, newest: int) -> bool:
        """Whether a run that may commit this one's finished groups may still do so. Asked now: its intent is older than the fence."""
        if left.fence in (None, BY_OWNER, BY_RECOVERY):
            return False
        name, _, nonce = str(left.fence).rpartition(".")
        try:
            if read_intent(self._store, f"{self._prefix}intents/{name}.json").nonce != nonce:
                return False
        except ObjectMissing:
            return False
        other = next((other for other in self._pending if other.name == left.fence), None)
        return other is None or other.fence is None or not self._past(other, newest)

    def _settle(self, table: RecoverableTable, left: Left, dry_run: bool) -> LeftRun:
        if self._just_swept(left):
            return _end(left, LeftState.SWEPT, _SWEPT)
        named = table.references(left.intent.version, left.stems)
        if not named.complete:
            return _end(left, LeftState.UNKNOWN, "The log was cleaned up since, so it cannot be told what of it was committed.")
        if self._taken_by_another(left, named.newest):
            return _end(left, LeftState.IN_FLIGHT, f"Another run ({left.fence}) may be committing what it had finished.")
        past = left.fence is not None and self._past(left, named.newest)
        over = [group for group in left.intent.groups if past or any(_name(key).startswith(f"{group.stem}-") for key in named.keys)]
        files, size_bytes = self._sweep(table, left.intent.groups if dry_run else over, named.keys, dry_run)
        if len(over) < len(left.intent.groups) or left.fence is None or not (past or left.intent.groups):
            why = "What it wrote is deleted once the table has another version, when nothing of it can land any more."
            return _end(left, LeftState.WAITING, why, files, size_bytes)
        state = LeftState.SWEPT if dry_run else self._finish(left)
        why = "Nothing of it is left." if state is LeftState.CLEARED else _SWEPT
        return _end(left, state, why, files, size_bytes)

    def _just_swept(self, left: Left) -> bool:
        """Whether it was swept, and not long enough ago for the second time."""
        swept = left.found.markers.get(f"{left.base}.{Marker.SWEPT}")
        return swept is not None and self._now_ms - swept.modified_ms < self._care.late_s * 1000

    def _sweep(self, table: RecoverableTable, groups: Sequence[IntentGroup], named: frozenset[str], dry_run: bool) -> tuple[int, int]:
        """Delete what lies under the stems of these groups and is not named. Files and bytes."""
        stems: dict[str, list[str]] = {}
        for group in groups:
            folder = table.object_key(group.beside).rpartition("/")[0]
            stems.setdefault(f"{folder}/" if folder else "", []).append(group.stem)
        doomed = [
            item
            for folder, names in stems.items()
            for stem in names
            for item in self._outputs.list(f"{folder}{stem}-")
            if item.key not in named
        ]
        doomed += spare_vectors(self._outputs, [group.stem for group in groups], named)
        begun = [item for folder, names in stems.items() for item in self._begun(folder, frozenset(names))]
        if not dry_run:
            self._outputs.delete([item.key for item in doomed])
            for item in begun:
                item.discard()
        return len(doomed) + len(begun), sum(item.size_bytes for item in doomed) + sum(item.size_bytes for item in begun)

    def _begun(self, folder: str, stems: frozenset[str]) -> Iterator[Unfinished]:
        """Uploads and temporary files of these groups. A store that does not let us look is a problem, not an obstacle."""
        try:
            for item in unfinished(self._outputs, f"{folder}part-"):
                if any(_name(item.key).startswith(f"{stem}-") for stem in stems):
                    yield item
        except CompactorError as error:
            self.problems.append(f"Unfinished uploads were not looked for: {error}")

    def _finish(self, left: Left) -> LeftState:
        """Say that it was swept; when that was said long enough ago, nothing more can come, and all that was kept about the run goes."""
        if self._care.late_s > 0 and not left.marked(Marker.SWEPT):
            say(self._store, left.base, Marker.SWEPT)
            return LeftState.SWEPT
        forget_results(self._store, results_folder(self._prefix, left.base))
        self._store.delete([left.found.key])
        erase(self._store, left.base)
        self._store.delete(list(left.found.markers))  # of earlier plans of that run, too
        return LeftState.CLEARED


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _end(left: Left, state: LeftState, why: str, files: int = 0, size_bytes: int = 0) -> LeftRun:
    return LeftRun(run_id=left.intent.run_id, state=state, why=why, files=files, bytes=size_bytes)
