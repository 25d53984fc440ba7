"""What of KubeRay's kinds our manifests use, as JSON schemas of our own: a misspelt or misplaced key is an error here, as on a cluster.

Written from the reference of the `ray.io/v1` API (KubeRay 1.6 and newer). Pod templates are left to Kubernetes' own schemas.
"""

from __future__ import annotations

from typing import Any


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


_TEXT, _TRUTH, _COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
_POD = {"type": "object", "required": ["spec"]}
_START = {"type": "object", "additionalProperties": {"type": "string"}}  # numbers must be quoted
_RESOURCES = _object(requests={"type": "object"}, limits={"type": "object"})
_AUTOSCALER = _object(
    version={"enum": ["v1", "v2"]},
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    idleTimeoutSeconds=_COUNT,
    imagePullPolicy=_TEXT,
    resources=_RESOURCES,
    securityContext={"type": "object"},
)
_WORKERS = _object(
    ("groupName", "rayStartParams", "template"),
    groupName=_TEXT,
    replicas=_COUNT,
    minReplicas=_COUNT,
    maxReplicas=_COUNT,
    rayStartParams=_START,
    template=_POD,
)
CLUSTER = _object(
    ("rayVersion", "headGroupSpec", "workerGroupSpecs"),
    rayVersion=_TEXT,
    authOptions=_object(("mode",), mode={"enum": ["token", "disabled"]}),
    upgradeStrategy=_object(("type",), type={"enum": ["Recreate", "None"]}),
    enableInTreeAutoscaling=_TRUTH,
    autoscalerOptions=_AUTOSCALER,
    headGroupSpec=_object(("rayStartParams", "template"), rayStartParams=_START, template=_POD),
    workerGroupSpecs={"type": "array", "minItems": 1, "items": _WORKERS},
)
JOB = _object(
    ("entrypoint", "rayClusterSpec"),
    entrypoint=_TEXT,
    shutdownAfterJobFinishes=_TRUTH,
    ttlSecondsAfterFinished=_COUNT,
    activeDeadlineSeconds=_COUNT,
    backoffLimit=_COUNT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
    rayClusterSpec=CLUSTER,
)
SPECS = {"RayCluster": CLUSTER, "RayJob": JOB}
