"""What became of each group's outputs in one run, so that those known not to be committed, and only those, are deleted at its end.

    planned ──► written ──► in commit ──► committed     outputs of other attempts are deleted
       │           │            ├───────► discarded     lost to a conflict, or it is known that nothing landed: deleted
       │           │            ├───────► left          nothing landed, by no fault of the group: kept for the next run to commit
       │           │            └───────► (stays)       unknown: nothing is deleted, the intent stays for recovery
       └───────────┴────────────────────► discarded     never offered to the log, and nobody at work on it any more: deleted

Must never delete an output whose group was offered to the log without an answer (design rule 3). While groups are left, nothing is deleted
at all: that would need a fence of our own, and with that nobody could commit them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum, auto

from compactor.errors import StorageError
from compactor.model.positions import VECTORS, vector_prefix
from compactor.model.rewrite import GroupDropped, RewriteResult
from compactor.storage.base import ObjectMeta, ObjectStore

_WORKER_GONE = frozenset({"worker-lost", "out-of-memory", "deadline", "cancelled"})


class _Fate(Enum):
    PLANNED = auto()
    IN_COMMIT = auto()
    COMMITTED = auto()
    DISCARDED = auto()
    LEFT = auto()


class OutputFates:
    """The outputs of a run, by group. `stem(i)` is the unique part of the names of all outputs of group i."""

    def __init__(self, groups: int, new_id: Callable[[], str]) -> None:
        self._stems = [f"part-{i:05d}-{new_id()}" for i in range(groups)]
        self._prefixes: dict[int, str] = {}
        self._fates: dict[int, _Fate] = {}
        self._results: dict[int, RewriteResult] = {}
        self._lost_workers = False
        self._vectors: set[str] | None = None

    def stem(self, group_id: int) -> str:
        return self._stems[group_id]

    def started(self, group_id: int, prefix: str) -> None:
        """The group is handed to the executor; from now on something may be written under its stem."""
        self._prefixes[group_id] = prefix
        self._fates[group_id] = _Fate.PLANNED

    def written(self, result: RewriteResult) -> None:
        self._results[result.group_id] = result

    def offered(self, group_ids: Iterable[int]) -> None:
        """The groups go into a commit: until an answer comes, nothing of them may be deleted."""
        for group_id in group_ids:
            self._fates[group_id] = _Fate.IN_COMMIT

    def committed(self, group_ids: Iterable[int]) -> None:
        for group_id in group_ids:
            self._fates[group_id] = _Fate.COMMITTED

    def contended(self, vectors: Iterable[str] = ()) -> None:
        """Deletes of others were followed, in vectors that may be named nowhere; those that are: `vectors`."""
        self._vectors = {*(self._vectors or ()), *vectors}

    def discarded(self, group_ids: Iterable[int]) -> None:
        """It is known that the groups are not, and will not be, in the log."""
        for group_id in group_ids:
            self._fates[group_id] = _Fate.DISCARDED

    def left(self, group_ids: Iterable[int]) -> None:
        """It is known that the groups are not in the log; whoever takes over from this run may commit them."""
        for group_id in group_ids:
            self._fates[group_id] = _Fate.LEFT

    def dropped(self, drop: GroupDropped) -> None:
        self._lost_workers |= drop.reason in _WORKER_GONE
        self._fates[drop.group_id] = _Fate.DISCARDED

    def abandoned(self) -> None:
        """No task can write any more: groups without an answer have left at most what stands under their stems."""
        self.discarded([group_id for group_id, fate in self._fates.items() if fate is _Fate.PLANNED])

    @property
    def settled(self) -> bool:
        """Whether nothing can be left of this run: no unknown commit, no worker that may still write, none that never answered."""
        return not self._lost_workers and not {_Fate.IN_COMMIT, _Fate.PLANNED, _Fate.LEFT} & set(self._fates.values())

    def sweep(self, store: ObjectStore, permitted: Callable[[], bool] = lambda: True) -> None:
        """Delete every output that is known not to be in the log, if that is `permitted` (asked only when there are some).

        A store that fails now leaves orphans, never a wrong table.
        """
        if _Fate.LEFT in self._fates.values():
            return
        try:
            orphans = list(self._orphans(store))
            if orphans and not permitted():
                self._lost_workers = True  # another run may be committing them
                return
            store.delete(orphans)
        except StorageError:
            self._lost_workers = True  # keeps the intent, from which a later run cleans up

    def _orphans(self, store: ObjectStore) -> Iterator[str]:
        if self._vectors is not None:
            known = [self.stem(group_id) for group_id, fate in self._fates.items() if fate is not _Fate.IN_COMMIT]
            yield from (item.key for item in spare_vectors(store, known, self._vectors))
        for group_id, fate in self._fates.items():
            result = self._results.get(group_id)
            keep = {output.key for output in result.outputs} if result and fate is _Fate.COMMITTED else set()
            match fate:
                case _Fate.IN_COMMIT:
                    continue
                case _Fate.COMMITTED if result is not None and result.attempt == 0:
                    continue
                case _Fate.DISCARDED | _Fate.PLANNED if result is not None and result.attempt == 0:
                    yield from (output.key for output in result.outputs)
                case _:
                    written = store.list(f"{self._prefixes[group_id]}{self.stem(group_id)}-")
                    yield from (item.key for item in written if item.key not in keep)


def spare_vectors(store: ObjectStore, stems: Iterable[str], named: Collection[str]) -> list[ObjectMeta]:
    """Vectors of outputs that begin with one of `stems`, but those that are `named`. One listing. Raises StorageError."""
    ours = {vector_prefix(stem) for stem in stems}
    size = len(vector_prefix(""))
    return [item for item in store.list(VECTORS) if item.key[:size] in ours and item.key not in named] if ours else []
