"""Keeps Delta Lake tables read-optimised while other engines keep writing.

The verbs, in the order of a run; each takes the URI of a table and optional Settings:

    load      the table's newest (or an older) version            -> Snapshot
    assess    what that version looks like to a reader            -> Health
    plan      what a run would rewrite, and why not the rest      -> Plan
    explain   why a file or a partition is or is not in it        -> FileExplanation or PartitionExplanation
    run       do it, and commit                                   -> Run
    verify    whether our commits kept every row, from the files   -> Verification
    clean     what runs that did not end left behind               -> Cleaned
    doctor    past damage, and whether the store holds what the log names -> Diagnosis
    vacuum    delete files that nobody can need any more           -> Vacuumed
    history   what the log says happened to the table             -> list[HistoryEntry]
    runs      what the journal says of our own runs               -> list[RunRecord]
    scan      every table below a prefix, with health and decision -> iterator of ScanEntry

A plan can be kept in a file (write_plan, read_plan), compared with another (diff_plans) and applied later, elsewhere, once (run, `plan=`).

`run` raises nothing for a table that was refused, a conflict or a failure: they are the Run's status, reason and exit code. The others
raise the errors of `compactor.errors`. Importing this package is cheap; what a verb needs is imported when it is first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compactor.errors import (
    AccessDenied,
    BucketMissing,
    CompactorError,
    ConflictGaveUp,
    CredentialsMissing,
    ExecutionFailed,
    Interrupted,
    NotATable,
    ObjectArchived,
    ObjectMissing,
    ProofFailed,
    SettingsError,
    StorageError,
    StorageUnavailable,
    TableCorrupt,
    TableRefused,
    UsageError,
    WrongRegion,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compactor.maintenance.installation import Installation
    from compactor.model.events import Sink
    from compactor.model.findings import Diagnosis, Finding
    from compactor.model.health import Health
    from compactor.model.plan import Plan, SavedPlan
    from compactor.model.recovery import Cleaned
    from compactor.model.run import Run, RunRecord
    from compactor.model.snapshot import Snapshot
    from compactor.model.vacuum import OnSwept, Vacuumed
    from compactor.model.verification import CommitVerdict, Verification
    from compactor.planning.diff import PlanDiff
    from compactor.planning.explain import FileExplanation, PartitionExplanation
    from compactor.service.discovery import ScanEntry
    from compactor.settings import Settings, load_settings
    from compactor.tables.base import HistoryEntry

__version__ = "0.1.0"


def load(uri: str, *, settings: Settings | None = None, version: int | None = None) -> Snapshot:
    """The table's newest version, or `version`. Raises NotATable, TableCorrupt, StorageError, UsageError."""
    from compactor import verbs

    return verbs.load(uri, settings, version)


def assess(table: str | Snapshot, *, settings: Settings | None = None) -> Health:
    """What a table looks like to a reader, by URI or from a loaded Snapshot. Raises as `load` does."""
    from compactor import verbs

    return verbs.assess_table(table, settings)


def plan(uri: str, *, settings: Settings | None = None) -> Plan:
    """What a run would do now, with predictions and a reason for every file left out. Raises as `load` does, and TableRefused."""
    from compactor import verbs

    return verbs.plan_table(uri, settings)


def write_plan(uri: str, path: str, *, settings: Settings | None = None) -> SavedPlan:
    """Plan, and keep the plan in a file of JSON lines that any machine can apply, once. Raises as `plan` does, and UsageError."""
    from compactor import verbs

    return verbs.write_plan(uri, path, settings)


def read_plan(path: str) -> SavedPlan:
    """A plan that was kept in a file. Raises UsageError when it is none or damaged, TableRefused when its format is newer."""
    from compactor import verbs

    return verbs.read_plan(path)


def diff_plans(old: SavedPlan | str, new: SavedPlan | str) -> PlanDiff:
    """What the newer of two kept plans (or their files) does otherwise. Raises as `read_plan` does."""
    from compactor import verbs

    return verbs.diff_plans(old, new)


def explain(
    uri: str, *, settings: Settings | None = None, file: str | None = None, partition: str | None = None
) -> FileExplanation | PartitionExplanation:
    """Why a file (path as in the log, or name), a partition (`date=2026-01-01/region=eu`) or the table is or is not in the next plan.

    Raises as `plan` does, and UsageError when there is no such file or partition.
    """
    from compactor import verbs

    return verbs.explain(uri, settings, file, partition)


def run(
    uri: str,
    *,
    settings: Settings | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
    plan: SavedPlan | str | None = None,
    sink: Sink | None = None,
) -> Run:
    """Compact the table. Every end is a Run; nothing is raised for a refusal, a conflict or a failure.

    run_id: a name of your own for this run; when a run of that name has landed before, its result is returned and nothing is done.
    dry_run: plan only; nothing is written.
    plan: apply this plan, or the one in this file, and its policy, instead of planning; when it has landed before, that run's result is
      returned. Groups whose files have changed since are dropped (`drifted`).
    sink: called with each Event of the run (see compactor/model/events.py), in the caller's thread.
    """
    from compactor import verbs

    return verbs.run(uri, settings, run_id=run_id, dry_run=dry_run, sink=sink, saved=plan)


