"""Which engine takes which row groups of an input. Pure: decides from footer facts, opens nothing.

Every row group is in exactly one span, in order, so that rows keep their order whatever engines there are. A row group that is copied keeps
its size, and many small ones cost every reader, so small ones are decoded and encoded together unless copying was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compactor.model.engine import EngineChoice
from compactor.units import format_bytes


class Engine(StrEnum):
    """How rows get from inputs to outputs."""

    TRANSCODE = "transcode"  # decode and encode: takes anything that can be read
    FUSE = "fuse"  # merge the encoded pages of whole small files
    STITCH = "stitch"  # copy the encoded row group as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """Why a row group is not copied. `code` is stable, `why` a sentence."""

    code: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row group: its encoded bytes, and what stands against a copy (None: nothing)."""

    size_bytes: int
    against: Against | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Consecutive row groups of one input for one engine; `against`: why they are decoded."""

    engine: Engine
    row_groups: range
    against: Against | None = None


LARGE = "large"
"""The code of files and row groups that are too large for something."""
ASKED = Against(code="asked", why="Decoding everything was asked for.")


def choose(candidates: Sequence[Candidate], choice: EngineChoice, fits: Callable[[int, bool], bool] | None = None) -> tuple[Span, ...]:
    """The spans of an input with these row groups. fits: asked of each in order, with whether it would be copied otherwise, says whether
    it may stay whole; else it is decoded, because outputs would be uneven. None: all may."""
    spans: list[Span] = []
    for i, candidate in enumerate(candidates):
        against = _against(candidate, choice)
        if fits is not None and not fits(i, against is None) and against is None:
            why = f"A row group of {format_bytes(candidate.size_bytes)}, kept whole, would make outputs too uneven."
            against = Against(code=LARGE, why=why)
        engine = Engine.STITCH if against is None else Engine.TRANSCODE
        last = spans[-1] if spans else None
        if last is not None and last.engine is engine and _code(last.against) == _code(against):
            spans[-1] = Span(engine=engine, row_groups=range(last.row_groups.start, i + 1), against=last.against)
        else:
            spans.append(Span(engine=engine, row_groups=range(i, i + 1), against=against))
    return tuple(spans)


def _code(against: Against | None) -> str | None:
    return None if against is None else against.code


def _against(candidate: Candidate, choice: EngineChoice) -> Against | None:
    if choice.mode == "transcode":
        return ASKED
    if candidate.against is not None:
        return candidate.against
    size = format_bytes(candidate.size_bytes)
    if choice.mode == "auto" and candidate.size_bytes < choice.copied_bytes:
        return Against(code="small", why=f"A row group of {size} is smaller than {format_bytes(choice.copied_bytes)}.")
    return None
