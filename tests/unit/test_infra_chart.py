"""The Helm chart, what was rendered from it, and other manifests: fit for Kubernetes, safe, and in step with the service and with Ray."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support import chart, ray_schema
from support.infra_tools import tool

from compactor.service.config import ServiceConfig
from compactor.service.config_file import parse_config
from compactor.service.opening import room_of

INFRA = Path(__file__).parents[2] / "infra"
CONSTRAINTS = dict(line.split("==") for line in (INFRA.parent / "constraints.txt").read_text().split())
FILES = sorted((INFRA / "kubernetes").glob("*.yaml"))
OBJECTS = {path.name: chart.documents(path.read_text(encoding="utf-8")) for path in FILES}
SERVICE = OBJECTS["service.yaml"]


def config() -> ServiceConfig:
    return parse_config(chart.kind(SERVICE, "ConfigMap")["data"]["compactor.toml"], "the chart's file")


def pods(one: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pod templates in an object, each with where it is."""
    spec = one.get("spec", {})
    match one["kind"]:
        case "Deployment":
            yield "Deployment", spec["template"]
        case "CronJob":
            yield "CronJob", spec["jobTemplate"]["spec"]["template"]
        case "RayCluster" | "RayJob":
            cluster = spec.get("rayClusterSpec", spec)
            yield f"{one['kind']} head", cluster["headGroupSpec"]["template"]
            yield from ((f"{one['kind']} {group['groupName']}", group["template"]) for group in cluster["workerGroupSpecs"])


PODS = {f"{name} {place}": pod for name, objects in OBJECTS.items() for one in objects for place, pod in pods(one)}


def test_what_was_rendered_is_of_this_chart() -> None:
    """The rendered file names the digest of the chart as it is: who changes one renders the other (`make manifests`)."""
    assert chart.RENDERED.read_text(encoding="utf-8").startswith(chart.header())


