"""Finds the optional package of native kernels, or says why there is none to use. Everything works without it, slower.

A package of another interface than this version speaks is left alone: what its functions take may have changed.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compactor_native import FusedRowGroup as FusedRowGroup
    from compactor_native import FuseSource as FuseSource
    from compactor_native import FuseTarget as FuseTarget
    from compactor_native import ProofTarget as ProofTarget

INTERFACE = 10
"""Raised together with native/src/border.rs whenever a function of the package changes."""


def _found() -> tuple[ModuleType | None, str]:
    try:
        import compactor_native
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "compactor_native"
        return None, "not used: it is not installed" if missing else f"not used: it cannot be loaded ({error})"
    if compactor_native.INTERFACE != INTERFACE:
        return None, f"not used: {compactor_native.__version__} has interface {compactor_native.INTERFACE}, needed is {INTERFACE}"
    return compactor_native, f"{compactor_native.__version__}, used"


KERNELS, STATUS = _found()
"""The package, None when there is none to use; and what a user is told about it."""
