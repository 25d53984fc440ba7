"""Parts of a run without Python's search for cycles.

Tens of thousands of parsed actions make the collector search them, and everything else that there is, again and again;
there are no cycles among them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles meanwhile. Harmless beside other threads that do the same: at worst the collector is back a little early."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
