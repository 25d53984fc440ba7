"""The Airflow DAG and the Step Functions state machine: they know every exit code, agree on what it means, and lead somewhere."""

from __future__ import annotations

import copy
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from support.modules import module_at

from compactor import errors

ROOT = Path(__file__).parents[2]
CODES = " ".join(re.findall(r"^\| ([0-9, ]+) \|", (ROOT / "docs/cli.md").read_text(), re.MULTILINE))
DOCUMENTED = {int(code) for code in re.findall(r"\d+", CODES)}
MACHINE = json.loads((ROOT / "infra/step-functions/compact.asl.json").read_text())


class Again(Exception):
    """Stands in for AirflowException, after which Airflow tries again."""


class Never(Again):
    """Stands in for AirflowFailException, after which it does not."""


def ours() -> set[int]:
    """Exit codes of the command: of every error there is, and of SIGTERM."""
    kinds = [errors.CompactorError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return {0, 143, *(kind.exit_code for kind in kinds)}


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, with the few names of Airflow that it uses; `dag.compact` is the task's function, `dag.tasks` what its task was given."""
    given: dict[str, Any] = {}

    def task(**options: Any) -> Callable[[Any], Any]:
        given["options"] = options

        def decorate(function: Any) -> Any:
            given["function"] = function
            return SimpleNamespace(expand=lambda **mapped: given.update(mapped=mapped))

        return decorate

    sdk: Any = ModuleType("airflow.sdk")
    sdk.task, sdk.dag = task, lambda **_: lambda function: function
    sdk.get_current_context = lambda: {"ti": SimpleNamespace(run_id="scheduled__2026-01-01T00:00:00+00:00", map_index=3, try_number=2)}
    exceptions: Any = ModuleType("airflow.sdk.exceptions")
    exceptions.AirflowException, exceptions.AirflowFailException = Again, Never
    for name, module in (("airflow", ModuleType("airflow")), ("airflow.sdk", sdk), ("airflow.sdk.exceptions", exceptions)):
        monkeypatch.setitem(sys.modules, name, module)
    loaded: Any = module_at("compact_tables", ROOT / "infra/airflow/compact_tables.py")
    loaded.compact, loaded.given = given["function"], given
    yield loaded


@pytest.fixture(scope="module")
def outcomes() -> dict[int | None, str]:
    """What the state machine does after an exit code on its first try, played by moto from where the ECS task has failed: `again`, `ticket`
    or `page`. None: the task was never started."""
    part = copy.deepcopy(MACHINE["States"]["EachTable"]["ItemProcessor"])
    del part["ProcessorConfig"]
    part["StartAt"], states = "ReadFailure", part["States"]
    for name, said in (("Wait", "again"), ("Ticket", "ticket"), ("Page", "page")):
        states[name] = {"Type": "Pass", "Parameters": {"said": said}, "End": True}
    for name in ("Compact", "Count", "Done", "Failed"):
        del states[name]
    codes = [*(ours() - {0}), 137, None]
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        client = boto3.client("stepfunctions", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
        role = "arn:aws:iam::111122223333:role/x"
        assert client.create_state_machine(name="whole", definition=json.dumps(MACHINE), roleArn=role)
        machine = client.create_state_machine(name="part", definition=json.dumps(part), roleArn=role)["stateMachineArn"]
        return {code: _played(client, machine, code) for code in codes}


def _played(client: Any, machine: str, code: int | None) -> str:
    stopped = {"Containers": [{"Name": "compactor", "ExitCode": code}], "StoppedReason": "Essential container in task exited"}
    cause = "Capacity is unavailable at this time." if code is None else json.dumps(stopped)
    given = {"table": "s3://lake/t", "try": 1, "failure": {"Error": "States.TaskFailed", "Cause": cause}}
    run = client.start_execution(stateMachineArn=machine, name=f"after-{code}", input=json.dumps(given))["executionArn"]
    while (found := client.describe_execution(executionArn=run))["status"] == "RUNNING":
        time.sleep(0.02)
    return str(json.loads(found["output"])["said"])


def test_every_exit_code_has_a_meaning(dag: ModuleType) -> None:
    """The command's codes, no more and no less, are those of the DAG, of the state machine and of the documentation."""
    named = re.findall(r'"NumericEquals": (\d+)', json.dumps(MACHINE["States"]["EachTable"]))
    assert set(dag.EXIT_CODES) == ours() == DOCUMENTED
    assert {int(code) for code in named} | {0} == ours()
    assert len(named) == len(set(named))


def test_both_say_the_same(dag: ModuleType, outcomes: dict[int | None, str]) -> None:
    """Airflow and Step Functions try the same codes again, and tell the same people of the others."""
    meant = {code: act for code, (act, _) in dag.EXIT_CODES.items() if code}
    assert outcomes == meant | {137: "again", None: "again"}
    assert {code for code, act in meant.items() if act == "page"} == {errors.TableCorrupt.exit_code, errors.ProofFailed.exit_code}


@pytest.mark.parametrize("code", [0, 3, 4, 8, 137])
def test_a_task_ends_as_the_command_says(dag: ModuleType, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task runs the command under a name of its own, and succeeds, is tried again, or fails for good by its exit code."""
    program = tmp_path / "compactor"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    expected = {0: None, 3: (Never, "ticket: "), 4: (Again, "ticket: "), 8: (Never, "page: "), 137: (Again, "ticket: ")}[code]
    try:
        dag.compact("s3://lake/t")
        ended = None
    except Again as error:
        ended = (type(error), str(error).partition("s3:")[0])
    assert ended == expected
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("run s3://lake/t --json --run-id scheduled__2026-01-01T00:00:00+00:00.3.2 ")


def test_options_of_the_examples_are_options(dag: ModuleType) -> None:
    """Both give `run` options that it has, and names of runs that it takes."""
    from compactor.coordination.documents import check_run_id
    from compactor.settings import load_settings

    check_run_id("scheduled__2026-01-01T00:00:00+00:00.3.2")
    [command] = re.findall(r"States.Array\((.*?), States.Format", json.dumps(MACHINE))
    words = re.findall(r"'([^']+)'", command)
    assert words[:2] == ["run", "--json"] and words[-1] == "--run-id"
    for options in (dag.OPTIONS, words[2:-1]):
        flags = {name.removeprefix("--").replace("-", "_"): value for name, value in zip(options[::2], options[1::2], strict=True)}
        load_settings(flags=flags)


def test_every_state_is_reached_and_leads_on() -> None:
    """No state is named that is not there, and none is there that nothing leads to; each ends or goes on."""
    for machine in (MACHINE, MACHINE["States"]["EachTable"]["ItemProcessor"]):
        states = machine["States"]
        named = {machine["StartAt"]}
        for state in states.values():
            own = {key: value for key, value in state.items() if key != "ItemProcessor"}
            following = set(re.findall(r'"(?:Next|Default)": "(\w+)"', json.dumps(own)))
            assert following or state.get("End") or state["Type"] in ("Fail", "Succeed"), state
            named |= following
        assert named == set(states)
