"""Where groups are rewritten begins to start before the run is planned, but only where there is something to do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from compactor.ambient.system import SystemClock
from compactor.execution.base import Capacity, Executor
from compactor.execution.serial import SerialExecutor
from compactor.model.rewrite import RewriteJob, RewriteTask, TaskOutcome
from compactor.model.run import RunStatus
from compactor.model.survey import Survey
from compactor.pipeline import run_table
from compactor.ports import Ports
from compactor.settings import Settings
from compactor.storage.local import LocalStore
from compactor.wiring import wire

SETTINGS = Settings(executor="serial", target_size="1MiB")


class Told:
    """A serial executor that notes what it is told."""

    name = "serial"

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._inner = SerialExecutor(clock=SystemClock())

    def begin(self) -> None:
        self._notes.append("begin")

    def capacity(self) -> Capacity:
        return self._inner.capacity()

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        self._notes.append("run")
        yield from self._inner.run(job, tasks)

    def close(self) -> bool:
        self._notes.append("close")
        return self._inner.close()


def table(folder: Path, files: int) -> str:
    for i in range(files):
        write_deltalake(str(folder), pa.table({"n": [i]}), mode="append")
    return str(folder)


def noted_ports(uri: str, notes: list[str]) -> Ports:
    ports = wire(LocalStore(uri), SETTINGS)

    def make() -> Executor:
        notes.append("make")
        return Told(notes)

    return replace(ports, executor=make, survey=noting(ports.survey, notes))


def noting(survey: Callable[..., Survey], notes: list[str]) -> Callable[..., Survey]:
    def noted(*arguments: object) -> Survey:
        notes.append("survey")
        return survey(*arguments)

    return noted


def test_it_begins_before_the_survey_and_is_used_once(tmp_path: Path) -> None:
    """One executor is made, begins before anything is surveyed and planned, runs the groups and is closed once."""
    notes: list[str] = []
    run = run_table(noted_ports(table(tmp_path / "t", 12), notes), SETTINGS.policy())
    assert run.status is RunStatus.COMMITTED
    assert notes == ["make", "begin", "survey", "run", "close"]


def test_nothing_begins_where_nothing_is_to_be_done(tmp_path: Path) -> None:
    """A run with nothing to do, and a dry run, make no executor."""
    notes: list[str] = []
    assert run_table(noted_ports(table(tmp_path / "idle", 1), notes), SETTINGS.policy()).status is RunStatus.NOTHING_TO_DO
    assert run_table(noted_ports(table(tmp_path / "t", 12), notes), SETTINGS.policy(), dry_run=True).status is RunStatus.PLANNED
    assert notes == ["survey", "survey"]


def test_what_was_begun_in_vain_is_closed(tmp_path: Path) -> None:
    """A run that fails after its executor began leaves nothing started behind."""
    notes: list[str] = []

    def refuse(*_arguments: object) -> Survey:
        from compactor.errors import StorageUnavailable

        raise StorageUnavailable("gone")

    ports = replace(noted_ports(table(tmp_path / "t", 12), notes), survey=refuse)
    assert run_table(ports, SETTINGS.policy()).status is RunStatus.FAILED
    assert notes == ["make", "begin", "close"]
