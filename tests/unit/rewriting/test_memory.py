"""What a task took of memory, the native kernels' part of it included, and what becomes of a task that takes more than was promised."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from support import rewriting as kit

from compactor.ambient import VirtualClock
from compactor.execution.worker import run_task
from compactor.model.engine import EngineChoice
from compactor.model.rewrite import GroupDropped, InputFile, RewriteJob
from compactor.rewriting import memory, native
from compactor.rewriting.memory import MemoryMeter
from compactor.rewriting.native import KERNELS, STATUS
from compactor.storage.memory import MemoryStore

MIB = 1024 * 1024
needs_kernels = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")


def job_over(store: MemoryStore, files: int = 6, rows: int = 100_000) -> tuple[RewriteJob, list[InputFile]]:
    """Files whose pages are decompressed to be merged, about 780 KiB each then."""
    parts = [pa.table({"x": np.random.default_rng(i).integers(0, 2**60, rows)}) for i in range(files)]
    inputs = [kit.put(store, f"in-{i}.parquet", part, compression="gzip", use_dictionary=False) for i, part in enumerate(parts)]
    made = kit.job_of(parts[0].schema, compression="none")
    return replace(made, engine=EngineChoice(mode="fuse"), proof="counts"), inputs


@needs_kernels
def test_what_kernels_hold_is_in_what_a_task_took() -> None:
    """A merged row group, which Arrow never sees, is at least as large in the task's peak as in its output."""
    store = MemoryStore()
    made, inputs = job_over(store)
    task = kit.task_of(inputs, memory_bytes=512 * MIB)
    outcome = kit.rewritten(run_task(made, task, store, VirtualClock()))
    assert outcome.engine == "fuse"
    size = outcome.outputs[0].size_bytes
    assert size > 4 * MIB
    assert size <= outcome.peak_memory_bytes < 3 * size


@needs_kernels
def test_a_group_whose_merging_takes_more_than_was_promised_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says how much was taken and how much may be, and nothing of the group is left."""
    monkeypatch.setattr(memory, "_SLACK_BYTES", 0)
    store = MemoryStore()
    made, inputs = job_over(store)
    task = replace(kit.task_of(inputs), budget_bytes=2 * MIB)
    outcome = run_task(made, task, store, VirtualClock())
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "out-of-memory"
    assert "were allocated where 2.0 MiB may be" in outcome.detail
    assert len(kit.keys(store)) == len(inputs)
    roomy = replace(kit.task_of(inputs), budget_bytes=64 * MIB)
    assert kit.rewritten(run_task(made, roomy, store, VirtualClock())).engine == "fuse"


def test_what_was_never_held_at_once_is_not_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kernels held before Arrow took its memory counts beside what Arrow held then, and what was held before the task not at all."""
    kernels = SimpleNamespace(told=(30, 70), let_go=lambda: None)
    kernels.held_bytes = lambda: kernels.told
    arrow = SimpleNamespace(total_allocated_bytes=lambda: arrow.bytes, bytes=10)
    monkeypatch.setattr(native, "KERNELS", kernels)
    monkeypatch.setattr(memory, "pa", arrow)
    meter = MemoryMeter()
    kernels.told, arrow.bytes = (30, 130), 90
    meter.sample()
    assert meter.peak_bytes == 100
    kernels.told = (80, 80)
    meter.sample()
    assert meter.peak_bytes == 130
    kernels.told, arrow.bytes = (30, 120), 10
    meter.sample()
    meter.close()
    assert meter.peak_bytes == 130
