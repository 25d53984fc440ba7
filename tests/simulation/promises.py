"""Which files nobody may delete just now, although no version names them yet: as writers and their operators see to it in life, by never
vacuuming with a retention that is shorter than a transaction. Worlds have such vacuums, so that here it is said.
"""

from __future__ import annotations

from collections.abc import Iterable


class Promises:
    """Files that are about to be named. A promise that is over still binds those who had begun to look before."""

    def __init__(self) -> None:
        self._made: set[str] = set()
        self._over: dict[str, int] = {}
        self._moment = 0

    def make(self, keys: Iterable[str]) -> None:
        self._made.update(keys)

    def release(self, keys: Iterable[str]) -> None:
        """They are named by now, or never will be."""
        self._moment += 1
        for key in set(keys) & self._made:
            self._made.discard(key)
            self._over[key] = self._moment

    def release_all(self) -> None:
        self.release(tuple(self._made))

    def now(self) -> int:
        """The moment at which somebody begins to look for files to delete."""
        self._moment += 1
        return self._moment

    def bind(self, key: str, since: int) -> bool:
        """Whether somebody who began to look at `since` must leave this file."""
        return key in self._made or self._over.get(key, -1) > since
