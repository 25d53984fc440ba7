"""`--timings`: where a run's time went, in whichever threads and processes it was spent."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

import compactor
from compactor.execution import local
from compactor.settings import Settings

DRIVER = {"load", "list", "plan", "start", "rewrite", "commit", "checkpoint", "end", "other"}


def table(folder: Path) -> str:
    for i in range(12):
        write_deltalake(str(folder), pa.table({"n": list(range(i, i + 100)), "s": ["a", "b"] * 50}), mode="append")
    return str(folder)


@pytest.mark.parametrize("place", ["serial", "threads", "processes"])
def test_stages_of_driver_and_tasks_are_told(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's stages make up the run's time; tasks tell of theirs wherever they run, the proof included."""
    monkeypatch.setattr(local, "SMALL_PLAN_BYTES", 0 if place == "processes" else local.SMALL_PLAN_BYTES)
    executor = "serial" if place == "serial" else "local"
    run = compactor.run(table(tmp_path / "t"), settings=Settings(timings=True, executor=executor, engine="transcode"))
    assert run.timings is not None
    driver, tasks = dict(run.timings.driver), dict(run.timings.tasks)
    assert set(driver) == DRIVER
    assert sum(driver.values()) == pytest.approx(run.seconds, abs=0.05)
    assert {"read", "open", "decode", "hash", "encode", "write", "prove", "other"} <= set(tasks)
    assert min([*driver.values(), *tasks.values()]) >= 0
    (record,) = compactor.runs(str(tmp_path / "t"))
    assert record.run.timings is None


def test_copied_row_groups_are_a_stage_of_their_own(tmp_path: Path) -> None:
    """What is copied as it was encoded is not taken for encoding."""
    run = compactor.run(table(tmp_path / "t"), settings=Settings(timings=True, executor="serial", engine="stitch", proof="counts"))
    assert run.timings is not None
    assert "copy" in dict(run.timings.tasks)
    assert "decode" in dict(run.timings.tasks)  # the stage in which engines make fragments


def test_nobody_is_told_who_did_not_ask(tmp_path: Path) -> None:
    """By default there are no timings, and tasks bring none along."""
    seen: list[object] = []
    run = compactor.run(table(tmp_path / "t"), settings=Settings(executor="serial"), sink=seen.append)
    assert run.timings is None
    assert [event.result.stages for event in seen if hasattr(event, "result")] == [()]  # type: ignore[attr-defined]


def test_the_command_prints_them(tmp_path: Path) -> None:
    """As text beside the summary, as an object in --json."""
    from compactor_cli.main import app

    text = CliRunner().invoke(app, ["run", table(tmp_path / "a"), "--timings", "--executor", "serial"])
    assert text.exit_code == 0
    assert "where the time of the run went" in text.stdout
    assert "where the time of its tasks" in text.stdout
    told = CliRunner().invoke(app, ["run", table(tmp_path / "b"), "--timings", "--executor", "serial", "--json"])
    assert set(json.loads(told.stdout)["timings"]) == {"driver", "tasks"}
