"""The figures of one data set, as plain values: what the bars and the report look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.benchmarks.choice import PREFIX

BASE = "deltalake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Medians of one engine on one data set.

    seconds: beyond interpreter start and imports; whole_s: of the process's whole life. base_bytes: what it held before it began.
    ran: groups by the engine that did them, of ours. predicted_bytes: of one group's peak. amplification: bytes rewritten by two runs, one
    after the other, for each byte that was there; again_bytes: what the second of them rewrote.
    """

    engine: str
    seconds: float
    whole_s: float
    processor_s: float
    peak_bytes: float
    base_bytes: float
    files: int
    bytes: int
    ran: Mapping[str, int] = field(default_factory=dict)
    predicted_bytes: int = 0
    amplification: float | None = None
    again_bytes: int = 0
    timings: Mapping[str, float] | None = None

    @property
    def is_ours(self) -> bool:
        return self.engine.startswith(f"{PREFIX}:")

    @property
    def chosen(self) -> str:
        """The engine asked for, of ours."""
        return self.engine.split(":")[1] if self.is_ours else self.engine

    @property
    def proof(self) -> str:
        return self.engine.split(":")[2] if self.is_ours else ""


Costs = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Processor seconds by table (an engine's name, or `before`), reader and query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All engines on one data set. left_out: why an engine that there is has no figures. readers: empty where it was not measured."""

    name: str
    title: str
    codec: str
    files: int
    bytes: int
    rows: int
    figures: Mapping[str, Figures]
    repetitions: int = 1
    left_out: Mapping[str, str] = field(default_factory=dict)
    readers: Costs = field(default_factory=dict)

    def by(self, engine: str, proof: str = "counts") -> Figures | None:
        """The run of ours that did every group with `engine`: where it was asked for, else whichever did so by itself."""
        asked = self.figures.get(f"{PREFIX}:{engine}:{proof}")
        alone = (one for one in self.figures.values() if one.is_ours and one.proof == proof and set(one.ran) == {engine})
        return asked or next(alone, None)

    def faster(self, one: Figures, than: str) -> float | None:
        """How many times faster `one` is than an engine; None where that was not run."""
        other = self.figures.get(than)
        return None if other is None else other.seconds / one.seconds
