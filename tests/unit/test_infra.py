"""What is deployed fits what is built: versions, users and settings in Dockerfile and infra/ agree with the project."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.infra_tools import tool

from compactor.settings import load_settings

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
MANIFESTS = sorted(path for path in (ROOT / "infra").rglob("*.yaml") if "helm" not in path.parts)


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_name_this_version(path: Path) -> None:
    """Every image of ours in a manifest has the version of the project."""
    tags = re.findall(r"image: lakehouse-compactor:(\S+)", path.read_text(encoding="utf-8"))
    assert tags
    assert set(tags) == {VERSION}
    assert all(isinstance(document, dict) for document in documents(path))


def test_settings_in_manifests_are_settings(tmp_path: Path) -> None:
    """The settings files of the examples are accepted by the loader."""
    load_settings(ROOT / "infra/compose/lake.toml")
    config = next(item for item in documents(ROOT / "infra/kubernetes/cronjob.yaml") if item["kind"] == "ConfigMap")
    file = tmp_path / "lake.toml"
    file.write_text(config["data"]["lake.toml"])
    load_settings(file)


def test_the_image_is_pinned_and_not_root() -> None:
    """The image is built under the constraints, from a named Python, and runs as a user without rights."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--constraint constraints.txt" in text
    bases = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)", text, re.MULTILINE))
    assert bases == {"PYTHON_IMAGE": "python:3.11-slim-bookworm", "RUST_IMAGE": "rust:1.90-slim-bookworm"}
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {f"${{{name}}}" for name in bases}
    [needed] = re.findall(r'^rust-version = "1[.](\d+)"', (ROOT / "native/Cargo.toml").read_text(), re.MULTILINE)
    assert int(bases["RUST_IMAGE"].split(".")[1].split("-")[0]) >= int(needed)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:10001"]
    assert f"ARG VERSION={VERSION}" in text


@pytest.mark.skipif(tool("hadolint") is None, reason="hadolint is not installed")
def test_the_dockerfile_is_well_written(tmp_path: Path) -> None:
    """hadolint has nothing to say of it, and something of one that it should not like."""
    program, bad = tool("hadolint"), tmp_path / "Dockerfile"
    assert program is not None
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    bad.write_text("FROM debian:latest\nRUN apt-get install wget\n")
    assert subprocess.run([program, str(bad)], capture_output=True, timeout=60, check=False).returncode == 1


def test_containers_have_time_to_stop() -> None:
    """A container is killed later than the grace that the loop gives the table at hand (20 s)."""
    [compose] = documents(ROOT / "infra/compose/compose.yaml")
    assert compose["services"]["compactor"]["stop_grace_period"] == "45s"
    job = next(item for item in documents(ROOT / "infra/kubernetes/cronjob.yaml") if item["kind"] == "CronJob")
    assert job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 20


def test_policies_ask_for_no_more_than_needed() -> None:
    """Only the listed actions, only on the example's bucket and key; reading needs no right to write."""
    allowed = {}
    for name in ("policy", "policy-read-only"):
        policy = json.loads((ROOT / f"infra/aws/{name}.json").read_text())
        actions = [statement["Action"] for statement in policy["Statement"]]
        allowed[name] = {action for entry in actions for action in ([entry] if isinstance(entry, str) else entry)}
        assert not any("*" in action for action in allowed[name])
        assert all(statement["Resource"].startswith(("arn:aws:s3:::example-lake", "arn:aws:kms:")) for statement in policy["Statement"])
    assert allowed["policy-read-only"] == {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}
    writing = {"s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "kms:GenerateDataKey"}
    assert allowed["policy"] - allowed["policy-read-only"] == writing
