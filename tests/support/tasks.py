"""Tasks whose behaviour is written in their stem, for tests of executors: they do no rewriting, they note what was done to them.

Module-level and free of test imports, so that worker processes and clusters can load it by name. A task leaves the file
`<stem>-a<attempt>.began` in the job's root when it begins and `.done` when it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.ambient import Clock
from compactor.errors import StorageUnavailable, TableCorrupt
from compactor.model.plan import FileKey
from compactor.model.rewrite import (
    Concat,
    GroupDropped,
    InputFile,
    OutputFile,
    ReadSpec,
    RewriteJob,
    RewriteResult,
    RewriteTask,
    TaskOutcome,
    WriteSpec,
)
from compactor.model.storage import StorageOptions
from compactor.storage.base import ObjectStore

MIB = 1024 * 1024


def job(root: Path | str) -> RewriteJob:
    """A job for tasks below `root`."""
    return RewriteJob(
        root_uri=str(root),
        storage=StorageOptions(),
        read=ReadSpec(schema=pa.schema([pa.field("id", pa.int64())])),
        write=WriteSpec(),
    )


def task(group_id: int, behaviour: str = "ok", *, size_bytes: int = MIB, memory_bytes: int = 64 * MIB) -> RewriteTask:
    """Behaviours: ok, raise, corrupt, storage, drop, kill (always), kill-once, exit, nap (4 s), sleep (60 s), memory, modules."""
    return RewriteTask(
        group_id=group_id,
        attempt=0,
        inputs=(InputFile(file=FileKey(path=f"in-{group_id}.parquet"), key=f"in-{group_id}.parquet", size_bytes=size_bytes),),
        output_prefix="",
        stem=f"g{group_id}.{behaviour}",
        output_files=1,
        memory_bytes=memory_bytes,
    )


def tasks(behaviours: Sequence[str], size_bytes: int = 64 * MIB) -> Iterator[RewriteTask]:
    """Tasks 0.. with these behaviours; the default size is large enough that none shares a remote task with another."""
    return (task(i, behaviour, size_bytes=size_bytes) for i, behaviour in enumerate(behaviours))


def real_work(root: Path, *, groups: int, files: int) -> tuple[RewriteJob, list[RewriteTask]]:
    """Groups of small Parquet files below `root`, for the real worker; outputs go to `out/`. The same every time."""
    root.mkdir()
    tasks = []
    for group in range(groups):
        inputs = []
        for i in range(files):
            key = f"in-{group}-{i}.parquet"
            ids = range(1000 * group + 100 * i, 1000 * group + 100 * i + 100)
            pq.write_table(pa.table({"id": list(ids), "name": [f"n{n % 7}" for n in ids]}), root / key)
            inputs.append(InputFile(file=FileKey(path=key), key=key, size_bytes=(root / key).stat().st_size, rows=100))
        tasks.append(replace(task(group), inputs=tuple(inputs), output_prefix="out/"))
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.string())])
    return replace(job(root), read=ReadSpec(schema=schema)), tasks


def behave(job: RewriteJob, task: RewriteTask, store: ObjectStore, clock: Clock) -> TaskOutcome:
    """The worker of these tests."""
    root = Path(job.root_uri)
    name = f"{task.stem}-a{task.attempt}"
    with (root / f"{name}.began").open("a") as began:
        began.write(f"{os.getpid()}\n")
    behaviour = task.stem.split(".", 1)[1]
    output = name
    match behaviour:
        case "raise":
            raise ValueError("a bug")
        case "corrupt":
            raise TableCorrupt("in.parquet is damaged.")
        case "storage":
            raise StorageUnavailable("in.parquet could not be read.")
        case "memory":
            raise MemoryError
        case "drop":
            return GroupDropped(group_id=task.group_id, reason="unsupported-file", detail="No such codec.")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill-once" if task.attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "sleep":
            _sleep(60, store)
        case "wait":
            while not (root / "go").exists():
                _sleep(0.1, store)
        case "doze":
            time.sleep(0.1)
        case "hog":
            held = bytearray(1024 * MIB)
            time.sleep(5 if len(held) else 0)
        case "modules":
            output = " ".join(sorted(sys.modules))
    (root / f"{name}.done").write_text("")
    return RewriteResult(
        group_id=task.group_id,
        attempt=task.attempt,
        engine="test",
        input_rows=1,
        outputs=(OutputFile(key=output, size_bytes=1, rows=1),),
        row_map=Concat(offsets=(0,)),
        seconds=clock.monotonic_s() * 0,
    )


def _sleep(seconds: float, store: ObjectStore) -> None:
    """Sleep as a worker does that asks its store for something now and then."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        time.sleep(0.02)
        store.head("in.parquet")


class EmptyStore:
    """A store in which nothing is; all that these tasks ask is whether something is there."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def head(self, key: str) -> None:
        return None


def open_empty(uri: str, options: StorageOptions) -> ObjectStore:
    """Opens an EmptyStore."""
    return EmptyStore(uri)  # type: ignore[return-value]


def no_store(uri: str, options: StorageOptions) -> ObjectStore:
    """Cannot open anything."""
    raise StorageUnavailable(f"{uri} does not answer.")
