"""Entries of a log that one process has read already, so that each of a run's commits reads only what came since the one before.

An entry is believed only while the listing shows the same object (tag, size, date) as when it was read. Bounded by file actions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from compactor.storage.base import ObjectMeta, ObjectStore
from compactor.tables.delta.log import LogListing, read_entries
from compactor.tables.delta.replay import FOLD_ACTIONS
from compactor.tables.delta.state import LogEntry


class KnownEntries:
    """What was read of one log. Not thread-safe.

    most_actions: file actions kept at most; the entries that were asked for longest ago give way.
    """

    def __init__(self, most_actions: int = FOLD_ACTIONS) -> None:
        self._most_actions = most_actions
        self._actions = 0
        self._kept: OrderedDict[int, tuple[ObjectMeta, LogEntry]] = OrderedDict()

    def read(self, store: ObjectStore, after: int, upto: int, listing: LogListing) -> Iterator[LogEntry]:
        """As `log.read_entries`, which is asked only for what is not known."""
        version = after + 1
        while version <= upto:
            known = self._known(version, listing)
            if known is not None:
                yield known
                version += 1
                continue
            stop = next((v for v in range(version + 1, upto + 1) if self._known(v, listing) is not None), upto + 1)
            for entry in read_entries(store, version - 1, stop - 1, listing):
                self._keep(listing.commits.get(entry.version), entry)
                yield entry
            version = stop

    def _known(self, version: int, listing: LogListing) -> LogEntry | None:
        kept = self._kept.get(version)
        if kept is None or kept[0] != listing.commits.get(version):
            return None
        self._kept.move_to_end(version)
        return kept[1]

    def _keep(self, listed: ObjectMeta | None, entry: LogEntry) -> None:
        if listed is None or _actions(entry) > self._most_actions:
            return
        self._forget(entry.version)
        self._kept[entry.version] = (listed, entry)
        self._actions += _actions(entry)
        while self._actions > self._most_actions:
            self._forget(next(iter(self._kept)))

    def _forget(self, version: int) -> None:
        if version in self._kept:
            self._actions -= _actions(self._kept.pop(version)[1])


def _actions(entry: LogEntry) -> int:
    return 1 + len(entry.adds) + len(entry.removes)
