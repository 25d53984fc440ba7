"""Makes rewrite jobs and tasks over files in a memory store, for tests of what workers do."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap64

from compactor.ambient import VirtualClock
from compactor.execution.worker import run_task
from compactor.model.engine import EngineChoice
from compactor.model.plan import FileKey
from compactor.model.rewrite import Deletes, InputFile, ReadSpec, RewriteJob, RewriteResult, RewriteTask, TaskOutcome, WriteSpec
from compactor.model.storage import StorageOptions
from compactor.rewriting.budget import Budget
from compactor.rewriting.rewrite import rewrite
from compactor.storage.base import ObjectStore
from compactor.storage.memory import MemoryStore

MIB = 1024 * 1024
MAGIC = 1681511377
DECODE = EngineChoice(mode="transcode")
STREAMING = Budget(fetch=1, whole_file=0, batch=512, row_group=4096, stream=MIB)
"""A budget under which even tiny files are streamed by ranges in small batches into many row groups."""


def parquet(table: pa.Table, **options: object) -> bytes:
    """The table as a Parquet file."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, **{"store_schema": False, **options})
    return buffer.getvalue().to_pybytes()


def bitmap(positions: Iterable[int]) -> bytes:
    """Deleted positions as a serialised bitmap with its magic number."""
    return struct.pack("<I", MAGIC) + BitMap64(positions).serialize()


def inline_deletes(positions: Sequence[int]) -> Deletes:
    return Deletes(inline=bitmap(positions), cardinality=len(set(positions)))


def framed(data: bytes) -> bytes:
    """A bitmap as it lies in a deletion vector file."""
    return struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))


def put(store: ObjectStore, key: str, table: pa.Table, deletes: Deletes | None = None, **options: object) -> InputFile:
    """Store the table as an input file."""
    data = parquet(table, **options)
    store.put(key, data)
    return InputFile(file=FileKey(path=key), key=key, size_bytes=len(data), deletes=deletes)


def job_of(schema: pa.Schema, choice: EngineChoice = DECODE, **write: object) -> RewriteJob:
    """A job that decodes everything, unless another choice of engines is given."""
    read, spec = ReadSpec(schema=schema), WriteSpec(**write)
    return RewriteJob(root_uri="memory://table", storage=StorageOptions(), read=read, write=spec, engine=choice)


def task_of(inputs: Sequence[InputFile], outputs: int = 1, memory_bytes: int = 64 * MIB) -> RewriteTask:
    return RewriteTask(
        group_id=7, attempt=1, inputs=tuple(inputs), output_prefix="out/", stem="s", output_files=outputs, memory_bytes=memory_bytes
    )


def run(store: MemoryStore, job: RewriteJob, inputs: Sequence[InputFile], outputs: int = 1) -> TaskOutcome:
    return run_task(job, task_of(inputs, outputs), store, VirtualClock())


def streamed(store: MemoryStore, job: RewriteJob, inputs: Sequence[InputFile], outputs: int = 1) -> RewriteResult:
    """The same under the smallest budget."""
    return rewrite(job, task_of(inputs, outputs), store, VirtualClock(), STREAMING)


def rewritten(outcome: TaskOutcome) -> RewriteResult:
    assert isinstance(outcome, RewriteResult), outcome
    return outcome


def read_back(store: ObjectStore, result: RewriteResult) -> pa.Table:
    """The rows of the outputs, one after the other."""
    return pa.concat_tables([pq.read_table(pa.BufferReader(store.get(output.key))) for output in result.outputs])


def keys(store: ObjectStore) -> list[str]:
    return [meta.key for meta in store.list("")]
