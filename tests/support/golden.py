"""Where the public tables are, if they are here, and their independent reader."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
GOLDEN_MISSING = None if ROOT.is_dir() else "the public tables (../shared/golden) are not present"


def _oracle() -> ModuleType | None:
    if GOLDEN_MISSING:
        return None
    spec = importlib.util.spec_from_file_location("golden_oracle", ROOT / "oracle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


oracle: ModuleType = _oracle()  # type: ignore[assignment]
TABLES = sorted(p for p in (ROOT / "tables").iterdir() if p.is_dir()) if not GOLDEN_MISSING else []
BROKEN = sorted(p for p in (ROOT / "broken").iterdir() if p.is_dir()) if not GOLDEN_MISSING else []
