"""The allocator of a process that is ours alone. A program that calls the library keeps whatever it has."""

from __future__ import annotations

import os
from contextlib import suppress

_CHOSEN = "ARROW_DEFAULT_MEMORY_POOL"


def choose_allocator() -> None:
    """From now on Arrow allocates by jemalloc, where it is built in and the surroundings name no other: Arrow's own choice keeps more of
    what was freed."""
    import pyarrow as pa

    if _CHOSEN not in os.environ:
        with suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())
