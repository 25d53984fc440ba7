"""Run: one attempt on one table from plan to commit, as it is reported and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from compactor.model.engine import Copies, DecodedBecause
from compactor.model.fingerprint import GroupFingerprint, Proven
from compactor.model.rewrite import GroupDropped
from compactor.model.usage import Usage

RUN_FORMAT_VERSION = 1


class RunStatus(StrEnum):
    """How a run ended."""

    COMMITTED = "committed"
    PLANNED = "planned"  # a dry run that found something to do
    NOTHING_TO_DO = "nothing-to-do"
    REFUSED = "refused"
    CONFLICT = "conflict"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds by stage: of the driver, whose stages follow each other, and of all tasks together, threads beside each other added up."""

    driver: tuple[tuple[str, float], ...]
    tasks: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The outcome of a run. `version` is the last version it committed, else the version it looked at (None when none was loaded).

    `exit_code` is what the CLI returns for it (see errors.py); files, bytes and rows count what was committed.
    masked_rows: rows besides that others deleted while their files were rewritten, and that the outputs mark as deleted.
    why: what was wrong with the table. plan_id: of the stored plan that was applied, if one was. predicted, actual: what the plan said that
    the run takes, and what it took (groups that were rewritten and then lost to other writers included); None when nothing was planned.
    proof: how groups were proven before they were committed, the least of it; None when nothing was rewritten. proof_readers: who
    read files for it (see RewriteResult). fingerprints: of the committed groups, where they were proven in full, made by
    fingerprint_algorithm.
    copies, decoded: what was copied as it was encoded, and why the rest was not; of all groups that were rewritten.
    timings: where the time went, for who asked; not kept in the journal. not_yet: files that were left out of the plan for the time being,
    as too young or in partitions that others write to.
    """

    run_id: str
    table: str
    status: RunStatus
    reason: str | None = None
    version: int | None = None
    files_removed: int = 0
    files_added: int = 0
    bytes_removed: int = 0
    bytes_added: int = 0
    rows: int = 0
    masked_rows: int = 0
    groups_planned: int = 0
    groups_committed: int = 0
    groups_dropped: tuple[GroupDropped, ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    warnings: tuple[str, ...] = ()
    exit_code: int = 0
    why: str | None = None
    plan_id: str | None = None
    predicted: Usage | None = None
    actual: Usage | None = None
    proof: Proven | None = None
    proof_readers: str | None = None
    fingerprint_algorithm: str | None = None
    fingerprints: tuple[GroupFingerprint, ...] = ()
    copies: Copies = field(default_factory=Copies)
    decoded: tuple[DecodedBecause, ...] = ()
    timings: Timings | None = None
    not_yet: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as the journal keeps it. ended_ms: by the clock of who ran it, for people only; by: program and machine."""

    run: Run
    ended_ms: int
    by: str | None = None
