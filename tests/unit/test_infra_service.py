"""What is deployed with a service fits it: files, metric names, alerts and their documentation, times to stop, Terraform's form."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from compactor.service.config_file import read_config
from compactor.service.schedule import Hold
from compactor.service.telemetry.metrics import Metrics

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


def expressions() -> dict[str, str]:
    found = {alert["alert"]: alert["expr"] for alert in ALERTS}
    for panel in DASHBOARD["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found


@pytest.mark.parametrize(("where", "expression"), expressions().items())
def test_only_metrics_that_exist(where: str, expression: str) -> None:
    """Alerts and dashboards ask for series that the service has, and for labels' values that it can have."""
    used = set(re.findall(r"compactor_[a-z_]+", expression))
    assert used, where
    assert used <= series()
    states = re.findall(r'state="([a-z-]+)"', expression)
    assert set(states) <= {hold.value for hold in Hold}


def test_a_wrong_name_would_be_noticed() -> None:
    """The list of series is not everything."""
    assert "compactor_runs_total" in series()
    assert not {"compactor_runs", "compactor_files_total", "compactor_excess_files_total"} & series()


def test_every_alert_is_documented() -> None:
    """What it means and what to do, under its name."""
    for alert in ALERTS:
        assert f"| `{alert['alert']}` |" in OPERATIONS
    assert set(re.findall(r"\| `(Compactor\w+)` \|", OPERATIONS)) == {alert["alert"] for alert in ALERTS}


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


def test_terraform_is_in_form() -> None:
    """Where Terraform is installed, it finds nothing to reformat; that also parses the files."""
    binary = shutil.which("terraform")
    if binary is None:
        pytest.skip("terraform is not installed")
    done = subprocess.run(
        [binary, "fmt", "-check", "-diff", str(INFRA / "terraform")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
