"""Scheduling: bounds are kept, nobody is without a reason, nobody starves, and it is quick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fleet.__main__ import missed, years
from fleet.decision import candidates, figures
from hypothesis import given, settings
from hypothesis import strategies as st

from compactor.model.run import RunStatus
from compactor.service.backoff import retry_after_s
from compactor.service.config import Budget
from compactor.service.ledger import DAY_MS, Ledger, Spend
from compactor.service.need import suffered_after
from compactor.service.schedule import HOLDS, Hold, Means, code, schedule

NOW_MS = 40_000_000


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    gb_hours=st.one_of(st.none(), st.floats(0.001, 50)),
    money=st.one_of(st.none(), st.floats(0.0001, 1)),
    window=st.one_of(st.none(), st.floats(0.001, 5)),
    slots=st.integers(1, 70),
)
def test_bounds_are_kept_and_reasons_given(
    seed: int, count: int, gb_hours: float | None, money: float | None, window: float | None, slots: int
) -> None:
    """Whatever the fleet: no bound is passed, at most `slots` runs begin, each once, and every other table has one reason."""
    tables = candidates(count, seed)
    held = np.random.default_rng(seed).integers(0, 8, count).astype(np.int8)
    tables = replace(tables, held=np.where(held < 6, 0, held).astype(np.int8))
    budget = Budget(gb_hours_per_day=gb_hours, money_per_day=money, gb_hours_per_window=window)
    ledger = Ledger().with_spent("a", Spend(gb_hours=0.5, money=0.01))
    found = schedule(tables, Means(budget=budget, ledger=ledger, slots=slots), NOW_MS)
    begun = [action.index for action in found.actions]
    assert len(set(begun)) == len(begun) <= slots
    assert [index for index in range(count) if HOLDS[found.holds[index]] is Hold.NONE] == sorted(begun)
    assert all(0.0 < action.part <= 1.0 for action in found.actions)
    spent = Spend()
    by_window: dict[int, float] = {}
    for action in found.actions:
        spent = spent.plus(action.spend)
        place = int(tables.windows[action.index])
        by_window[place] = by_window.get(place, 0.0) + action.spend.gb_hours
    assert gb_hours is None or spent.gb_hours <= max(0.0, gb_hours - 0.5) * (1 + 1e-6)
    assert money is None or spent.money <= max(0.0, money - 0.01) * (1 + 1e-6)
    assert window is None or all(used <= window * (1 + 1e-6) for place, used in by_window.items() if place >= 0)
    kept = np.flatnonzero(tables.held != code(Hold.NONE))
    assert (found.holds[kept] == tables.held[kept]).all()


def test_a_decision_is_repeatable() -> None:
    """The same tables, means and time give the same schedule."""
    one, two = (schedule(candidates(500), Means(slots=50), NOW_MS) for _ in range(2))
    assert one.actions == two.actions
    assert (one.rank == two.rank).all()


def test_a_decision_for_ten_thousand_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    """Under a second of processor time."""
    assert figures()
    assert "10,000 candidates" in capsys.readouterr().out


def test_a_table_with_little_need_is_not_starved() -> None:
    """Beside much needier tables, each of which is in excess again at once, one with hardly any is run after a bounded time."""
    tables = candidates(20)
    excess = np.full(20, 1000.0)
    excess[7] = 1.0
    suffered, waited = np.zeros(20), np.zeros(20)
    for hour in range(1, 1500):
        suffered, waited = suffered_after(suffered, excess, 3600.0), waited + 3600
        now = replace(
            tables,
            suffered=suffered,
            waited_s=waited,
            gb_hours=np.ones(20),
            money=np.ones(20),
            asked=np.zeros(20, dtype=np.bool_),
            deadline_ms=np.full(20, np.inf),
            group=np.zeros(20, dtype=np.int32),
            windows=np.full(20, -1, dtype=np.int32),
        )
        [action] = schedule(now, Means(slots=1), NOW_MS).actions
        suffered[action.index], waited[action.index] = 0.0, 0.0
        if action.index == 7:
            assert hour < 700
            return
    pytest.fail("never run")


def test_a_year_by_need_is_better() -> None:
    """A small fleet over some weeks: the bars of `make simulate-fleet` hold on a seed, and are not met by every choice."""
    found = {name: played for name, played, _ in years(seed=1, tables=4000, days=70, step_h=2)}
    assert missed(found) == []
    assert missed({**found, "need": found["largest-first"]})


def test_days_and_windows_end() -> None:
    """A new day starts without spend; a window's account is kept until it closes, whatever the day."""
    spend = Spend(gb_hours=2, money=1)
    ledger = Ledger().at(10 * DAY_MS - 1000).with_spent("a", spend, ("nights", 10 * DAY_MS + 5000))
    assert ledger.at(10 * DAY_MS - 1).spent_today == spend
    later = ledger.at(10 * DAY_MS)
    assert later.spent_today == Spend()
    budget = Budget(gb_hours_per_window=3)
    assert later.left_in_window(budget, "nights").gb_hours == 1
    assert later.at(10 * DAY_MS + 5000).left_in_window(budget, "nights").gb_hours == 3
    assert later.with_spent("a", spend, ("nights", 99 * DAY_MS)).windows["nights"].closes_ms == 10 * DAY_MS + 5000


@pytest.mark.parametrize("status", [RunStatus.CONFLICT, RunStatus.FAILED, RunStatus.REFUSED])
def test_waits_grow_and_end(status: RunStatus) -> None:
    """Each further time waits at least as long, and none longer than a day, so that no table is given up."""
    waits = [retry_after_s(status, times) for times in range(1, 100)]
    assert waits == sorted(waits)
    assert waits[0] >= 60
    assert waits[-1] <= 86_400


def test_what_went_well_waits_for_nothing() -> None:
    """Nor does a run that found nothing to do."""
    assert {retry_after_s(status, 3) for status in (RunStatus.COMMITTED, RunStatus.NOTHING_TO_DO, RunStatus.PLANNED)} == {0.0}