@pytest.mark.skipif(tool("helm") is None, reason="helm is not installed")
def test_helm_renders_the_same() -> None:
    """Helm finds nothing wrong with the chart, and makes of it what is in the rendered file."""
    helm = tool("helm")
    assert helm is not None
    done = subprocess.run([helm, "lint", "--strict", str(chart.CHART)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert chart.documents(chart.render(helm)) == SERVICE


@pytest.mark.skipif(tool("helm") is None, reason="helm is not installed")
def test_values_are_checked(tmp_path: Path) -> None:
    """A misspelt value, no worker at all, and a second [run] are refused; without Ray there is neither a cluster nor its address."""
    helm = tool("helm")
    assert helm is not None
    file = tmp_path / "own.toml"
    file.write_text('state = "s3://bucket/y"\n[run]\nexecutor = "local"\n[[source]]\nprefix = "s3://bucket/t"\n')
    for wrong in (["--set", "replica=3"], ["--set", "ray.workers.min=0"], ["--set-file", f"config={file}"]):
        with pytest.raises(subprocess.CalledProcessError):
            chart.render(helm, *wrong)
    alone = chart.documents(chart.render(helm, "--set", "ray.enabled=false,podMonitor.enabled=true", "--set-file", f"config={file}"))
    assert {one["kind"] for one in alone} >= {"Deployment", "PodMonitor"}
    assert "ray" not in yaml.safe_dump(alone).lower()
    assert parse_config(chart.kind(alone, "ConfigMap")["data"]["compactor.toml"], "own").run == {"executor": "local"}


def test_probes_and_times_fit_the_file() -> None:
    """Probes ask what is answered, where it is answered; the token is mounted where the file looks; there is time to stop."""
    http, pod = config().http, chart.kind(SERVICE, "Deployment")["spec"]["template"]["spec"]
    assert http is not None
    [container] = pod["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": http.port}]
    assert [container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")] == ["/healthz"] * 2 + ["/readyz"]
    assert str(Path(str(http.token_file)).parent) in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert pod["terminationGracePeriodSeconds"] > config().pace.grace_s + 10
    assert chart.kind(SERVICE, "Service")["spec"]["ports"][0]["port"] == http.port


def test_the_service_finds_its_cluster() -> None:
    """The file names the head's service, which KubeRay calls after the cluster; the token is the one that KubeRay makes; a task's memory
    and the tasks at once fit what the workers can become."""
    cluster = chart.kind(SERVICE, "RayCluster", "compactor-ray")
    run, [workers] = config().run, cluster["spec"]["workerGroupSpecs"]
    assert run["ray_address"] == f"ray://{cluster['metadata']['name']}-head-svc:10001"
    ports = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]
    assert {"name": "client", "containerPort": 10001} in ports
    [container] = chart.kind(SERVICE, "Deployment")["spec"]["template"]["spec"]["containers"]
    surroundings = {one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"] for one in container["env"]}
    assert surroundings["RAY_AUTH_MODE"] == cluster["spec"]["authOptions"]["mode"] == "token"
    assert surroundings["RAY_AUTH_TOKEN"] == {"name": cluster["metadata"]["name"], "key": "auth_token"}
    limits = workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert run["parallelism"] == workers["maxReplicas"] * int(limits["cpu"])
    assert room_of(config()).task_bytes * int(limits["cpu"]) < int(limits["memory"].removesuffix("Gi")) * 1024**3


@pytest.mark.parametrize("name", ["service.yaml", "rayjob.yaml"])
def test_clusters_of_ray(name: str) -> None:
    """The tested Ray, with a token, growing and shrinking; a head on demand that takes no tasks, workers on spot nodes, at least one."""
    [one] = [one for one in OBJECTS[name] if one["kind"] in ("RayCluster", "RayJob")]
    spec = one["spec"].get("rayClusterSpec", one["spec"])
    assert spec["rayVersion"] == CONSTRAINTS["ray"]
    assert spec["authOptions"]["mode"] == "token"
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    [workers] = spec["workerGroupSpecs"]
    assert 1 <= workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    nodes = [group["template"]["spec"]["nodeSelector"] for group in (spec["headGroupSpec"], workers)]
    assert nodes == [{"eks.amazonaws.com/capacityType": kind} for kind in ("ON_DEMAND", "SPOT")]
    assert spec["headGroupSpec"]["template"]["spec"]["serviceAccountName"] != workers["template"]["spec"]["serviceAccountName"] or (
        one["kind"] == "RayJob"  # there the head is the driver
    )


@pytest.mark.parametrize("where", PODS)
def test_pods_are_safe(where: str) -> None:
    """No pod runs as root, writes to its image, gains rights, hears of other services by variables, or takes memory without a limit."""
    pod = PODS[where]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    for container in pod["containers"]:
        safety = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == safety
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_replicas_outlive_a_drained_node() -> None:
    """There are two, a budget lets one go at a time, and budget, spread and service choose the pods of the Deployment."""
    deployment = chart.kind(SERVICE, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    budget = chart.kind(SERVICE, "PodDisruptionBudget")["spec"]
    assert (deployment["spec"]["replicas"], budget["maxUnavailable"]) == (2, 1)
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]
    for chosen in (budget["selector"], spread, deployment["spec"]["selector"]):
        assert chosen["matchLabels"].items() <= labels.items()
    assert chart.kind(SERVICE, "Service")["spec"]["selector"].items() <= labels.items()


def test_ray_is_reached_by_few() -> None:
    """Only Ray's own pods, the service (by the client's port) and KubeRay's namespace (by the dashboard's) may speak to Ray."""
    policy = chart.kind(SERVICE, "NetworkPolicy", "compactor-ray")["spec"]
    own = {"podSelector": {"matchLabels": {"ray.io/cluster": "compactor-ray"}}}
    assert policy["podSelector"] == own["podSelector"]
    service = chart.kind(SERVICE, "Deployment")["spec"]["selector"]
    kuberay = {"matchLabels": {"kubernetes.io/metadata.name": "kuberay-system"}}
    assert policy["ingress"] == [
        {"from": [own]},
        {"from": [{"podSelector": service}], "ports": [{"port": 10001, "protocol": "TCP"}]},
        {"from": [{"namespaceSelector": kuberay}], "ports": [{"port": 8265, "protocol": "TCP"}]},
    ]
    mine = chart.kind(SERVICE, "NetworkPolicy")["spec"]
    assert [rule["ports"][0]["port"] for rule in mine["ingress"]] == [8340]


@pytest.mark.parametrize(
    ("name", "one"), [(name, one) for name, objects in OBJECTS.items() for one in objects if one["kind"] in ray_schema.SPECS]
)
def test_kinds_of_ray_are_in_form(name: str, one: dict[str, Any]) -> None:
    """KubeRay's objects have keys that there are, with values of their types."""
    assert one["apiVersion"] == "ray.io/v1", name
    jsonschema.validate(one["spec"], ray_schema.SPECS[one["kind"]])


def test_a_wrong_key_of_ray_would_be_noticed() -> None:
    """The schema has a mind of its own: a misspelt key and a number that is no text are refused."""
    spec = chart.kind(SERVICE, "RayCluster", "compactor-ray")["spec"]
    head = {**spec["headGroupSpec"], "rayStartParams": {"num-cpus": 0}}
    for wrong in ({**spec, "enableInTreeAutoscalin": True}, {**spec, "headGroupSpec": head}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, ray_schema.CLUSTER)


@pytest.mark.skipif(tool("kubernetes-validate") is None, reason="kubernetes-validate is not installed")
@pytest.mark.parametrize("name", OBJECTS)
def test_kubernetes_takes_them(name: str, tmp_path: Path) -> None:
    """Every object, and every pod of Ray, passes the strict schemas of Kubernetes; one with a misspelt key does not."""
    plain = [one for one in OBJECTS[name] if one["apiVersion"] != "ray.io/v1"]
    templates = [pod for one in OBJECTS[name] if one["apiVersion"] == "ray.io/v1" for _, pod in pods(one)]
    wrapped = [{"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": pod} for pod in templates]
    assert validated([*plain, *wrapped], tmp_path) == 0
    wrong = yaml.safe_dump([*plain, *wrapped]).replace("serviceAccountName:", "serviceAccountname:", 1)
    assert validated(yaml.safe_load(wrong), tmp_path) != 0


def validated(objects: list[Any], folder: Path) -> int:
    """The exit code of the validator."""
    program = tool("kubernetes-validate")
    assert program is not None
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    version = ".".join(chart.KUBERNETES.split(".")[:2])
    done = subprocess.run([program, "-k", version, "--strict", str(file)], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode not in (0, 1):
        pytest.fail(done.stderr)
    return done.returncode


def test_images_are_this_version() -> None:
    """The chart's version is the project's, and the image has its tag."""
    about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    [version] = re.findall(r'^version = "(.+)"$', (INFRA.parent / "pyproject.toml").read_text(), re.MULTILINE)
    assert about["version"] == about["appVersion"] == version
