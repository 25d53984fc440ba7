"""How one task is performed, wherever it runs: its store is opened, the worker is called, and whatever happens becomes one outcome.

Also what happens to a task whose worker was lost: another attempt under another number (so under other output names), up to a cap, then a
drop with its reason. Must never let a task's own failure escape as an exception: one bad group may not end a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from compactor.ambient.ports import Clock
from compactor.errors import ProofFailed, StorageError, TableCorrupt
from compactor.model.rewrite import GroupDropped, InputFile, RewriteJob, RewriteTask, TaskOutcome
from compactor.model.storage import StorageOptions
from compactor.storage.base import ObjectStore

Worker = Callable[[RewriteJob, RewriteTask, ObjectStore, Clock], TaskOutcome]
OpenStore = Callable[[str, StorageOptions], ObjectStore]

MAX_TRIES = 3
"""How often a group is tried when its worker is lost, before it is dropped."""


def rewrite(job: RewriteJob, task: RewriteTask, store: ObjectStore, clock: Clock) -> TaskOutcome:
    """The real worker; imported when first needed, so that an executor costs nothing to make."""
    from compactor.execution.worker import run_task
    from compactor.storage.external import ExternalReads, is_external

    def lies_elsewhere(file: InputFile) -> bool:
        """As only a table has files or deletes whose user allows that."""
        return is_external(file.key) or (file.deletes is not None and file.deletes.key is not None and is_external(file.deletes.key))

    if any(map(lies_elsewhere, task.inputs)):
        store = ExternalReads(store, job.storage)
    return run_task(job, task, store, clock)


def open_root(uri: str, options: StorageOptions) -> ObjectStore:
    """The real store of a root, opened where the task runs, with credentials found there."""
    from compactor.storage import open_store

    return open_store(uri, options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """What a task needs besides itself. Both are module-level functions, so that they travel to other processes by name."""

    worker: Worker = rewrite
    open_store: OpenStore = open_root


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may take of the place. None: what the place safely offers.

    memory_bytes: on one machine the whole run's, on a cluster one task's; parallelism: tasks at once; deadline_s: for one attempt at one
    task.
    """

    memory_bytes: int | None = None
    parallelism: int | None = None
    deadline_s: float = 3600.0


def perform(toolkit: Toolkit, job: RewriteJob, task: RewriteTask, store: ObjectStore, clock: Clock) -> TaskOutcome:
    """One attempt at one group. Never raises an Exception: what goes wrong is a GroupDropped with its reason."""
    try:
        return toolkit.worker(job, task, store, clock)
    except Exception as error:  # noqa: BLE001 - any failure of a group must stay its own
        return dropped_by(task, error)


def dropped_by(task: RewriteTask, error: BaseException) -> GroupDropped:
    """The drop that an error of the worker amounts to."""
    detail = str(error) or type(error).__name__
    match error:
        case StorageError():
            reason = "storage"
        case TableCorrupt():
            reason = "corrupt-file"
        case ProofFailed():
            reason = "proof"
        case MemoryError():
            reason = "out-of-memory"
        case _:
            reason, detail = "failed", f"Group {task.group_id} failed unexpectedly: {type(error).__name__}: {detail}"
    return GroupDropped(group_id=task.group_id, reason=reason, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A task on its way: `tries` counts the attempts begun, this one included; `reserve_bytes` is the memory asked of the place for it."""

    task: RewriteTask
    tries: int = 1
    reserve_bytes: int = 0

    def after_loss(self, reason: str, why: str) -> Attempt | GroupDropped:
        """What follows when this attempt's worker was lost: the next attempt, or the drop once the cap is reached."""
        if self.tries >= MAX_TRIES:
            detail = f"Group {self.task.group_id} was tried {self.tries} times; last: {why}"
            return GroupDropped(group_id=self.task.group_id, reason=reason, detail=detail)
        return replace(self, task=replace(self.task, attempt=self.task.attempt + 1), tries=self.tries + 1)


def deadline_drop(task: RewriteTask, deadline_s: float) -> GroupDropped:
    """The drop of a task that ran longer than it may."""
    detail = f"Group {task.group_id} ran longer than {deadline_s:g} s and was stopped."
    return GroupDropped(group_id=task.group_id, reason="deadline", detail=detail)


def input_bytes(task: RewriteTask) -> int:
    """Bytes that a task reads, as the log says."""
    return sum(file.size_bytes for file in task.inputs)
