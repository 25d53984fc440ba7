"""The ports for time, ids and randomness, and the bundle of them that the pipeline is handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Time. `now_ms` is for stamps that people read; decisions use `monotonic_s` or the store's own dates."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; its zero means nothing."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Ids(Protocol):
    """Unique names."""

    def new(self) -> str:
        """A fresh UUID, lower-case, with dashes."""


class Randomness(Protocol):
    """Randomness for jitter. Never for names (use Ids) and never for decisions."""

    def uniform(self, low: float, high: float) -> float:
        """A number between low and high."""


class Owners(Protocol):
    """Processes by name."""

    def me(self) -> str:
        """A name of this process that no other ever has; empty when there is none."""

    def is_gone(self, owner: str) -> bool:
        """True only when it is certain that the process of this name is no more: it was one of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambient:
    """The surroundings of a run."""

    clock: Clock
    ids: Ids
    randomness: Randomness
