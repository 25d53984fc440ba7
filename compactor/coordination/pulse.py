"""Something done now and then beside a run, in a thread of its own: a sign of life, the renewal of a lease.

What it does must never raise past itself and must be safe at any moment of the run. Stopping waits a little for the one that is under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_PATIENCE_S = 5.0


class Pulse:
    """Calls `act` every `every_s` seconds until stopped; the first time after one interval, so that a short run never does."""

    def __init__(self, every_s: float, act: Callable[[], None], name: str) -> None:
        self._every_s, self._act = every_s, act
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=name, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(self._every_s):
            self._act()

    def stop(self) -> None:
        """No further call begins. One that hangs in a store is not waited for longer than a few seconds."""
        self._over.set()
        self._thread.join(_PATIENCE_S)
