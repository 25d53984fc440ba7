"""The little language of tests/scenarios/schedules: a budget, what was spent, tables, and what scheduling makes of them.

Any text before the first section says what the scenario claims.

now 12:00                             (of the first day; everything below is told from then)
budget gb_hours_per_day 10            (any bound; `share raw 2`)
spent raw 3                           (GB-hours of a group today; `window nights 1` in a window that is open)
slots 2
tables:
  name excess=40 waited=6h takes=0.5 [money=0.01] [priority=2] [group=raw] [deadline=30m] [windows=nights] [asked] [held=paused]
  name*3 …                            (name1, name2, name3)
schedule:
  ...                                 (from here on: written by the test, reviewed as a diff)

`excess`: requests that a scan would save. `takes`: GB-hours, an hour of time each. A table suffered its excess over
half the time that it waited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from compactor.service.ledger import Spend, WindowAccount
from compactor.service.schedule import HOLDS, Candidates, Hold, Means, Schedule, code, schedule
from compactor.units import format_seconds, parse_seconds

NOW_MS = 12 * 3_600_000
_NUMBERS = {"excess": 0.0, "takes": 1.0, "money": 0.0, "priority": 1.0}


@dataclass
class World:
    """A scenario as read."""

    means: Means = field(default_factory=Means)
    tables: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def outcome(story: str) -> str:
    """What is started now, what waits and for what, as text."""
    world = read(story)
    tables = candidates(world)
    return "\n".join(["schedule:", *_lines(tables, schedule(tables, world.means, NOW_MS))]) + "\n"


def read(story: str) -> World:
    """The scenario's budget, and its tables with their words."""
    world, inside = World(), False
    for line in story.splitlines():
        words = line.split()
        if inside and line.startswith(" "):
            _table(world, words)
        elif words[:1] and words[0] in ("budget", "share", "spent", "window", "slots"):
            _means(world, words)
        inside = line == "tables:" or (inside and line.startswith(" "))
    return world


def _means(world: World, words: list[str]) -> None:
    means = world.means
    ledger = means.ledger
    match words:
        case ["budget", bound, value]:
            world.means = replace(means, budget=replace(means.budget, **{bound: float(value)}))
        case ["share", group, value]:
            world.means = replace(means, budget=replace(means.budget, shares={**means.budget.shares, group: float(value)}))
        case ["spent", group, value]:
            world.means = replace(means, ledger=ledger.with_spent(group, Spend(gb_hours=float(value))))
        case ["window", text, value]:
            account = WindowAccount(closes_ms=NOW_MS + 1, spent=Spend(gb_hours=float(value)))
            world.means = replace(means, ledger=replace(ledger, windows={**ledger.windows, text: account}))
        case ["slots", value]:
            world.means = replace(means, slots=int(value))
        case _:
            raise AssertionError(words)


def _table(world: World, words: list[str]) -> None:
    name, _, count = words[0].partition("*")
    options = {key: value or "yes" for key, _, value in (word.partition("=") for word in words[1:])}
    assert set(options) <= {*_NUMBERS, "waited", "group", "deadline", "windows", "asked", "held"}, options
    world.tables += [(f"{name}{number + 1}" if count else name, options) for number in range(int(count or 1))]


def candidates(world: World) -> Candidates:
    """The tables as columns."""
    options = [words for _, words in world.tables]
    numbers = {key: np.array([float(words.get(key, least)) for words in options]) for key, least in _NUMBERS.items()}
    waited = np.array([parse_seconds(words.get("waited", "0")) for words in options])
    groups = sorted({words.get("group", "default") for words in options})
    windows = sorted({words["windows"] for words in options if "windows" in words})
    deadlines = [NOW_MS + parse_seconds(words["deadline"]) * 1000 if "deadline" in words else np.inf for words in options]
    return Candidates(
        uris=[name for name, _ in world.tables],
        held=np.array([code(Hold(words.get("held", "ready"))) for words in options], dtype=np.int8),
        excess=numbers["excess"],
        suffered=numbers["excess"] * waited / 2,
        waited_s=waited,
        gb_hours=numbers["takes"],
        money=numbers["money"],
        seconds=numbers["takes"] * 3600,
        priority=numbers["priority"],
        deadline_ms=np.array(deadlines, dtype=np.float64),
        closes_ms=np.full(len(options), np.inf),
        asked=np.array(["asked" in words for words in options]),
        group=np.array([groups.index(words.get("group", "default")) for words in options], dtype=np.int32),
        windows=np.array([windows.index(words["windows"]) if "windows" in words else -1 for words in options], dtype=np.int32),
        group_names=groups,
        window_texts=windows,
    )


def _lines(tables: Candidates, found: Schedule) -> Iterator[str]:
    for action in found.actions:
        part = "" if action.part == 1 else f", {action.part:.0%} of it"
        yield f"  start {action.uri}: {action.why}, {action.spend.gb_hours:g} GB-hours{part}"
    ready = np.argsort(np.where(found.rank < 0, len(tables), found.rank), kind="stable").tolist()
    for index in ready:
        hold = HOLDS[found.holds[index]]
        if hold is not Hold.NONE:
            place = f" {found.rank[index] + 1}" if found.rank[index] >= 0 else ""
            yield f"  {hold.value}{place}: {tables.uris[index]} after {format_seconds(float(tables.waited_s[index]))}"
