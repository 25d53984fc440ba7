"""What some groups of a plan take in all: files, bytes, requests, seconds, memory, money. Pure; the figures of each group are in the plan.

By itself, because a stored plan is predicted anew for the machine, the prices and the groups that it is applied with.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.usage import Economy, Usage
from compactor.planning.columns import Int64s
from compactor.planning.cost import Assumptions, run_seconds, task_seconds


def predict(groups: pa.Table, parallelism: int, assumed: Assumptions) -> Usage:
    """`groups`: rows of Plan.groups. `parallelism`: tasks at once."""
    inputs, reads, writes = (_ints(groups, name) for name in ("input_bytes", "read_requests", "write_requests"))
    each = task_seconds(inputs, reads + writes, assumed)
    usage = Usage(
        input_files=_sum(groups, "input_files"),
        input_bytes=int(inputs.sum()),
        output_files=_sum(groups, "output_files"),
        output_bytes=_sum(groups, "output_bytes"),
        requests=int(reads.sum() + writes.sum()),
        seconds=run_seconds(each, parallelism),
        peak_memory_bytes=pc.max(groups["memory_bytes"]).as_py() or 0,
        read_requests=int(reads.sum()),
        write_requests=int(writes.sum()),
        task_s=float(each.sum()),
    )
    return in_money(usage, assumed.economy)


def in_money(usage: Usage, economy: Economy) -> Usage:
    """`usage` with what its surroundings make of it: bytes over a region's border, replaced files held until vacuum, and the cost."""
    crossing = usage.input_bytes + usage.output_bytes if economy.crosses_regions else 0
    placed = replace(usage, cross_region_bytes=crossing, held_bytes=usage.input_bytes, held_s=economy.retention_s)
    return placed if economy.prices is None else replace(placed, cost=economy.prices.cost(placed))


def _ints(groups: pa.Table, name: str) -> Int64s:
    values: Int64s = pc.fill_null(groups[name], 0).to_numpy().astype("int64", copy=False)
    return values


def _sum(groups: pa.Table, name: str) -> int:
    return int(_ints(groups, name).sum())
