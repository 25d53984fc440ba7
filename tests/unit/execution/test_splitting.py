"""Groups that run out of memory are split, each part under names of its own, and come back as one result or one drop."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support import tasks as kit

from compactor.ambient.system import SystemClock
from compactor.execution.base import Capacity
from compactor.execution.local import LocalExecutor
from compactor.execution.splitting import MOST_FRUGAL, merged, run_splitting, split
from compactor.execution.work import Limits, Toolkit
from compactor.model.plan import FileKey
from compactor.model.rewrite import (
    Concat,
    GroupDropped,
    InputFile,
    OutputFile,
    RewriteJob,
    RewriteResult,
    RewriteTask,
    TaskOutcome,
)

MIB = 1024 * 1024


def group(group_id: int, sizes: list[int], outputs: int = 1) -> RewriteTask:
    files = [InputFile(file=FileKey(path=f"{group_id}-{i}"), key=f"{group_id}-{i}", size_bytes=size) for i, size in enumerate(sizes)]
    return RewriteTask(
        group_id=group_id, attempt=0, inputs=tuple(files), output_prefix="", stem=f"s{group_id}", output_files=outputs, memory_bytes=MIB
    )


class Narrow:
    """An executor whose place has room for so many input bytes at a time; notes what it was given. Ten rows a file."""

    name = "narrow"

    def __init__(self, fits: Callable[[RewriteTask], bool]) -> None:
        self.fits = fits
        self.given: list[RewriteTask] = []

    def begin(self) -> None:
        """Nothing takes long to start."""

    def capacity(self) -> Capacity:
        return Capacity(parallelism=1, memory_per_task_bytes=MIB)

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        for task in tasks:
            self.given.append(task)
            if any(file.key.endswith("bad") for file in task.inputs):
                yield GroupDropped(group_id=task.group_id, reason="corrupt-file", detail="broken")
            elif self.fits(task):
                yield done(task)
            else:
                yield GroupDropped(group_id=task.group_id, reason="out-of-memory", detail="too much")

    def close(self) -> bool:
        return True


def done(task: RewriteTask) -> RewriteResult:
    rows = 10 * len(task.inputs)
    output = OutputFile(key=f"{task.stem}-a{task.attempt}", size_bytes=1, rows=rows)
    offsets = tuple(range(0, rows, 10))
    return RewriteResult(
        group_id=task.group_id, attempt=task.attempt, engine="t", input_rows=rows, outputs=(output,), row_map=Concat(offsets=offsets)
    )


def outcomes(executor: Narrow, *tasks: RewriteTask) -> dict[int, TaskOutcome]:
    found = list(run_splitting(executor, kit.job("/nowhere"), tasks))
    assert len(found) == len({outcome.group_id for outcome in found})
    return {outcome.group_id: outcome for outcome in found}


def total(task: RewriteTask) -> int:
    return sum(file.size_bytes for file in task.inputs)


def test_a_group_too_large_is_halved_until_it_fits() -> None:
    """Parts keep the order of inputs and rows, have names of their own, and make one result of the group; others are not touched."""
    executor = Narrow(lambda task: total(task) <= 3)
    found = outcomes(executor, group(0, [1, 1]), group(1, [1] * 10), group(2, [3]))
    result = found[1]
    assert isinstance(result, RewriteResult)
    assert result.row_map == Concat(offsets=tuple(range(0, 100, 10))) and result.input_rows == 100
    assert len({output.key for output in result.outputs}) == len(result.outputs) == 4
    tried = [task for task in executor.given if task.stem == "s1"]
    assert len({task.attempt for task in tried}) == len(tried) and all(b.attempt - a.attempt >= 3 for a, b in pairwise(tried))
    assert result.attempt > 0
    assert isinstance(found[0], RewriteResult) and found[0].attempt == 0 and isinstance(found[2], RewriteResult)


def test_a_single_file_gets_smaller_buffers_and_is_then_given_up() -> None:
    """Nothing is tried twice as it was; the drop says what to do."""
    executor = Narrow(lambda task: task.frugality == 2)
    assert isinstance(outcomes(executor, group(0, [5]))[0], RewriteResult)
    executor = Narrow(lambda task: False)
    drop = outcomes(executor, group(0, [5]))[0]
    assert isinstance(drop, GroupDropped) and drop.reason == "out-of-memory" and "--memory" in drop.detail and drop.file == "0-0"
    assert [task.frugality for task in executor.given] == list(range(MOST_FRUGAL + 1))


def test_a_part_that_fails_otherwise_drops_the_group() -> None:
    """One bad half is the end of the group, under its own id and reason; other groups go on."""
    files = group(7, [2, 2])
    bad = InputFile(file=FileKey(path="bad"), key="bad", size_bytes=2)
    mixed = RewriteTask(**{**{f: getattr(files, f) for f in files.__slots__}, "inputs": (files.inputs[0], bad)})

    class Late(Narrow):
        def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
            for task in tasks:
                if len(task.inputs) > 1:
                    yield GroupDropped(group_id=task.group_id, reason="out-of-memory", detail="too much")
                else:
                    yield from super().run(job, [task])

    drop = outcomes(Late(lambda task: True), mixed, group(8, [1]))[7]
    assert isinstance(drop, GroupDropped) and (drop.group_id, drop.reason) == (7, "corrupt-file")


def test_outputs_are_shared_out_by_bytes() -> None:
    """A group of several outputs is cut so that each half makes its share of them, one at least."""
    first, second = split(group(0, [6, 2, 2, 2], outputs=4))
    assert ([f.size_bytes for f in first.inputs], first.output_files) == ([6], 2)
    assert second.output_files == 2
    assert [part.output_files for part in split(group(0, [1, 1], outputs=1))] == [1, 1]


def test_lazy_tasks_stay_lazy() -> None:
    """Tasks are taken one by one, and closing ends it."""
    taken: list[int] = []

    def source() -> Iterator[RewriteTask]:
        for i in range(100):
            taken.append(i)
            yield group(i, [1])

    running = run_splitting(Narrow(lambda task: True), kit.job("/nowhere"), source())
    next(running)
    running.close()
    assert taken == [0]


def test_merging_adds_up() -> None:
    """Row maps shift by the rows before."""
    both = merged(group(3, [1, 1]), [done(group(0, [1, 1])), done(group(0, [1]))])
    assert (both.group_id, both.input_rows, both.row_map) == (3, 30, Concat(offsets=(0, 10, 20)))


def test_a_worker_that_outgrows_its_limit_ends_itself(tmp_path: Path) -> None:
    """A task that takes a gigabyte where it may use little loses its worker, at once and without another try, and nothing else."""
    executor = LocalExecutor(
        clock=SystemClock(), limits=Limits(parallelism=1), mode="processes", toolkit=Toolkit(worker=kit.behave, open_store=kit.open_empty)
    )
    try:
        found = {o.group_id: o for o in executor.run(kit.job(tmp_path), [kit.task(0, "hog"), kit.task(1)])}
    finally:
        executor.close()
    drop = found[0]
    assert isinstance(drop, GroupDropped) and drop.reason == "out-of-memory" and "336 MiB" in drop.detail
    assert isinstance(found[1], RewriteResult)
    assert len(list(tmp_path.glob("*hog*.began"))) == 1


@pytest.mark.parametrize("sizes", [[1], [1, 1], [5, 1, 1], [0, 0, 0]])
def test_a_split_loses_nothing(sizes: list[int]) -> None:
    """Every input is in exactly one part, in order, and no part is what was there before."""
    task = group(0, sizes)
    parts = split(task)
    assert [file for part in parts for file in part.inputs] == list(task.inputs)
    assert task not in parts
