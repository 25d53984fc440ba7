"""What can be seen of a service at a moment, as values: what the API, the page and the metrics show. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from compactor.service.candidates import Marks, Now, why_of
from compactor.service.config import Budget
from compactor.service.discovery import Neighbour
from compactor.service.ledger import Ledger, Spend
from compactor.service.schedule import HOLDS, Hold, Schedule
from compactor.service.table_state import TableState

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table: what is known, why it is left alone or what comes next (`code`, `why`), and its place in the queue (0: none)."""

    state: TableState
    code: str
    why: str
    place: int
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole. rounds: that ended; ready: whether tables were looked for and looked at once."""

    replica: str
    state_uri: str
    tables: Mapping[str, TableView] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()
    faults: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    running: Mapping[str, str] = field(default_factory=dict)
    replicas: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    ledger: Ledger = field(default_factory=Ledger)
    rounds: int = 0
    ready: bool = False

    def ranked(self) -> list[TableView]:
        """Tables by need: those at work, those in the queue, then the others by how many files a run would save."""
        return sorted(self.tables.values(), key=_order)


def views_of(states: Sequence[TableState], found: Schedule, marks: Marks, now: Now) -> dict[str, TableView]:
    """The tables as scheduling judged them. `marks.running` are those at work by now."""
    views = {}
    for state, index, rank in zip(states, found.holds.tolist(), found.rank.tolist(), strict=True):
        hold = Hold.RUNNING if state.uri in marks.running else HOLDS[index]
        waited_s = 0.0 if state.worth_since_s is None else now.s - state.worth_since_s
        place = 0 if hold is Hold.RUNNING else rank + 1
        views[state.uri] = TableView(state=state, code=hold.value, why=why_of(state, hold, marks, now), place=place, waited_s=waited_s)
    return views


def counted(views: Iterable[TableView]) -> tuple[tuple[str, int], ...]:
    """How many tables there are of each code."""
    counts: dict[str, int] = {}
    for view in views:
        counts[view.code] = counts.get(view.code, 0) + 1
    return tuple(sorted(counts.items()))


def _order(view: TableView) -> tuple[bool, bool, int, int, str]:
    return view.code != "running", view.place == 0, view.place, -view.state.work.saves_files, view.state.uri


def table_object(view: TableView) -> dict[str, Any]:
    """A table for programs."""
    state = view.state
    standing, policy, last = state.standing, state.policy, state.last
    return {
        "format_version": FORMAT_VERSION,
        "table": state.uri,
        "state": view.code,
        "why": view.why,
        "place": view.place or None,
        "version": standing.version if standing else None,
        "files": standing.files if standing else None,
        "bytes": standing.bytes if standing else None,
        "target_bytes": standing.terms.target_bytes if standing else None,
        "saves_files": state.work.saves_files,
        "saves_requests": state.work.saves_requests,
        "deleted_bytes": state.work.deleted_bytes,
        "hot_files": state.work.hot_files,
        "waited_s": round(view.waited_s, 3),
        "predicted": _spend(state.takes.spend if state.takes else Spend()) | {"task_s": state.takes.task_s if state.takes else 0.0},
        "group": policy.group if policy else None,
        "priority": policy.priority if policy else None,
        "ignored_properties": list(policy.ignored) if policy else [],
        "last_run": None if last is None else asdict(last),
    }


def overview_object(found: Overview) -> dict[str, Any]:
    """Everything but the tables, for programs."""
    return {
        "format_version": FORMAT_VERSION,
        "replica": found.replica,
        "replicas": list(found.replicas),
        "state": found.state_uri,
        "ready": found.ready,
        "rounds": found.rounds,
        "tables": len(found.tables),
        "by_state": dict(counted(found.tables.values())),
        "running": dict(found.running),
        "budget": asdict(found.budget),
        "spent_today": _spend(found.ledger.spent_today),
        "spent_by_group": {name: _spend(spend) for name, spend in found.ledger.groups.items()},
        "neighbours": [asdict(item) for item in found.neighbours],
        "faults": list(found.faults),
        "problems": list(found.problems.values()),
    }


def _spend(spend: Spend) -> dict[str, float]:
    return {"gb_hours": spend.gb_hours, "money": spend.money}
