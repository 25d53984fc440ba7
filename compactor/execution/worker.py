"""The worker's entry: one attempt at one group, wherever it runs. What goes wrong with the group is a value, never an exception."""

from __future__ import annotations

import pyarrow as pa

from compactor.ambient.ports import Clock
from compactor.errors import ObjectMissing, ObjectTooShort, StorageError
from compactor.model.rewrite import GroupDropped, RewriteJob, RewriteTask, TaskOutcome
from compactor.rewriting.native_reader import reads_natively
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.rewrite import rewrite
from compactor.storage.base import ObjectStore


def run_task(job: RewriteJob, task: RewriteTask, store: ObjectStore, clock: Clock) -> TaskOutcome:
    """Rewrite the group. When it fails, what this attempt wrote has been taken back as far as the store allowed.

    Output i is `{output_prefix}{stem}-a{attempt}-{i:05d}.{codec}.parquet`. Uses at most about task.memory_bytes beyond what the process
    held before.
    """
    try:
        return rewrite(job, task, store, clock)
    except FileProblem as problem:
        return GroupDropped(group_id=task.group_id, reason=problem.reason, detail=str(problem), file=problem.path)
    except ObjectMissing as error:
        detail = f"{error} The table's log says that it is live."
        return GroupDropped(group_id=task.group_id, reason="corrupt-file", detail=detail, file=_file_in(str(error), task))
    except ObjectTooShort as error:
        return GroupDropped(group_id=task.group_id, reason="corrupt-file", detail=str(error), file=_file_in(str(error), task))
    except StorageError as error:
        return GroupDropped(group_id=task.group_id, reason="storage", detail=str(error), file=_file_in(str(error), task))
    except (MemoryError, pa.ArrowMemoryError) as error:
        detail = f"Group {task.group_id} needed more memory than there was: {error}"
        return GroupDropped(group_id=task.group_id, reason="out-of-memory", detail=detail)


def _file_in(message: str, task: RewriteTask) -> str | None:
    """The input that an error of the store names, if it names one."""
    named = [file for file in task.inputs if file.key in message]
    return max(named, key=lambda file: len(file.key)).file.path if named else None


def proves_natively(job: RewriteJob) -> bool:
    """Whether the proof of a job reads rows without the interpreter, as far as files can be read so."""
    return job.proof_reader == "auto" and reads_natively(job.read)
