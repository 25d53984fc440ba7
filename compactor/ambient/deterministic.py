"""Deterministic surroundings for tests and simulation: a virtual clock, ids and randomness from a seed."""

from __future__ import annotations

import random
import uuid

EPOCH_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: where a virtual clock starts unless told otherwise."""


class VirtualClock:
    """A clock that moves only when somebody sleeps on it or advances it."""

    def __init__(self, start_ms: int = EPOCH_MS) -> None:
        self._now_ms = float(start_ms)

    def now_ms(self) -> int:
        return int(self._now_ms)

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    def sleep(self, seconds: float) -> None:
        self._now_ms += max(0.0, seconds) * 1000


class SeededIds:
    """UUIDs drawn from a seed: the same seed gives the same names."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"ids-{seed}")

    def new(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


class SeededRandomness:
    """Randomness from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"randomness-{seed}")

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
