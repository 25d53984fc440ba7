"""Where the public tables are, if they are here, and their independent reader."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from support.modules import module_at

ROOT = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
GOLDEN_MISSING = None if ROOT.is_dir() else "the public tables (../shared/golden) are not present"


def _oracle() -> ModuleType | None:
    if GOLDEN_MISSING:
        return None
    return module_at("golden_oracle", ROOT / "oracle.py")


oracle: ModuleType = _oracle()  # type: ignore[assignment]
TABLES = sorted(p for p in (ROOT / "tables").iterdir() if p.is_dir()) if not GOLDEN_MISSING else []
BROKEN = sorted(p for p in (ROOT / "broken").iterdir() if p.is_dir()) if not GOLDEN_MISSING else []
