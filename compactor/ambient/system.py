"""The real surroundings: the system's clock, random UUIDs, the process's random generator."""

from __future__ import annotations

import random
import time
import uuid

from compactor.ambient.ports import Ambient


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class SystemIds:
    """Random UUIDs (version 4)."""

    def new(self) -> str:
        return str(uuid.uuid4())


class SystemRandomness:
    """The process's generator; good enough for jitter."""

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)


def system_ambient() -> Ambient:
    """The surroundings of an ordinary process."""
    return Ambient(clock=SystemClock(), ids=SystemIds(), randomness=SystemRandomness())
