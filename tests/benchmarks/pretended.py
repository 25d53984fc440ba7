"""Runs of pretended work on Ray, in this process: `python -m tests.benchmarks.pretended ADDRESS TASKS SECONDS_EACH` prints one JSON object.

Tasks sleep, so that everything beyond what they sleep is start and scheduling, whatever else the machine does. ADDRESS is `local`, or that
of a cluster; `host` starts a cluster, prints its address and ends it when standard input is closed.
"""

from __future__ import annotations

import json
import pickle
import sys
import time

import pyarrow as pa

from compactor.ambient.ports import Clock
from compactor.ambient.system import SystemClock
from compactor.execution.on_ray import RayExecutor
from compactor.execution.work import Limits, Toolkit
from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped, InputFile, ReadSpec, RewriteJob, RewriteTask, TaskOutcome, WriteSpec
from compactor.model.storage import StorageOptions
from compactor.storage.base import ObjectStore

SLOTS = 2
MIB = 1024 * 1024
_BYTES_A_SECOND = 40 * MIB
_SMALL_TASK_S = 0.03


def sleep(_job: RewriteJob, task: RewriteTask, _store: ObjectStore, _clock: Clock) -> TaskOutcome:
    """Sleeps as long as the task's stem says; answers how long that really was."""
    started = time.perf_counter()
    time.sleep(float(task.stem))
    return GroupDropped(group_id=task.group_id, reason="cancelled", detail=str(time.perf_counter() - started))


def no_store(uri: str, _options: StorageOptions) -> ObjectStore:
    """What nobody reads."""
    from compactor.storage.memory import MemoryBucket, MemoryStore

    return MemoryStore(MemoryBucket(uri, SystemClock()), "")


def task(group_id: int, seconds: float) -> RewriteTask:
    """A group of forty files that pretends to take so long, of as many bytes as such a group has."""
    size = int(max(0.0, seconds - _SMALL_TASK_S) * _BYTES_A_SECOND)
    files = 40 if size else 1
    paths = (f"part-{group_id:05d}-{i:04d}-3f2a7c1e-9b5d-4e6f-8a7b-2c1d0e9f8a7b.snappy.parquet" for i in range(files))
    inputs = tuple(InputFile(file=FileKey(path=path), key=path, size_bytes=max(1, size // files)) for path in paths)
    return RewriteTask(
        group_id=group_id, attempt=0, inputs=inputs, output_prefix="", stem=str(seconds), output_files=1, memory_bytes=64 * MIB
    )


def pretend(address: str, tasks: int, seconds: float) -> dict[str, float]:
    """Seconds to start, beyond the work while running, and to close; and bytes that travel for a file."""
    executor = RayExecutor(
        clock=SystemClock(),
        address=address,
        limits=Limits(memory_bytes=256 * MIB, parallelism=SLOTS),
        toolkit=Toolkit(worker=sleep, open_store=no_store),
    )
    job = RewriteJob(root_uri="file:///nowhere", storage=StorageOptions(), read=ReadSpec(schema=pa.schema([])), write=WriteSpec())
    import ray  # noqa: F401 - imports do not count

    started = time.perf_counter()
    executor.begin()
    executor.capacity()
    ready = time.perf_counter()
    work = (task(number, seconds) for number in range(tasks))
    slept = [float(outcome.detail) for outcome in executor.run(job, work) if isinstance(outcome, GroupDropped)]
    ended = time.perf_counter()
    executor.close()
    assert len(slept) == tasks
    work_s = sum(slept) / SLOTS
    large = task(0, 1.0)
    return {
        "start_s": ready - started,
        "work_s": work_s,
        "scheduling_s": ended - ready - work_s,
        "close_s": time.perf_counter() - ended,
        "bytes_a_file": len(pickle.dumps(large)) / len(large.inputs),
    }


def host() -> None:
    """A cluster for others, until standard input ends."""
    import ray

    executor = RayExecutor(clock=SystemClock(), limits=Limits(memory_bytes=256 * MIB, parallelism=SLOTS))
    executor.capacity()
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
    executor.close()


if __name__ == "__main__":
    if sys.argv[1] == "host":
        host()
    else:
        from tests.benchmarks.pretended import pretend as by_name  # so that workers find what they run by its module

        print(json.dumps(by_name(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
