"""What has been spent, by day and by window, and what may still be. A value; whoever spends replaces it.

Days are those of UTC. A window's account is kept under its text until it closes. Nothing here asks what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from compactor.service.config import Budget

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """GB-hours of memory and money."""

    gb_hours: float = 0.0
    money: float = 0.0

    def plus(self, other: Spend) -> Spend:
        """Both."""
        return Spend(gb_hours=self.gb_hours + other.gb_hours, money=self.money + other.money)

    def within(self, bound: Spend) -> bool:
        """Whether no more than `bound`."""
        return self.gb_hours <= bound.gb_hours and self.money <= bound.money

    def portion(self, whole: Spend) -> float:
        """Which part of `whole` this covers, at most all of it."""
        parts = [1.0]
        parts += [self.gb_hours / whole.gb_hours] if whole.gb_hours > 0 else []
        parts += [self.money / whole.money] if whole.money > 0 else []
        least = max(0.0, min(parts))
        return 1.0 if least > 1 - 1e-9 else least

    def times(self, factor: float) -> Spend:
        """So much of it."""
        return Spend(gb_hours=self.gb_hours * factor, money=self.money * factor)

    def minus(self, other: Spend) -> Spend:
        """What is left of this, never less than nothing."""
        return Spend(gb_hours=max(0.0, self.gb_hours - other.gb_hours), money=max(0.0, self.money - other.money))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAccount:
    """Spent in an opening of some windows that lasts until `closes_ms`."""

    closes_ms: int
    spent: Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """day: since the epoch. groups: spent on that day, by group of tables. windows: by the text of windows."""

    day: int = 0
    groups: Mapping[str, Spend] = field(default_factory=dict)
    windows: Mapping[str, WindowAccount] = field(default_factory=dict)

    def at(self, now_ms: int) -> Ledger:
        """The ledger with what is over forgotten."""
        day = now_ms // DAY_MS
        windows = {text: account for text, account in self.windows.items() if account.closes_ms > now_ms}
        return replace(self, day=day, groups=self.groups if day == self.day else {}, windows=windows)

    def with_spent(self, group: str, spend: Spend, window: tuple[str, int] | None = None) -> Ledger:
        """The ledger after spending. window: the text of the table's windows and when they close, if it has any."""
        groups = {**self.groups, group: self.groups.get(group, Spend()).plus(spend)}
        if window is None:
            return replace(self, groups=groups)
        text, closes_ms = window
        known = self.windows.get(text)
        account = WindowAccount(closes_ms=known.closes_ms if known else closes_ms, spent=(known.spent if known else Spend()).plus(spend))
        return replace(self, groups=groups, windows={**self.windows, text: account})

    @property
    def spent_today(self) -> Spend:
        """By all groups together."""
        total = Spend()
        for spend in self.groups.values():
            total = total.plus(spend)
        return total

    def left_today(self, budget: Budget) -> Spend:
        """What the day's bounds leave."""
        return _bound(budget.gb_hours_per_day, budget.money_per_day).minus(self.spent_today)

    def left_in_window(self, budget: Budget, text: str) -> Spend:
        """What the bounds of a window leave in the opening of these windows."""
        account = self.windows.get(text)
        bound = _bound(budget.gb_hours_per_window, budget.money_per_window)
        return bound if account is None else bound.minus(account.spent)


def merged(ledgers: Iterable[Ledger], now_ms: int) -> Ledger:
    """What several have spent together, of what is not over."""
    together = Ledger().at(now_ms)
    for ledger in (each.at(now_ms) for each in ledgers):
        for group, spend in ledger.groups.items():
            together = together.with_spent(group, spend)
        for text, account in ledger.windows.items():
            known = together.windows.get(text, WindowAccount(closes_ms=account.closes_ms, spent=Spend()))
            sums = WindowAccount(closes_ms=max(known.closes_ms, account.closes_ms), spent=known.spent.plus(account.spent))
            together = replace(together, windows={**together.windows, text: sums})
    return together


def _bound(gb_hours: float | None, money: float | None) -> Spend:
    infinite = float("inf")
    return Spend(gb_hours=infinite if gb_hours is None else gb_hours, money=infinite if money is None else money)
