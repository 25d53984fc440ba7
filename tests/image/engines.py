"""Programs that build an image and start it: docker and podman, and buildah, which needs neither a daemon nor rights of its own kernel.

buildah starts what the image says by itself (entrypoint, user, surroundings), with the host's network and a writable root: less of a
container than the others make.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]


class Engine(Protocol):
    """`build` raises CalledProcessError; `has` is whether an image of that name can be had; `command` starts the image once."""

    def has(self, image: str) -> bool: ...

    def add(self, image: str, folder: Path) -> None:
        """An image of a folder's content."""
        ...

    def build(self, image: str, arguments: Mapping[str, str]) -> None: ...

    def command(self, image: str, mounts: Mapping[Path, str], arguments: Sequence[str]) -> list[str]: ...

    def size_bytes(self, image: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Docker:
    """docker, or podman, which takes the same arguments."""

    program: str

    def has(self, image: str) -> bool:
        return _quietly(self.program, "image", "inspect", image) or _quietly(self.program, "pull", image)

    def add(self, image: str, folder: Path) -> None:
        with subprocess.Popen(["tar", "--create", "--directory", folder, "."], stdout=subprocess.PIPE) as packed:
            subprocess.run([self.program, "import", "-", image], stdin=packed.stdout, check=True)

    def build(self, image: str, arguments: Mapping[str, str]) -> None:
        subprocess.run([self.program, "build", *_build_arguments(arguments), "--tag", image, ROOT], check=True)

    def command(self, image: str, mounts: Mapping[Path, str], arguments: Sequence[str]) -> list[str]:
        volumes = [f"--volume={folder}:{place}" for folder, place in mounts.items()]
        safe = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=host"]
        return [self.program, "run", "--rm", *safe, *volumes, image, *arguments]

    def size_bytes(self, image: str) -> int:
        return int(_said(self.program, "image", "inspect", "--format", "{{.Size}}", image))


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with images of its own in `folder`; `command` works in a container that is made once for each image."""

    folder: Path

    def has(self, image: str) -> bool:
        return _quietly(*self._program(), "pull", "--policy", "missing", image)

    def add(self, image: str, folder: Path) -> None:
        container = _said(*self._program(), "from", "scratch")
        subprocess.run([*self._program(), "copy", "--quiet", container, folder, "/"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*self._program(), "commit", "--rm", "--quiet", container, image], check=True, stdout=subprocess.DEVNULL)

    def build(self, image: str, arguments: Mapping[str, str]) -> None:
        options = ["--isolation=chroot", "--layers=false", "--format=docker", *_build_arguments(arguments)]
        subprocess.run([*self._program(), "build", *options, "--tag", image, ROOT], check=True)

    def command(self, image: str, mounts: Mapping[Path, str], arguments: Sequence[str]) -> list[str]:
        told = json.loads(_said(*self._program(), "inspect", "--type", "image", image))["OCIv1"]["config"]
        container = _said(*self._program(), "from", image)
        volumes = [f"--volume={folder}:{place}" for folder, place in mounts.items()]
        run = [*self._program(), "run", "--isolation=chroot", *volumes, container, "--"]
        return [*run, *told["Entrypoint"], *(arguments or told["Cmd"])]

    def size_bytes(self, image: str) -> int:
        container = _said(*self._program(), "from", image)
        root = _said(*self._program(), "mount", container)
        return int(_said("du", "--summarize", "--bytes", root).split()[0])

    def _program(self) -> list[str]:
        return ["buildah", f"--root={self.folder / 'images'}", f"--runroot={self.folder / 'run'}", "--storage-driver=vfs"]


def engine(folder: Path) -> Engine | None:
    """The first that works here, or the one that ENGINE names."""
    wanted = os.environ.get("ENGINE")
    for program in [wanted] if wanted else ["docker", "buildah", "podman"]:
        if shutil.which(program) and (program == "buildah" or _quietly(program, "info")):
            return Buildah(folder) if program == "buildah" else Docker(program)
    return None


def _build_arguments(arguments: Mapping[str, str]) -> list[str]:
    return [f"--build-arg={name}={value}" for name, value in arguments.items()]


def _quietly(*command: str) -> bool:
    """Whether it ends well, within two minutes."""
    try:
        return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
