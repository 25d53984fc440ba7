"""What this installation is: versions, executors that are there, and what a run here may use. Starts nothing and reaches nothing."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, util

from compactor.settings import Settings

_PACKAGES = ("lakehouse-compactor", "pyarrow", "deltalake", "obstore", "boto3", "pyroaring", "pydantic-settings", "ray", "typer", "rich")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """versions: of the packages that matter, None for one that is not there. executors: those that could be chosen. native: the version of
    the optional native kernels and whether they are used, or why not.

    memory_limit_bytes: of this machine or container; memory_bytes: what a run here would use; processors: that it may keep busy.
    """

    python: str
    system: str
    versions: Mapping[str, str | None]
    native: str
    executors: tuple[str, ...]
    processors: int
    memory_limit_bytes: int
    memory_bytes: int


def look(settings: Settings) -> Installation:
    """The installation as these settings use it."""
    from compactor.execution.machine import memory_limit, processors, share_of_memory
    from compactor.rewriting.native import STATUS

    return Installation(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={name: _version(name) for name in _PACKAGES},
        native=STATUS,
        executors=("local", "serial", *(["ray"] if util.find_spec("ray") is not None else [])),
        processors=processors(),
        memory_limit_bytes=memory_limit(),
        memory_bytes=settings.memory_bytes or share_of_memory(),
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