def runs(uri: str, *, settings: Settings | None = None, limit: int | None = None) -> list[RunRecord]:
    """Our own runs that wrote something, newest first: how they ended, what they saved, predicted and actual figures.

    Raises StorageError, TableCorrupt, TableRefused when a newer version kept one.
    """
    from compactor import verbs

    return verbs.runs(uri, settings, limit)


def clean(uri: str, *, settings: Settings | None = None, dry_run: bool = False) -> Cleaned:
    """See to what runs that did not end cleanly left, as the next run would, but commit nothing: a dead run's finished groups are given up.

    Deletes only what no version of the log names or ever can. dry_run: say what would be deleted in the end, and write nothing.
    Raises as `load` does.
    """
    from compactor import verbs

    return verbs.clean(uri, settings, dry_run=dry_run)


def verify(
    uri: str,
    *,
    settings: Settings | None = None,
    version: int | None = None,
    first: int | None = None,
    last: int | None = None,
    on_commit: Callable[[CommitVerdict], None] | None = None,
) -> Verification:
    """Compare, by rows, what rewrites removed with what they added, from the files that are still there. Writes nothing.

    version: this one, whoever made it; else our own commits from version `first` to `last`, by default all that the log retains.
    on_commit: called with each verdict as it is known.
    Raises as `load` does, UsageError when the log has no such version or it is no rewrite, ExecutionFailed.
    """
    from compactor import verbs

    return verbs.verify(uri, settings, (version, first, last), on_commit)


def doctor(
    uri: str, *, settings: Settings | None = None, data: bool = False, on_finding: Callable[[Finding], None] | None = None
) -> Diagnosis:
    """Examine a table: commits that removed what was not live, live files that are missing or of another size, deletion vectors,
    checkpoints, orphans. Writes nothing.

    data: read every live file, too, and hold its rows against its statistics.
    on_finding: called with each finding as it is made.
    Raises as `load` does, and ExecutionFailed.
    """
    from compactor import verbs

    return verbs.doctor(uri, settings, data=data, on_finding=on_finding)


def vacuum(
    uri: str,
    *,
    settings: Settings | None = None,
    retention: str | float | None = None,
    dry_run: bool = True,
    allow_short_retention: bool = False,
    on_swept: OnSwept | None = None,
) -> Vacuumed:
    """Delete files that no version within the retention needs, and no run that has not ended; only what vacuum engines of Delta would.

    retention: seconds, or a duration such as `7d`; by default the table's own (`delta.deletedFileRetentionDuration`, a week).
    dry_run: say what would be deleted, and write nothing.
    allow_short_retention: the retention may be shorter than the table's. Readers and writers at work may lose files that they need.
    on_swept: called after each batch of deletes.
    Raises as `load` does; UsageError for a retention that is too short, TableRefused, ConflictGaveUp.
    """
    from compactor import verbs
    from compactor.maintenance.vacuum import Terms
    from compactor.units import parse_seconds

    seconds = None if retention is None else parse_seconds(retention)
    return verbs.vacuum(uri, settings, Terms(retention_s=seconds, allow_short=allow_short_retention, dry_run=dry_run), on_swept)


def installation(*, settings: Settings | None = None) -> Installation:
    """This installation: versions, executors that are there, memory and processors that a run may use."""
    from compactor import verbs

    return verbs.installation(settings)


def history(uri: str, *, settings: Settings | None = None, limit: int | None = None) -> list[HistoryEntry]:
    """The retained log, newest first. Raises as `load` does."""
    from compactor import verbs

    return verbs.history(uri, settings, limit)


def scan(uri: str, *, settings: Settings | None = None) -> Iterator[ScanEntry]:
    """The table at `uri`, or every table below it, with health and decision; neighbours in other formats are named and passed over.

    A table that cannot be looked at is an entry (FailedTable), not an exception. Raises UsageError when there is nothing at all.
    """
    from compactor import verbs

    return verbs.scan(uri, settings)


def __getattr__(name: str) -> Any:
    if name in ("Settings", "load_settings"):
        from compactor import settings

        return getattr(settings, name)
    raise AttributeError(f"module 'compactor' has no attribute {name!r}")


__all__ = [
    "assess",
    "diff_plans",
    "doctor",
    "explain",
    "history",
    "installation",
    "load",
    "plan",
    "read_plan",
    "run",
    "runs",
    "scan",
    "vacuum",
    "verify",
    "clean",
    "write_plan",
    "Settings",
    "load_settings",
    "CompactorError",
    "UsageError",
    "SettingsError",
    "TableRefused",
    "NotATable",
    "ConflictGaveUp",
    "StorageError",
    "AccessDenied",
    "CredentialsMissing",
    "ObjectArchived",
    "BucketMissing",
    "ObjectMissing",
    "StorageUnavailable",
    "WrongRegion",
    "TableCorrupt",
    "ExecutionFailed",
    "ProofFailed",
    "Interrupted",
    "__version__",
]
