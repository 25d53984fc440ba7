"""Fetches servers of object stores for `make test-storage` into the user's cache, and prints the names of those that are there.

    python tests/conformance/prepare_servers.py [minio]

On stdout "versitygw azurite"; on stderr a line for each that cannot be had; exit 3 without any. What is there already is not fetched again.
Versity's gateway, for S3, is built by Go; Azurite, for Azure, is installed by npm. MinIO only where it is named: to build it takes long.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.storage_servers import binary_of, cache_folder

CANNOT = 3
MINIO = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a server is had. tools: that must be installed; environment: of the command."""

    name: str
    tools: Sequence[str]
    command: Sequence[str]
    environment: Mapping[str, str]


def recipes(more: Sequence[str]) -> list[Recipe]:
    """In the order in which they are asked; with those of `more` that are not asked unless they are named."""
    folder = cache_folder()
    go = {"GOBIN": str(folder / "bin")}
    return [
        Recipe(
            name="versitygw",
            tools=("go",),
            command=("go", "install", "github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
            environment=go,
        ),
        Recipe(
            name="azurite",
            tools=("node", "npm"),
            command=("npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", "azurite@3.35.0"),
            environment={},
        ),
        *([Recipe(name="minio", tools=("go",), command=("go", "install", MINIO), environment=go)] if "minio" in more else []),
    ]


def prepared(recipe: Recipe) -> str | None:
    """Fetch it; None when it is there, else why not."""
    if binary_of(recipe.name).is_file():
        return None
    for tool in recipe.tools:
        if shutil.which(tool) is None:
            return f"{recipe.name} needs {tool}, which is not installed."
    cache_folder().mkdir(parents=True, exist_ok=True)
    try:
        ended = subprocess.run(
            recipe.command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env=os.environ | recipe.environment,
        )
    except (subprocess.TimeoutExpired, OSError):
        return f"{recipe.name} could not be fetched."
    return None if ended.returncode == 0 and binary_of(recipe.name).is_file() else f"{recipe.name} could not be fetched."


def main() -> int:
    """The names, and the exit code."""
    names = []
    for recipe in recipes(sys.argv[1:]):
        why = prepared(recipe)
        if why is None:
            names.append(recipe.name)
        else:
            print(f"skipped: {why}", file=sys.stderr)
    print(" ".join(names))
    return 0 if names else CANNOT


if __name__ == "__main__":
    sys.exit(main())
