"""What the service does next, and why it leaves every other table alone: schedule(candidates, budget, ledger, now) -> Schedule. Pure.

    all tables ── held back (disabled, paused, refused, backing off, …: each with its reason)
        └─ ready ── asked for ► deadlines that are near, earliest first ► the others by need, groups of tables in their shares
               └─ admitted while the budget lasts; the first that does not fit whole is given what is left, as a smaller run

Must never: read a clock, or leave a table without a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from compactor.service.config import Budget
from compactor.service.ledger import Ledger, Spend
from compactor.service.need import Floats, score, share_of_budget

LARGEST_SHARE = 0.5
"""No run takes more than this share of a day's bounds, lest one table starve all others: a larger one goes on tomorrow."""
SMALLEST_PART = 0.05
"""A run is not cut down to less than this part of what it would do, unless its largest share would not reach much further."""
LEAD_S = 3600.0
"""A deadline is near when less than this, and twice what the run takes, is left."""


class Hold(StrEnum):
    """Why a table is left alone now. Stable codes; NONE is that of tables that are ready."""

    NONE = "ready"
    DISABLED = "disabled"
    PAUSED = "paused"
    RUNNING = "running"
    UNKNOWN = "not-looked-at"
    REFUSED = "refused"
    HEALTHY = "healthy"
    HOT = "hot"
    BACKOFF = "backing-off"
    WINDOW = "window-closed"
    BUDGET_DAY = "budget-of-the-day"
    BUDGET_WINDOW = "budget-of-the-window"
    QUEUED = "queued"


HOLDS: tuple[Hold, ...] = tuple(Hold)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Tables as columns, one element a table; what they mean is told in the singular.

    held: index into HOLDS of what holds the table back whatever is spent. excess: requests that a scan would save, of what may be
    compacted now. suffered: excess times the seconds it lasted. waited_s: since when. gb_hours, money, seconds: that a run takes.
    deadline_ms: when its freshness ends, infinite without one. windows: index into window_texts, of those that are open, -1 without;
    closes_ms: of them. asked: somebody asked for a run now.
    """

    uris: Sequence[str]
    held: npt.NDArray[np.int8]
    excess: Floats
    suffered: Floats
    waited_s: Floats
    gb_hours: Floats
    money: Floats
    seconds: Floats
    priority: Floats
    deadline_ms: Floats
    closes_ms: Floats
    asked: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int32]
    windows: npt.NDArray[np.int32]
    group_names: Sequence[str] = ("default",)
    window_texts: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.uris)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A run that is to be. part: of what there is to do, below 1 where the budget allows no more. why: `asked`, `deadline` or `need`."""

    index: int
    uri: str
    why: str
    part: float
    spend: Spend


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """actions: to be started now, in this order. holds: index into HOLDS, one a table, NONE for those in `actions`. rank: the place of each
    table among those that are ready, -1 for those that are not."""

    actions: tuple[Action, ...]
    holds: npt.NDArray[np.int8]
    rank: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What there is to work with: the budget, what was spent of it, and runs that may be started at once."""

    budget: Budget = field(default_factory=Budget)
    ledger: Ledger = field(default_factory=Ledger)
    slots: int = 1


def code(hold: Hold) -> int:
    """Index of `hold` in HOLDS."""
    return HOLDS.index(hold)


def schedule(tables: Candidates, means: Means, now_ms: int) -> Schedule:
    """The next actions, and for each table why it is or is not among them. `means.ledger` is that of now."""
    holds = tables.held.copy()
    order, why = ranked(tables, means, now_ms)
    rank = np.full(len(tables), -1, dtype=np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    holds[order] = code(Hold.QUEUED)
    actions = _admit(tables, means, order, why, holds)
    return Schedule(actions=tuple(actions), holds=holds, rank=rank)


def ranked(tables: Candidates, means: Means, now_ms: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int8]]:
    """Those that are ready, the next first; and for each of all tables what puts it there: 0 asked for, 1 its deadline, 2 its need."""
    left_s = (tables.deadline_ms - now_ms) / 1000
    near = left_s <= np.maximum(LEAD_S, 2 * tables.seconds)
    why = np.where(tables.asked, 0, np.where(near, 1, 2)).astype(np.int8)
    ready = np.flatnonzero(tables.held == code(Hold.NONE))
    turn = _turns(tables, means, ready)
    first = np.where(why[ready] == 1, tables.deadline_ms[ready], 0.0)
    return ready[np.lexsort((turn, first, why[ready]))], why


def _turns(tables: Candidates, means: Means, ready: npt.NDArray[np.intp]) -> Floats:
    """When each ready table's turn comes, if groups take turns: what its group will have been given before it, by its share.

    Within a group by need. A group that was given little today comes before one that was given much.
    """
    budget = means.budget
    share = share_of_budget(tables.gb_hours[ready], tables.money[ready], budget.gb_hours_per_day, budget.money_per_day)
    need = score(tables.suffered[ready], tables.waited_s[ready], share, tables.priority[ready])
    best = np.lexsort((ready, -need))
    turn = np.zeros(ready.size)
    groups = tables.group[ready[best]]
    if np.unique(groups).size < 2:
        turn[best] = np.arange(ready.size)
        return turn
    for number in np.unique(groups).tolist():
        name = tables.group_names[number]
        spent = means.ledger.groups.get(name, Spend())
        before = share_of_budget(np.array([spent.gb_hours]), np.array([spent.money]), budget.gb_hours_per_day, budget.money_per_day)
        members = best[groups == number]
        taken = np.concatenate(([0.0], np.cumsum(share[members])[:-1]))
        turn[members] = (before[0] + taken) / budget.shares.get(name, 1.0)
    return turn


def _admit(
    tables: Candidates, means: Means, order: npt.NDArray[np.intp], why: npt.NDArray[np.int8], holds: npt.NDArray[np.int8]
) -> list[Action]:
    """Runs that start now; notes in `holds` what is in the way of the others, as far as the budget is with what is left by their turn."""
    at_most = Ledger().left_today(means.budget).times(LARGEST_SHARE)
    left_today = means.ledger.left_today(means.budget)
    left_in = [means.ledger.left_in_window(means.budget, text) for text in tables.window_texts]
    actions: list[Action] = []
    for index in order.tolist():
        spend = Spend(gb_hours=float(tables.gb_hours[index]), money=float(tables.money[index]))
        window = int(tables.windows[index])
        part_today, part_window = left_today.portion(spend), left_in[window].portion(spend) if window >= 0 else 1.0
        most = at_most.portion(spend)
        part = min(most, part_today, part_window)
        if part < min(SMALLEST_PART, most / 2):
            holds[index] = code(Hold.BUDGET_DAY if part_today <= part_window else Hold.BUDGET_WINDOW)
            continue
        spend = spend.times(part)
        left_today = left_today.minus(spend)
        if window >= 0:
            left_in[window] = left_in[window].minus(spend)
        if len(actions) < means.slots:
            holds[index] = code(Hold.NONE)
            actions.append(
                Action(index=index, uri=tables.uris[index], why=("asked", "deadline", "need")[why[index]], part=part, spend=spend)
            )
    return actions
