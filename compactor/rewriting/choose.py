"""Which engine takes which row groups of an input. Pure: decides from footer facts, opens nothing.

Every row group is in exactly one span, in order, so that rows keep their order whatever engines there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Engine(StrEnum):
    """How rows get from inputs to outputs."""

    TRANSCODE = "transcode"  # decode and encode: takes anything that can be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Consecutive row groups of one input for one engine."""

    engine: Engine
    row_groups: range


def choose(row_groups: int) -> tuple[Span, ...]:
    """The spans of an input with this many row groups."""
    return (Span(engine=Engine.TRANSCODE, row_groups=range(row_groups)),) if row_groups else ()
