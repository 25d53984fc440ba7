"""How foreign writers judge whether their transaction may still be committed: models, written from what is publicly known of them. Pure.

spark     Delta on Spark at WriteSerializable, its default: a winner that removed a file which was read or is to be removed aborts it,
          whether or not it changed rows; so does a winner that changed rows and added files to what was read, blind appends excepted
serial    the same at Serializable: blind appends count too
deltalake deltalake 1.6.6: any added file that its predicate matches aborts it, also one that a compaction added; removes count only where
          they change rows
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Action = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What a writer that wants to commit has read: files of one partition with ids from low to high, and the files of them it replaces."""

    partition: str
    low: int
    high: int
    read: frozenset[str]

    def matches(self, add: Action) -> bool:
        """Whether the predicate may hold for rows of this file, by its partition and bounds."""
        bounds = add["bounds"]
        return bool(add["partitionValues"]["p"] == self.partition and bounds[0] <= self.high and self.low <= bounds[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """A version that another took meanwhile. blind: an append that read nothing."""

    adds: tuple[Action, ...]
    removes: tuple[Action, ...]
    blind: bool


Judge = Callable[[Transaction, Iterable[Winner]], bool]
"""Whether the transaction may still be committed."""


def spark(mine: Transaction, winners: Iterable[Winner], *, serializable: bool = False) -> bool:
    """See the module."""
    for winner in winners:
        if any(remove["path"] in mine.read for remove in winner.removes):
            return False  # ConcurrentDeleteRead, ConcurrentDeleteDelete
        looked_at = [add for add in winner.adds if add["dataChange"] and (serializable or not winner.blind)]
        if any(mine.matches(add) for add in looked_at):
            return False  # ConcurrentAppend
    return True


def serial(mine: Transaction, winners: Iterable[Winner]) -> bool:
    """See the module."""
    return spark(mine, winners, serializable=True)


def deltalake(mine: Transaction, winners: Iterable[Winner]) -> bool:
    """See the module."""
    for winner in winners:
        if any(mine.matches(add) for add in winner.adds):
            return False
        if any(remove["dataChange"] and remove["path"] in mine.read for remove in winner.removes):
            return False
    return True


JUDGES: Mapping[str, Judge] = {"spark": spark, "serial": serial, "deltalake": deltalake}
