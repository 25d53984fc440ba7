"""What a service tells of itself, as values. Each sink (log lines, metrics) is a function of these, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from compactor.model.run import Run
from compactor.service.ledger import Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The service began."""

    replica: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeared:
    """A table is looked after from now on."""

    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished:
    """A table is looked after no more: no source has it."""

    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegun:
    """A run was begun. why: `asked`, `deadline` or `need`; part: of what there is to do. waited_s: since the table was worth it."""

    table: str
    run_id: str
    why: str
    part: float
    spend: Spend
    predicted_s: float
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run ended. spend: what it took."""

    run: Run
    spend: Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesReloaded:
    """A changed file is in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that somebody should know. code: `config`, `state`, `source`, `queue`, `message`, `table`, `bug`; said once, until it
    changes."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEnded:
    """Changes were looked for. looked, loaded: tables that were looked at, and those of them that were loaded. holds: tables by why they
    are left alone. excess_files: that runs would save. written_bytes: by others, noticed in this round."""

    seconds: float
    looked: int
    loaded: int
    written_bytes: int = 0
    tables: int = 0
    running: int = 0
    excess_files: int = 0
    longest_wait_s: float = 0.0
    holds: tuple[tuple[str, int], ...] = ()
    spent: Spend = field(default_factory=Spend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The service ended. left: tables whose runs did not end in time; the next run of each sees to what is left."""

    left: tuple[str, ...] = ()


ServiceEvent = Started | Appeared | Vanished | RunBegun | RunFinished | RulesReloaded | Problem | RoundEnded | Stopped
ServiceSink = Callable[[ServiceEvent], None]
