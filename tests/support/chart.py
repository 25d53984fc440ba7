"""The Helm chart and what was rendered from it: `python -m support.chart` (from tests/) writes infra/kubernetes/service.yaml anew.

The rendered file is for those who have no Helm, and for tests on machines without it: it names the digest of the chart that it was made of.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from support.infra_tools import tool

ROOT = Path(__file__).parents[2]
CHART = ROOT / "infra/helm/compactor"
RENDERED = ROOT / "infra/kubernetes/service.yaml"
KUBERNETES = "1.33.0"


def digest() -> str:
    """Of all files of the chart."""
    files = sorted(path for path in CHART.rglob("*") if path.is_file())
    together = hashlib.sha256()
    for path in files:
        body = path.read_bytes()
        together.update(f"{path.relative_to(CHART).as_posix()} {len(body)}\n".encode() + body)
    return together.hexdigest()


def header() -> str:
    """The first line of the rendered file."""
    return f"# `make manifests` wrote this from infra/helm/compactor ({digest()[:16]}): change that.\n"


def render(helm: str, *options: str) -> str:
    """What Helm makes of the chart. Raises CalledProcessError."""
    command = [helm, "template", "compactor", str(CHART), "--namespace", "compactor", "--kube-version", KUBERNETES, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


def documents(text: str) -> list[Any]:
    """The objects in it."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def kind(objects: list[Any], wanted: str, name: str = "compactor") -> Any:
    """The one object of that kind and name."""
    [found] = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (wanted, name)]
    return found


if __name__ == "__main__":
    found = tool("helm")
    if found is None:
        sys.exit("There is no helm here: `make helm` builds it where Go is.")
    RENDERED.write_text(header() + render(found))
