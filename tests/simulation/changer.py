"""A writer that changes rows in every way that a table with deletion vectors knows: deletes by vector, takes such deletes back, rewrites a
file with other values, restores an earlier version. As plainly as the protocol allows; shares no code with the compactor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulation.appender import Appender
from simulation.reader import deleted, live_files, newest_version, rows_of_file, vector_for, vector_of

Live = dict[str, Mapping[str, Any]]


class Changer(Appender):
    """One writer. Every change is looked up anew when its version is taken, as a transaction would be."""

    def _change(self) -> bool:
        change = self._random.choice([self._delete_rows] * 4 + [self._undelete, self._update, self._update, self._restore, self._delete])
        return change()

    def _delete_rows(self) -> bool:
        """Some rows of a file that are still there, but not the last one."""

        def choose(rows: int, gone: frozenset[int]) -> frozenset[int]:
            left = sorted(set(range(rows)) - gone)
            return gone | set(self._random.sample(left, self._random.randint(1, len(left) - 1))) if len(left) > 1 else gone

        return self._exchange(choose)

    def _undelete(self) -> bool:
        """Some rows of a file come back."""

        def choose(_rows: int, gone: frozenset[int]) -> frozenset[int]:
            return frozenset(self._random.sample(sorted(gone), self._random.randint(0, len(gone) - 1))) if gone else gone

        return self._exchange(choose)

    def _exchange(self, choose: Callable[[int, frozenset[int]], frozenset[int]]) -> bool:
        """Give a file the deleted rows that `choose` makes of its number of rows and those deleted now. False when none changes."""
        while True:
            version, live = self._look()
            for path in self._random.sample(sorted(live), len(live)):
                add = live[path]
                before = deleted(self._store, add)
                plain = {key: value for key, value in add.items() if key != "deletionVector"}
                everything = rows_of_file(self._store, path, plain)
                after = choose(len(everything), before)
                if after != before:
                    new = {**plain, **vector_for(after), "dataChange": True}
                    rows = self._history.at(version + 1) - set(everything)
                    rows |= {row for at, row in enumerate(everything) if at not in after}
                    if self._commit(version + 1, [self._remove(add), {"add": new}], rows):
                        return True
                    break
            else:
                return False

    def _update(self) -> bool:
        """A file goes, and a copy of it with other values comes."""
        while True:
            version, live = self._look()
            if not live:
                return False
            self._files += 1
            path = self._random.choice(sorted(live))
            old = rows_of_file(self._store, path, live[path])
            new = [(number, f"{self._name}-{self._files}", partition) for number, _, partition in old]
            actions: list[dict[str, Any]] = [self._remove(live[path])]
            if new:
                actions.append(self._written(new[0][2], [row[0] for row in new], [row[1] for row in new]))
            if self._commit(version + 1, actions, self._history.at(version + 1) - set(old) | set(new)):
                return True
            self._store.delete([action["add"]["path"] for action in actions if "add" in action])

    def _restore(self) -> bool:
        """The files of an earlier version are live again, and no others."""
        while True:
            version, live = self._look()
            earlier = self._random.randint(max(0, version - 3), version)
            then = live_files(self._store, earlier)
            same = {path for path in live.keys() & then.keys() if vector_of(live[path]) == vector_of(then[path])}
            actions = [self._remove(add) for path, add in live.items() if path not in same]
            actions += [{"add": {**add, "dataChange": True}} for path, add in then.items() if path not in same]
            if not actions:
                return False
            if self._commit(version + 1, actions, self._history.at(earlier)):
                return True

    def _look(self) -> tuple[int, Live]:
        version = newest_version(self._store)
        return version, live_files(self._store, version)
