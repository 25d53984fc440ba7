"""What is known of a run that did not end cleanly, and what the log says of the files it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What the retained log names of some files: `keys` of added or removed ones, and of their vectors; `newest` version listed.

    complete: whether every version that was asked about was there to be read. If not, a file that is not in `keys` may be in the log.
    """

    newest: int
    keys: frozenset[str]
    complete: bool


class LeftState(StrEnum):
    """Where the recovery of a run stands."""

    IN_FLIGHT = "in-flight"  # it may still be at work
    WAITING = "waiting"  # it can commit nothing any more once the table has another version
    SWEPT = "swept"  # nothing of it is left; looked at once more after the task deadline, for workers that wrote late
    CLEARED = "cleared"  # nothing of it is left, and nothing more can come
    UNKNOWN = "unknown"  # it cannot be told what of it is in the log; nothing is deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftRun:
    """A run that left its intent. files, bytes: what was deleted of it (or would be, when only asked). why: one sentence."""

    run_id: str
    state: LeftState
    why: str
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What was found of runs that did not end cleanly, and what of it could not be seen to: sentences."""

    runs: tuple[LeftRun, ...]
    problems: tuple[str, ...] = ()
