"""Work begins here while another place starts, and neither of them is given what the other has."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import tasks as kit

from compactor.ambient.system import SystemClock
from compactor.execution.meanwhile import Meanwhile
from compactor.execution.on_ray import RayExecutor
from compactor.execution.processes import ProcessPool
from compactor.execution.work import Limits, Toolkit
from compactor.model.rewrite import GroupDropped, RewriteJob, RewriteResult, RewriteTask, TaskOutcome


class TwoWorkers:
    """As a pool of two asks for tasks and answers, the earliest first."""

    def __init__(self) -> None:
        self.closed = 0

    def run(self, _job: RewriteJob, tasks: Iterator[RewriteTask]) -> Generator[TaskOutcome]:
        busy: list[RewriteTask] = []
        while True:
            while len(busy) < 2 and (task := next(tasks, None)) is not None:
                busy.append(task)
            if not busy:
                return
            yield GroupDropped(group_id=busy.pop(0).group_id, reason="cancelled", detail="")

    def close(self) -> None:
        self.closed += 1


def test_each_free_worker_is_told_and_no_task_is_taken_in_vain(tmp_path: Path) -> None:
    """Workers take tasks until the other place is there; then each that becomes free is told of with how many are busy, and takes none."""
    pool: Any = TwoWorkers()
    waiting, done, told = iter(list(kit.tasks(["ok"] * 9))), [], []
    meanwhile = Meanwhile(pool, waiting, lambda: len(done) < 3, told.append)
    for outcome in meanwhile.run(kit.job(tmp_path)):
        done.append(outcome.group_id)
    assert done == [0, 1, 2, 3]
    assert told == [1, 0]
    assert [task.group_id for task in waiting] == [4, 5, 6, 7, 8]
    assert pool.closed == 1


def test_all_of_it_may_be_done_before_the_other_place_is_there(tmp_path: Path) -> None:
    """Worker processes do everything when there is little of it, a lost worker's group included."""
    toolkit = Toolkit(worker=kit.behave, open_store=kit.open_empty)
    pool = ProcessPool(size=2, toolkit=toolkit, clock=SystemClock(), deadline_s=60)
    told: list[int] = []
    meanwhile = Meanwhile(pool, kit.tasks(["ok", "kill-once", "ok"]), lambda: True, told.append)
    outcomes = list(meanwhile.run(kit.job(tmp_path)))
    assert sorted(outcome.group_id for outcome in outcomes) == [0, 1, 2]
    assert all(isinstance(outcome, RewriteResult) for outcome in outcomes)


def test_a_cluster_gets_what_it_has_room_for_beside_busy_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a worker process is busy, one batch less than the machine has room for is sent to the cluster that has come up beside it."""
    toolkit = Toolkit(worker=kit.behave, open_store=kit.open_empty)
    executor = RayExecutor(clock=SystemClock(), limits=Limits(parallelism=2, memory_bytes=64 * kit.MIB), toolkit=toolkit)
    connection = SimpleNamespace(starting=True, there=False, wait=lambda: None)
    bounds: list[int] = []

    def fill(_job: object, sortie: Any, bound: int) -> None:
        bounds.append(bound)
        (tmp_path / "go").touch()
        list(sortie.waiting)

    monkeypatch.setattr(executor, "_connection", connection)
    monkeypatch.setattr(executor, "_fill", fill)
    for _ in executor.run(kit.job(tmp_path), kit.tasks(["ok", "wait", *["ok"] * 5])):
        connection.starting, connection.there = False, True
    assert bounds == sorted(bounds)
    assert set(bounds) == {1, 2}
