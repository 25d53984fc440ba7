"""A year of a fleet, played with one way to choose whose turn it is. Everything but the choice is equal: writes, budget, what a run takes.

A run leaves of a table's small files one that is not full, if there is one. The budget of a step is spent in the order of the choice; the
table at which it ends is done in part. Lag is the time from when a table is worth a run until it is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from compactor.service.need import score, share_of_budget, suffered_after
from fleet.world import TARGET, WORTH_FILES, Fleet, Floats, Writes, takes

_REQUESTS_A_FILE = 2.0
_LONGEST_H = 20_000


@dataclass(slots=True, eq=False)
class Tables:
    """The small files of each table, how many of them are too many, since when, and what readers suffered meanwhile."""

    files: Floats
    bytes: Floats
    excess: Floats
    waited_h: Floats
    suffered: Floats


Choice = Callable[[Tables, Floats, float, np.random.Generator], Floats]
"""How needy each table is, from the tables that are worth a run, CPU hours of each, and the day's budget; the highest first."""


def by_need(tables: Tables, hours: Floats, budget: float, _chance: np.random.Generator) -> Floats:
    """As the service does."""
    share = share_of_budget(hours, np.zeros_like(hours), budget, None)
    return score(tables.suffered, tables.waited_h * 3600, share, np.ones_like(hours))


CHOICES: dict[str, Choice] = {
    "need": by_need,
    "oldest-first": lambda tables, hours, budget, chance: tables.waited_h,
    "random": lambda tables, hours, budget, chance: chance.random(hours.size),
    "largest-first": lambda tables, hours, budget, chance: tables.bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """excess: files too many, on average over the year. lag_h, table_lag_h: the 99th percentile over runs, and over tables at any hour.
    spent: CPU hours. seconds: of this simulation."""

    excess: float
    lag_h: float
    table_lag_h: float
    spent: float
    runs: int


def play(world: Fleet, writes: Writes, choice: Choice, *, days: int, step_h: int, seed: int) -> Played:
    """The year."""
    count = len(world)
    tables = Tables(*(np.zeros(count) for _ in range(5)))
    chance = np.random.default_rng([seed, 2])
    area, spent = 0.0, 0.0
    lags = np.zeros(_LONGEST_H, dtype=np.int64)
    waits = np.zeros(_LONGEST_H, dtype=np.int64)
    for hour in range(0, days * 24, step_h):
        _write(tables, world, writes.files(hour), step_h)
        area += float(tables.excess.sum()) * step_h
        worth = np.flatnonzero(tables.excess >= WORTH_FILES)
        waits += np.bincount(tables.waited_h[worth].astype(np.int64), minlength=_LONGEST_H)
        hours = takes(tables.files[worth], tables.bytes[worth])
        needy = choice(_of(tables, worth), hours, world.budget, chance)
        done, part, used = _afford(worth, hours, np.argsort(-needy, kind="stable"), world.budget * step_h / 24)
        spent += used
        lags += np.bincount(tables.waited_h[done].astype(np.int64), minlength=_LONGEST_H)
        _run(tables, done, part)
    waits[0] += count * (days * 24 // step_h) - waits.sum()
    return Played(excess=area / (days * 24), lag_h=_p99(lags), table_lag_h=_p99(waits), spent=spent, runs=int(lags.sum()))


def _of(tables: Tables, which: np.ndarray) -> Tables:
    return Tables(tables.files[which], tables.bytes[which], tables.excess[which], tables.waited_h[which], tables.suffered[which])


def _write(tables: Tables, world: Fleet, files: Floats, step_h: int) -> None:
    tables.files += files
    tables.bytes += files * world.file_bytes
    tables.excess = np.maximum(0.0, tables.files - np.ceil(tables.bytes / TARGET))
    worth = tables.excess >= WORTH_FILES
    tables.waited_h = np.where(worth, tables.waited_h + step_h, 0.0)
    tables.suffered = suffered_after(tables.suffered, np.where(worth, tables.excess * _REQUESTS_A_FILE, 0.0), step_h * 3600.0)


def _afford(worth: np.ndarray, hours: Floats, order: np.ndarray, budget: float) -> tuple[np.ndarray, tuple[int, float] | None, float]:
    """Tables that are run, the one that is run in part, and what it all takes."""
    upto = np.cumsum(hours[order])
    whole = int(np.searchsorted(upto, budget, side="right"))
    used = float(upto[whole - 1]) if whole else 0.0
    if whole == order.size:
        return worth[order], None, used
    last = order[whole]
    return worth[order[:whole]], (int(worth[last]), (budget - used) / float(hours[last])), budget


def _run(tables: Tables, done: np.ndarray, part: tuple[int, float] | None) -> None:
    rest = tables.bytes[done] % TARGET
    small = rest < 0.75 * TARGET
    tables.bytes[done] = np.where(small, rest, 0.0)
    tables.files[done] = small & (rest > 0)
    tables.waited_h[done] = 0.0
    tables.suffered[done] = 0.0
    if part is not None:
        table, share = part
        for column in (tables.bytes, tables.files, tables.suffered):
            column[table] *= 1 - share


def _p99(counts: np.ndarray) -> float:
    return float(np.searchsorted(np.cumsum(counts), 0.99 * counts.sum()))
