"""How long one decision for 10,000 candidates takes, with groups, windows, deadlines and budgets all in use."""

from __future__ import annotations

import time

import numpy as np

from compactor.service.config import Budget
from compactor.service.ledger import Ledger, Spend
from compactor.service.schedule import Candidates, Means, schedule

TABLES, MOST_SECONDS = 10_000, 1.0


def candidates(count: int, seed: int = 1) -> Candidates:
    """Ready tables of all kinds."""
    chance = np.random.default_rng(seed)
    return Candidates(
        uris=[f"s3://lake/t{number}" for number in range(count)],
        held=np.zeros(count, dtype=np.int8),
        excess=chance.lognormal(4, 2, count),
        suffered=chance.lognormal(12, 3, count),
        waited_s=chance.uniform(0, 86_400, count),
        gb_hours=chance.lognormal(-3, 2, count),
        money=chance.lognormal(-6, 2, count),
        seconds=chance.lognormal(3, 2, count),
        priority=np.ones(count),
        deadline_ms=np.where(chance.random(count) < 0.2, chance.uniform(0, 86_400_000, count), np.inf),
        closes_ms=np.full(count, np.inf),
        asked=chance.random(count) < 0.01,
        group=chance.integers(0, 5, count).astype(np.int32),
        windows=chance.integers(-1, 4, count).astype(np.int32),
        group_names=["a", "b", "c", "d", "e"],
        window_texts=["w", "x", "y", "z"],
    )


def figures() -> bool:
    """Prints the time; whether it is within the bar."""
    tables = candidates(TABLES)
    budget = Budget(gb_hours_per_day=500, money_per_day=50, gb_hours_per_window=100, shares={"a": 3})
    means = Means(budget=budget, ledger=Ledger().with_spent("a", Spend(gb_hours=10, money=1)), slots=16)
    began = time.process_time()
    found = schedule(tables, means, now_ms=40_000_000)
    seconds = time.process_time() - began
    print(f"a decision for {TABLES:,} candidates: {len(found.actions)} runs begun, {seconds * 1000:.0f} ms (bar: {MOST_SECONDS:g} s)")
    return seconds < MOST_SECONDS
