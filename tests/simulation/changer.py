"""A writer that changes rows in every way that a table knows: deletes by vector and takes such deletes back, or rewrites files with fewer
rows where a table has no vectors, rewrites a file with other values, restores an earlier version. As plainly as the protocol allows; shares
no code with the compactor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compactor.errors import ObjectMissing
from simulation.appender import Appender
from simulation.reader import Row, deleted, keys_of, state_at, vector_for, vector_of


class Changer(Appender):
    """One writer. Every change is looked up anew when its version is taken, as a transaction would be."""

    def __init__(self, *, vectors: bool, **named: Any) -> None:
        """vectors: it deletes by deletion vectors, not by rewriting files."""
        super().__init__(**named)
        deletes = [*[self._delete_rows] * 4, self._undelete] if vectors else [self._rewrite_without] * 3
        self._changes = [*deletes, self._update, self._update, self._restore, self._delete]

    def _change(self) -> bool:
        return self._random.choice(self._changes)()

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
            state = self._look()
            for path in self._random.sample(sorted(state.live), len(state.live)):
                add = state.live[path]
                before = self._deleted(add)
                plain = {key: value for key, value in add.items() if key != "deletionVector"}
                everything = self._rows(plain, state)
                if before is None or everything is None:
                    break
                after = choose(len(everything), before)
                if after != before:
                    new = {**plain, **vector_for(after), "dataChange": True}
                    rows = self._history.at(state.version + 1) - set(everything)
                    rows |= {row for at, row in enumerate(everything) if at not in after}
                    if self._commit(state.version + 1, [self._remove(add), {"add": new}], rows):
                        return True
                    break
            else:
                return False

    def _deleted(self, add: Mapping[str, Any]) -> frozenset[int] | None:
        """Positions of the deleted rows of a file; None when it is not there any more."""
        try:
            return deleted(self._store, add)
        except ObjectMissing:
            return None

    def _update(self) -> bool:
        """A file goes, and a copy of it with other values comes."""
        return self._rewrite(lambda rows: [(row[0], f"{self._name}-{self._files + 1}", *row[2:]) for row in rows])

    def _rewrite_without(self) -> bool:
        """A file goes, and a copy of it without some of its rows comes; none when no row is left."""
        return self._rewrite(lambda rows: rows[self._random.randint(1, len(rows)) :])

    def _rewrite(self, change: Callable[[Sequence[Row]], Sequence[Row]]) -> bool:
        """A file goes, and one with what `change` makes of its rows comes. False when the table is empty."""
        while True:
            state = self._look()
            if not state.live:
                return False
            path = self._random.choice(sorted(state.live))
            old = self._rows(state.live[path], state)
            if old is None:
                continue
            new = change(old) if old else old
            actions: list[dict[str, Any]] = [self._remove(state.live[path])]
            if new:
                actions.append(self._written(new, state.more))
            if self._commit(state.version + 1, actions, self._history.at(state.version + 1) - set(old) | set(new)):
                return True
            for action in actions[1:]:
                self._take_back(action)

    def _restore(self) -> bool:
        """The files of an earlier version are live again, and no others; so are its columns. False when some of the files are gone."""
        while True:
            now = self._look()
            then = state_at(self._store, self._random.randint(max(0, now.version - 3), now.version))
            same = {path for path in now.live.keys() & then.live.keys() if vector_of(now.live[path]) == vector_of(then.live[path])}
            back = [add for path, add in then.live.items() if path not in same]
            actions: list[dict[str, Any]] = [self._remove(add) for path, add in now.live.items() if path not in same]
            actions += [{"add": {**add, "dataChange": True}} for add in back]
            actions += [] if then.metadata == now.metadata else [{"metaData": then.metadata}]
            if not actions:
                return False
            keys = [key for add in back for key in keys_of(add)]
            self._history.promises.make(keys)
            if any(self._store.head(key) is None for key in keys):
                self._history.promises.release(keys)
                return False
            if self._commit(now.version + 1, actions, self._history.at(then.version)):
                return True
            self._history.promises.release(keys)
