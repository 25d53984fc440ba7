"""What rewriting the groups of a table really takes: each group in a fresh worker process, its peak read from the kernel.

The worker is warmed up with a tiny group first, so that its imports and thread stacks do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import convert_to_deltalake

from compactor.ambient.cores import PipeCores
from compactor.execution.processes import WorkerProcess
from compactor.execution.work import Toolkit
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile, RewriteJob, RewriteTask, TaskOutcome
from compactor.pipeline import prepare
from compactor.settings import Settings
from compactor.wiring import open_ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A group's predicted and real peak, and what came of it."""

    predicted_bytes: int
    actual_bytes: int
    outcome: TaskOutcome


def as_table(folder: Path) -> str:
    """Make the Parquet files of a folder a Delta table."""
    convert_to_deltalake(str(folder))
    return str(folder)


def tasks_of(uri: str, settings: Settings) -> tuple[RewriteJob, list[RewriteTask]]:
    """The job and tasks that a run of this table would give its workers; outputs go to a folder of their own."""
    ports = open_ports(uri, settings)
    prepared = prepare(ports, settings.policy())
    table, plan = ports.table, prepared.plan
    read, write = table.read_spec(prepared.snapshot), table.write_spec(prepared.snapshot)
    inputs_of = table.inputs(prepared.snapshot, plan)
    tasks = [
        RewriteTask(
            group_id=group.group_id,
            attempt=0,
            inputs=inputs_of(group),
            output_prefix="_outputs/",
            stem=f"g{group.group_id}",
            output_files=group.output_files,
            memory_bytes=group.memory_bytes,
            budget_bytes=ports.resources().memory_bytes,
        )
        for group in plan
    ]
    return RewriteJob(root_uri=uri, storage=settings.storage(), read=read, write=write), tasks


def peaks(uri: str, settings: Settings, most: int = 2) -> Iterator[Peak]:
    """Predicted and real peaks of the first groups of a plan of the table."""
    job, tasks = tasks_of(uri, settings)
    for task in tasks[:most]:
        yield peak(job, task)


def peak(job: RewriteJob, task: RewriteTask) -> Peak:
    """One group in a worker process of its own."""
    cores = PipeCores.fresh(2)
    worker = WorkerProcess(Toolkit(), cores)
    try:
        _outcome(worker, job, _warm_up(Path(job.root_uri), job))
        before = _status(worker.pid, "VmRSS")
        Path(f"/proc/{worker.pid}/clear_refs").write_text("5")  # the high-water mark starts anew
        outcome = _outcome(worker, job, task)
        return Peak(predicted_bytes=task.memory_bytes, actual_bytes=_status(worker.pid, "VmHWM") - before, outcome=outcome)
    finally:
        worker.stop()
        cores.close()


def _outcome(worker: WorkerProcess, job: RewriteJob, task: RewriteTask) -> TaskOutcome:
    worker.assign(job, task)
    while (outcome := worker.receive()) is None:
        pass
    return outcome


def _warm_up(folder: Path, job: RewriteJob) -> RewriteTask:
    """A task that reads one row of every column: nulls."""
    data = folder / "_outputs/warm-up.parquet"
    data.parent.mkdir(exist_ok=True)
    nulls = [pa.nulls(1, field.type) for field in job.read.schema]
    pq.write_table(pa.Table.from_arrays(nulls, schema=job.read.schema), data)
    key = str(data.relative_to(folder))
    file = InputFile(file=FileKey(path=key), key=key, size_bytes=data.stat().st_size)
    return RewriteTask(
        group_id=0, attempt=0, inputs=(file,), output_prefix="_outputs/", stem="warm", output_files=1, memory_bytes=64 * 1024 * 1024
    )


def _status(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
