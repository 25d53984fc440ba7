"""What a process that is ours alone does without: an allocator that keeps what was freed, pandas, and frequent looks for garbage. A
program that calls the library keeps whatever it has.

HAZARD: `pyarrow.set_memory_pool` reaches what Python asks for only; Arrow's own writers, codecs and kernels go on with the pool that the
surroundings named when Arrow was loaded, and two allocators keep twice as much. So the choice is made before Arrow is loaded.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType

CHOSEN = "ARROW_DEFAULT_MEMORY_POOL"
ALLOCATOR = "system"
MMAP_THRESHOLD_BYTES = 4 * 1024 * 1024
TRIM_THRESHOLD_BYTES = 8 * 1024 * 1024
_NEW_OBJECTS = 500_000
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def choose_allocator(surroundings: MutableMapping[str, str]) -> bool:
    """From now on Arrow allocates as C programs do, and freed memory goes back soon; whether that was chosen here. `surroundings`: the
    environment of the process; what it names stands."""
    if CHOSEN in surroundings:
        return False
    surroundings[CHOSEN] = ALLOCATOR
    if "pyarrow" in sys.modules:
        import pyarrow as pa

        pa.set_memory_pool(pa.system_memory_pool())
    with suppress(OSError, AttributeError):  # another C library than GNU's
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)
    return True


def collect_seldom() -> None:
    """From now on Python looks for cycles of garbage after half a million new objects only: plans and logs are as many, all of which
    live on, so that to look through them again and again takes as long as to make them."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


class _NoPandas:
    """Finds no pandas."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left alone", name=name)
        return None


def leave_pandas() -> None:
    """pyarrow looks for pandas once in a process, with the first array that it makes of a list, and would load it where it is installed. It
    looks now, and does not find it; whoever else imports pandas does."""
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_NoPandas)
