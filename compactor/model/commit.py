"""What the pipeline asks a table to commit, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped, RewriteResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedGroup:
    """A group ready to commit: what it removes and what it adds."""

    inputs: tuple[FileKey, ...]
    result: RewriteResult
    generation: int
    finished_for_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitBounds:
    """When finished groups are committed, while others are still rewritten.

    files, bytes, groups: a commit removes at most so many files and bytes, and holds at most so many groups; a single group may be larger.
    interval_s: how long the oldest waits; looked at whenever a group finishes, and a group takes no longer than the task deadline.
    Small commits lose little to a conflict, and a writer that read what they remove has less to do again.
    """

    groups: int = 1000
    files: int = 25_000
    bytes: int = 64 * 1024**3
    interval_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """One commit. `transaction_id` is unique to it and is written into the log, so that a lost reply can be resolved.

    purge: its purpose is to get rid of deleted rows and dropped columns, which the log then says. compression: that of its plan.
    planned: groups of the whole run, so that a log that holds only some of them tells a run that was cut short; 0 when nobody counted.
    max_deleted_ratio: up to which share rows of an output may be marked as deleted that others deleted meanwhile; None: never.
    """

    run_id: str
    transaction_id: str
    groups: tuple[FinishedGroup, ...]
    purge: bool = False
    compression: float = 1.0
    planned: int = 0
    max_deleted_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The log has it, as `version`. `groups` are the group ids in it; `dropped` lost inputs to other writers and are not in it.

    rows: without `masked_rows`, which others deleted while their files were rewritten, and which outputs mark as deleted; `vectors` are
    the keys of the objects that say so.
    """

    version: int
    attempts: int
    groups: tuple[int, ...]
    files_removed: int
    files_added: int
    bytes_removed: int
    bytes_added: int
    rows: int
    dropped: tuple[GroupDropped, ...] = ()
    masked_rows: int = 0
    vectors: tuple[str, ...] = ()

    @property
    def was_contended(self) -> bool:
        """Whether groups may have been judged again, and so deletes of others followed in vain."""
        return self.attempts > 1 or bool(self.masked_rows or self.dropped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Nothing was committed: every group lost an input, the table changed too much, or the attempts ran out. Outputs may be deleted."""

    dropped: tuple[GroupDropped, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It is not known whether the commit landed; nothing of it may be deleted."""

    version: int
    why: str


CommitOutcome = Committed | Conflict | Unknown
