"""What some groups of a plan take in all, and what they took: files, bytes, requests, seconds, memory, money. Pure.

By itself, because a stored plan is predicted anew for the machine, the prices and the groups that it is applied with.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.plan import RewriteGroup
from compactor.model.rewrite import RewriteResult
from compactor.model.usage import Usage
from compactor.planning.columns import Int64s
from compactor.planning.cost import Assumptions, proof_requests, run_seconds, task_seconds, write_requests


def predict(groups: pa.Table, parallelism: int, assumed: Assumptions) -> Usage:
    """`groups`: rows of Plan.groups. `parallelism`: tasks at once."""
    inputs, reads, writes = (_ints(groups, name) for name in ("input_bytes", "read_requests", "write_requests"))
    outputs, files = _ints(groups, "output_bytes"), _ints(groups, "output_files")
    copied = np.minimum(inputs, _later(groups, "copied_bytes"))
    merged = np.minimum(inputs - copied, _later(groups, "merged_bytes"))
    each = task_seconds(inputs - copied - merged, reads + writes, assumed)
    each += copied / assumed.copied_bytes_per_s + merged / assumed.merged_bytes_per_s
    again = np.zeros_like(reads)
    if assumed.proof == "full":
        total = np.maximum(1, inputs)
        again = proof_requests(outputs, files, _ints(groups, "input_rows"), (copied / total, merged / total), assumed)
        each += task_seconds(outputs + merged, again, replace(assumed, bytes_per_s=assumed.proof_bytes_per_s))
    usage = Usage(
        input_files=_sum(groups, "input_files"),
        input_bytes=int(inputs.sum()),
        output_files=int(files.sum()),
        output_bytes=int(outputs.sum()),
        requests=int(reads.sum() + writes.sum() + again.sum()),
        seconds=run_seconds(each, parallelism),
        peak_memory_bytes=pc.max(groups["memory_bytes"]).as_py() or 0,
        read_requests=int(reads.sum() + again.sum()),
        write_requests=int(writes.sum()),
        task_s=float(each.sum()),
        proof_requests=int(again.sum()),
        proof_bytes=int(outputs.sum()) if assumed.proof == "full" else 0,
        copied_bytes=int(copied.sum()),
        merged_bytes=int(merged.sum()),
    )
    return assumed.economy.priced(usage, held_bytes=usage.input_bytes)


def spent(so_far: Usage, group: RewriteGroup, result: RewriteResult, assumed: Assumptions) -> Usage:
    """`so_far` and what one rewritten group took. Reads are counted by the worker; writes are what outputs of their size need."""
    reads = result.requests + result.proof_requests
    sizes = np.array([output.size_bytes for output in result.outputs], dtype=np.int64)
    copies = result.copies
    sent = np.maximum(0, sizes - copies.stored_bytes // max(1, len(sizes)))  # what the store copied was not sent
    writes = int(write_requests(sent, np.ones_like(sent), assumed.part_bytes).sum()) + copies.store_requests
    return replace(
        so_far,
        input_files=so_far.input_files + len(group.inputs),
        input_bytes=so_far.input_bytes + result.bytes_read + copies.stored_bytes,
        output_files=so_far.output_files + len(result.outputs),
        output_bytes=so_far.output_bytes + int(sizes.sum()),
        requests=so_far.requests + reads + writes,
        read_requests=so_far.read_requests + reads,
        write_requests=so_far.write_requests + writes,
        task_s=so_far.task_s + result.seconds,
        proof_requests=so_far.proof_requests + result.proof_requests,
        proof_bytes=so_far.proof_bytes + result.proof_bytes_read,
        copied_bytes=so_far.copied_bytes + copies.bytes,
        merged_bytes=so_far.merged_bytes + copies.merged_bytes,
        peak_memory_bytes=max(so_far.peak_memory_bytes, result.peak_memory_bytes),
    )


def _ints(groups: pa.Table, name: str) -> Int64s:
    values: Int64s = pc.fill_null(groups[name], 0).to_numpy().astype("int64", copy=False)
    return values


def _later(groups: pa.Table, name: str) -> Int64s:
    """A column that plans of before lack."""
    return _ints(groups, name) if name in groups.column_names else np.zeros(groups.num_rows, dtype=np.int64)


def _sum(groups: pa.Table, name: str) -> int:
    return int(_ints(groups, name).sum())
