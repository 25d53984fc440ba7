"""What many worlds say of the compactor: how often a run that could succeed did, and how much of what was written was in vain.

What is counted is defined by `DEFINITIONS`, which are printed beside the figures. Pure: sums over what worlds report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from compactor.model.run import Run, RunStatus

FIRST_TIME_BAR = 0.999
WASTE_BAR = 0.05
DEFINITIONS = (
    "first-time success: runs that committed, of those that had something to do, were not killed, and met no fault past the retry budget.",
    "  A fault is past it when a call of the store's port fails: adapters have tried again. A create of which nobody knows is none, but",
    "  the third in a row is. A run has nothing to do when it plans nothing, when another holds the lease, when others, another compactor",
    "  too, left it nothing of what it had planned, or when a rival had broken the table before it could commit.",
    "wasted bytes: bytes of data files and deletion vectors that no version ever named, of all that compactors wrote, in worlds whose",
    "  tables have deletion vectors; crashed runs, and runs that met faults, included.",
)


class Ending(StrEnum):
    """What a run counts as."""

    KILLED = "killed"
    FAULTED = "met a fault past the retry budget"
    BROKEN = "left alone what a rival had broken"
    IDLE = "planned nothing"
    WAITING = "left to another, which holds the lease"
    OVERTAKEN = "others left nothing to do"
    COMMITTED = "had something to do, committed"
    MISSED = "had something to do, committed nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a compactor, and the calls of its store that failed. run: None when its process was killed; broken: whether a rival had
    broken the table by its end."""

    run: Run | None
    failures: int = 0
    broken: bool = False

    @property
    def ending(self) -> Ending:
        """What it counts as."""
        run = self.run
        if run is None:
            return Ending.KILLED
        if self.failures:
            return Ending.FAULTED
        if self.broken and not run.groups_committed:
            return Ending.BROKEN
        if not run.groups_planned:
            return Ending.IDLE
        if run.groups_committed:
            return Ending.COMMITTED
        if run.status is RunStatus.CONFLICT and run.actual is None:
            return Ending.WAITING
        return Ending.OVERTAKEN if run.status is RunStatus.NOTHING_TO_DO else Ending.MISSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Files that the processes of compactors completed, by key, with their bytes. how: `crashed`, `faulted` or `undisturbed`."""

    how: str
    files: Mapping[str, int]


@dataclass(slots=True)
class Figures:
    """Sums over worlds."""

    endings: Counter[Ending] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    wasted: Counter[str] = field(default_factory=Counter)

    def runs(self, seed: int, attempts: Iterable[Attempt]) -> None:
        """Add the runs of a world."""
        for attempt in attempts:
            self.endings[attempt.ending] += 1
            if attempt.ending is Ending.MISSED and attempt.run is not None:
                self.missed.append(f"seed {seed}: {attempt.run.run_id} {attempt.run.status}: {attempt.run.reason}")
                self.reasons[_without_names(f"{attempt.run.status}: {attempt.run.reason}")] += 1

    def files(self, written: Sequence[Written], named: frozenset[str]) -> None:
        """Add the outputs of a world whose table has deletion vectors. named: keys of all files that some version names."""
        for part in written:
            self.written[part.how] += sum(part.files.values())
            self.wasted[part.how] += sum(size for key, size in part.files.items() if key not in named)

    @property
    def first_time(self) -> float | None:
        """The share of runs that committed, of those that could; None when there was none."""
        could = self.endings[Ending.COMMITTED] + self.endings[Ending.MISSED]
        return self.endings[Ending.COMMITTED] / could if could else None

    @property
    def waste(self) -> float | None:
        """Bytes in vain of bytes written; None when nothing was written."""
        written = self.written.total()
        return self.wasted.total() / written if written else None

    def lines(self, *, bars: bool = False) -> Iterable[str]:
        """The figures as text. bars: beside the bars that they are held against."""
        for ending in Ending:
            yield f"  {ending:44} {self.endings[ending]}"
        could = self.endings[Ending.COMMITTED] + self.endings[Ending.MISSED]
        least, below = (f" (bar: at least {FIRST_TIME_BAR:.1%})", f" (bar: below {WASTE_BAR:.0%})") if bars else ("", "")
        for reason, times in self.reasons.most_common():
            yield f"    {times} × {reason}"
        yield f"  first-time success  {_share(self.endings[Ending.COMMITTED], could, 2)}{least}"
        yield f"  wasted bytes        {_share(self.wasted.total(), self.written.total(), 1)}{below}"
        for how in sorted(self.written):
            yield f"    by {how + ' processes':22} {_share(self.wasted[how], self.written[how], 1)}"


def _without_names(reason: str) -> str:
    """A reason without what differs from world to world: words with figures or slashes in them."""
    return " ".join("…" if re.search(r"[0-9/]", word) else word for word in reason.split())


def _share(some: int, every: int, digits: int) -> str:
    return f"{some / every:.{digits}%} ({some:,} of {every:,})" if every else "- (of nothing)"
