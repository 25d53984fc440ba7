"""What is deployed with a service fits it: files, metric names, alerts and their documentation, times to stop, Terraform's form."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support.infra_tools import COMPOSE_SCHEMA

from compactor.model.events import LeaseState
from compactor.model.run import RunStatus
from compactor.service.config_file import read_config
from compactor.service.schedule import Hold
from compactor.service.telemetry.metrics import Metrics
from compactor.units import parse_bytes

INFRA = Path(__file__).parents[2] / "infra"
OPERATIONS = (INFRA.parent / "docs/operations.md").read_text(encoding="utf-8")
ALERTS = yaml.safe_load((INFRA / "monitoring/alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((INFRA / "monitoring/dashboard.json").read_text())


def series() -> set[str]:
    """Names that a query may use."""
    names: set[str] = set()
    for family in Metrics().registry.collect():
        ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[family.type]
        names |= {f"{family.name}{end}" for end in ends}
    return names


VALUES = {
    ("compactor_tables", "state"): {hold.value for hold in Hold},
    ("compactor_leases_total", "state"): {state.value for state in LeaseState},
    ("compactor_runs_total", "status"): {status.value for status in RunStatus},
    ("compactor_groups_dropped_total", "reason"): {"proof"},
    ("compactor_task_seconds_total", "kind"): {"predicted", "actual"},
    ("compactor_run_files_total", "direction"): {"in", "out"},
    ("compactor_run_bytes_total", "direction"): {"in", "out"},
    ("compactor_run_requests_total", "kind"): {"read", "write"},
    ("compactor_budget_left", "bound"): {"gb_hours_per_day", "money_per_day"},
}


def labels_of(series_name: str) -> tuple[str, ...]:
    """The labels that the metric of a series has."""
    metrics = Metrics()
    for collector in set(vars(metrics).values()) - {metrics.registry}:
        if re.sub(r"_(total|bucket|sum|count)$", "", series_name) == getattr(collector, "_name", None):
            return tuple(collector._labelnames)
    return ()


def expressions() -> dict[str, str]:
    found = {alert["alert"]: alert["expr"] for alert in ALERTS}
    for panel in DASHBOARD["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found


@pytest.mark.parametrize(("where", "expression"), expressions().items())
def test_only_metrics_that_exist(where: str, expression: str) -> None:
    """Alerts and dashboards ask for series that the service has, by labels that these have, and for values that they can have."""
    used = set(re.findall(r"compactor_[a-z_]+", expression))
    assert used, where
    assert used <= series()
    for name, label, value in re.findall(r'(compactor_[a-z_]+)\{(\w+)="([^"]+)"\}', expression):
        assert value in VALUES[name, label], expression
    assert expression.count("{") == len(re.findall(r'compactor_[a-z_]+\{\w+="[^"]+"\}', expression)), "of a form that is not looked into"
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        for label in set(re.split(r"\W+", labels)) - {"le"}:
            assert any(label in labels_of(name) for name in used), expression


def test_a_wrong_name_would_be_noticed() -> None:
    """The list of series is not everything."""
    assert "compactor_runs_total" in series()
    assert not {"compactor_runs", "compactor_files_total", "compactor_excess_files_total"} & series()


def test_every_alert_is_documented() -> None:
    """What it means and what to do, in a section under its name, in the order of the file."""
    sections = dict(re.findall(r"^### (Compactor\w+)\n\n(.+?)\n(?=\n#)", OPERATIONS, re.MULTILINE | re.DOTALL))
    assert list(sections) == [alert["alert"] for alert in ALERTS]
    assert all(len(text.split()) > 25 for text in sections.values())


@pytest.mark.parametrize("name", ["helm/compactor/compactor.toml", "service/laptop.toml"])
def test_files_of_services_are_right(name: str) -> None:
    """The loader accepts them as they stand."""
    assert read_config(INFRA / name).http is not None


def test_there_is_time_to_stop() -> None:
    """A container is killed later than its file's grace and the time to leave after it."""
    [compose] = documents("compose.yaml")
    grace_s = int(compose["services"]["compactor"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > read_config(INFRA / "service/laptop.toml").pace.grace_s + 10


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((INFRA / "service" / name).read_text()))


def test_the_laptop_listens_to_itself() -> None:
    """Every published port is on loopback, and every file that is mounted is there."""
    [compose] = documents("compose.yaml")
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (INFRA / "service" / volume.split(":")[0]).resolve().is_file(), volume


def test_the_laptop_s_runs_take_place_on_its_ray() -> None:
    """The file names the container that runs Ray; the service and Ray have the same token, and both reach the store."""
    [compose] = documents("compose.yaml")
    run = read_config(INFRA / "service/laptop.toml").run
    ray = compose["services"][str(run["ray_address"]).removeprefix("ray://").partition(":")[0]]
    service = compose["services"]["compactor"]
    assert ray["entrypoint"][:3] == ["ray", "start", "--head"]
    assert ray["image"] == service["image"]
    assert ray["environment"] == service["environment"]
    assert ray["environment"]["RAY_AUTH_MODE"] == "token"
    store = compose["services"]["store"]["environment"]
    assert ray["environment"]["AWS_SECRET_ACCESS_KEY"] == store["MINIO_ROOT_PASSWORD"]
    memory = int(next(word for word in ray["entrypoint"] if word.startswith("--memory=")).partition("=")[2])
    assert parse_bytes(str(run["memory"])) * 2 <= memory
    assert service["depends_on"]["ray"] == {"condition": "service_healthy"}
    assert "ray" in ray["healthcheck"]["test"]


@pytest.mark.skipif(not COMPOSE_SCHEMA.is_file(), reason="the schema of compose files could not be fetched")
@pytest.mark.parametrize("name", ["compose/compose.yaml", "service/compose.yaml"])
def test_compose_files_are_in_form(name: str) -> None:
    """They pass the schema of the Compose Specification; one with a misspelt key does not."""
    body = yaml.safe_load((INFRA / name).read_text())
    schema = json.loads(COMPOSE_SCHEMA.read_text())
    jsonschema.validate(body, schema)
    body["services"]["compactor"]["imag"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, schema)


def test_terraform_is_in_form() -> None:
    """Where Terraform is installed, it finds nothing to reformat; that also parses the files."""
    binary = shutil.which("terraform")
    if binary is None:
        pytest.skip("terraform is not installed")
    done = subprocess.run(
        [binary, "fmt", "-check", "-diff", str(INFRA / "terraform")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
