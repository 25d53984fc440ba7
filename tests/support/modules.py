"""Modules that are in no package, by their files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def module_at(name: str, file: Path) -> ModuleType:
    """The module in this file, run anew. Raises what running it raises."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
