"""Which partitions others have written to lately, by the store's own dates of the log's entries. Reads only; decides nothing.

What counts is a change of rows: adds and removes whose `dataChange` is not false, so that no compaction makes a partition busy. At most
`MOST_ENTRIES` entries are read, the newest; of a writer that commits more often than that its latest commits tell enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compactor.model.snapshot import Snapshot
from compactor.storage.base import ObjectStore
from compactor.tables.delta.known_entries import KnownEntries
from compactor.tables.delta.log import LogListing, list_log
from compactor.tables.delta.state import Action

MOST_ENTRIES = 256
Place = tuple[str | None, ...]


def recent_writes(store: ObjectStore, snapshot: Snapshot, since_ms: int, known: KnownEntries) -> Mapping[int, bool]:
    """Ids of the partitions (rows of `snapshot.partitions`) that entries dated `since_ms` or later wrote to, up to that version, and
    whether one of these also took files or rows away there.

    A remove that does not say its partition, as old writers leave it, counts where the table has a single one. Raises StorageError,
    TableCorrupt.
    """
    before = snapshot.version - MOST_ENTRIES
    listing = list_log(store, before if before >= 0 else None)
    first = _first(listing, snapshot.version, since_ms)
    names = [column.physical_name for column in snapshot.partition_columns]
    ids = _ids(snapshot, names)
    found: dict[int, bool] = {}
    for entry in known.read(store, first - 1, snapshot.version, listing):
        appended, removed = _places(entry.adds, names), _places(entry.removes, names)
        for place in appended | removed:
            for number in ids.get(place, frozenset()):
                found[number] = found.get(number, False) or place in removed
    return found


def _first(listing: LogListing, newest: int, since_ms: int) -> int:
    """The first version of the unbroken tail whose entries are all as young."""
    version = newest
    while version in listing.commits and version > newest - MOST_ENTRIES and listing.commits[version].modified_ms >= since_ms:
        version -= 1
    return version + 1


def _places(actions: Iterable[Action], names: list[str]) -> set[Place]:
    return {_place(action, names) for action in actions if action.get("dataChange", True)}


def _place(action: Action, names: list[str]) -> Place:
    values: Mapping[str, str | None] = action.get("partitionValues") or {}
    return tuple(values.get(name) or None for name in names)


def _ids(snapshot: Snapshot, names: list[str]) -> dict[Place, frozenset[int]]:
    """Partitions by their values; several may differ only in how they write null."""
    columns = [snapshot.partitions[name].to_pylist() for name in names]
    ids: dict[Place, frozenset[int]] = {}
    for number in range(snapshot.partitions.num_rows if names else 1):
        place = tuple(column[number] or None for column in columns)
        ids[place] = ids.get(place, frozenset()) | {number}
    return ids
