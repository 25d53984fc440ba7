"""The port between the pipeline and a table format. A second format fits beside `delta/` by implementing Table; the pipeline stays.

A Table is bound to one TableRef and one ObjectStore opened at the table's root. It never rewrites data files itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from compactor.model.commit import CommitOutcome, CommitRequest, Committed
from compactor.model.plan import Plan, RewriteGroup
from compactor.model.recovery import References
from compactor.model.rewrite import InputFile, ReadSpec, WriteSpec
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.verification import ReadFiles, RecordedRewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a table is not compacted. `reason` is a stable code (`feature:icebergCompatV1`), `why` a sentence with what to do."""

    reason: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWarning:
    """Something about the table that its owner should know; never a reason to stop by itself."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the format says of compacting this snapshot."""

    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[TableWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One version as its log entry tells it. `run_id` is set on our own commits."""

    version: int
    timestamp_ms: int | None
    operation: str
    engine: str | None
    run_id: str | None
    files_removed: int | None
    files_added: int | None
    bytes_removed: int | None
    bytes_added: int | None


Permit = Callable[[], None]
"""Says, by raising or not, whether a run may still commit."""


def always() -> None:
    """The permit of a caller who needs none."""


class Table(Protocol):
    """One table."""

    @property
    def ref(self) -> TableRef: ...

    def load(self, version: int | None = None) -> Snapshot:
        """The latest version, or `version` (time travel). Raises NotATable, TableCorrupt, StorageError, UsageError (no such version)."""
        ...

    def refresh(self, snapshot: Snapshot) -> Snapshot:
        """The latest version, from what `snapshot` already knows and the tail of the log; `snapshot` itself when nothing is newer."""
        ...

    def gate(self, snapshot: Snapshot) -> Gate:
        """May this snapshot be compacted? No I/O beyond the log entries that name writers."""
        ...

    def target_bytes(self, snapshot: Snapshot) -> int | None:
        """The target file size that the table itself asks for, if any."""
        ...

    def compression(self, snapshot: Snapshot) -> float:
        """Bytes that a compaction makes of each byte that others wrote, learned from earlier runs; 1 when nothing is known.

        The same again right after a run that was planned with it, so that a second run sees the table with the same eyes.
        """
        ...

    def needs_footers(self, snapshot: Snapshot) -> bool:
        """Whether only the footers of files show which of them may be rewritten, so that all candidates must be looked at."""
        ...

    def read_spec(self, snapshot: Snapshot) -> ReadSpec: ...

    def write_spec(self, snapshot: Snapshot) -> WriteSpec: ...

    def object_key(self, path: str) -> str:
        """The key below the table's root of a live file's path as the log writes it. Raises TableRefused for a path outside the root."""
        ...

    def unnameable(self, snapshot: Snapshot) -> Mapping[str, str]:
        """Live files, by path, whose objects no store can be asked for by their names, each with a sentence that says why."""
        ...

    def beside(self, snapshot: Snapshot, first: str, stem: str) -> str:
        """A path, as the log would write it, in whose folder the outputs of a group belong whose first input is `first`. `stem`: unique
        to the group."""
        ...

    def inputs(self, snapshot: Snapshot, plan: Plan) -> Callable[[RewriteGroup], tuple[InputFile, ...]]:
        """A function from a group of `plan` to its inputs as a worker needs them; what it needs is read here, once for the whole plan.

        Raises TableCorrupt for damage that can be seen before anything is written, StorageError.
        """
        ...

    def publish(self, snapshot: Snapshot, request: CommitRequest, permit: Permit = always, prove: ReadFiles | None = None) -> CommitOutcome:
        """Commit what can be committed of `request`, planned against `snapshot`, judging again against every version that others took.

        permit: called before every attempt, after the log was listed for it and before its outputs are looked for; what it raises
        (Superseded) passes through, and nothing has landed then. Recovery rests on that order: see coordination/recovery.py.
        prove: reads files, to prove groups of which others deleted rows meanwhile.
        Raises StorageError only when it is known that nothing landed.
        """
        ...

    def checkpoint_due(self, snapshot: Snapshot, version: int) -> bool: ...

    def recent_writes(self, snapshot: Snapshot, since_ms: int) -> Mapping[int, bool]:
        """Ids of the partitions that others wrote to since then, by the store's own dates of what says so; True where they did more than
        append."""
        ...

    def rivals(self, since_version: int) -> Sequence[TableWarning]:
        """Commits after `since_version` that were built on files which commits of ours since then had replaced: damage by others."""
        ...

    def find_run(self, run_id: str) -> Committed | None:
        """What the retained log holds of this run: its commits added up, or None."""
        ...

    def references(self, after_version: int, stems: Collection[str]) -> References:
        """What the log says, in versions after `after_version`, of files whose names begin with one of `stems`; lists the log first."""
        ...

    def rewrites(self, first: int | None = None, last: int | None = None) -> Iterator[RecordedRewrite]:
        """Our own commits among the retained versions first to last, oldest first. Raises UsageError when the log lacks one of these."""
        ...

    def rewrite_at(self, version: int) -> RecordedRewrite:
        """The rewrite that this version is, whoever made it. Raises UsageError when it is none."""
        ...

    def history(self, limit: int | None = None) -> Sequence[HistoryEntry]:
        """Newest first."""
        ...


class Checkpointer(Protocol):
    """Writes a checkpoint of a table at a version, which has so many live files. Raises CompactorError, also when memory is short; the
    caller turns that into an event, never a failed run."""

    def checkpoint(self, ref: TableRef, version: int, files: int = 0) -> None: ...


__all__ = ["Checkpointer", "Gate", "HistoryEntry", "Permit", "Refusal", "Table", "TableWarning", "always"]
