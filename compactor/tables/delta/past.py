"""A table's retained history as a story of files: the oldest version that can be loaded, and every commit after it. Reads only.

Protocol sections "Delta Log Entries", "Commit Provenance Information". Removes are told by their path alone where they say no more.
"""

from __future__ import annotations

from collections.abc import Iterator

from compactor.errors import NotATable
from compactor.model.changes import FileChange, PastCommit, partition_text
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.tables.delta.columns import GENERATION_TAG
from compactor.tables.delta.loading import load_version
from compactor.tables.delta.log import LogListing, list_log, read_entries
from compactor.tables.delta.state import Action, LogEntry
from compactor.tables.delta.tail import rows_of


def read_past(store: ObjectStore, ref: TableRef) -> tuple[Snapshot, Iterator[PastCommit]]:
    """The oldest version, and the commits that came after it, oldest first. Raises NotATable, TableCorrupt, StorageError."""
    listing = list_log(store)
    newest = listing.newest
    if newest is None:
        raise NotATable(f"There is no log at {ref.uri}.", reason="not-a-table")
    oldest = _oldest(listing, newest)
    base = load_version(store, ref, oldest)
    names = [column.physical_name for column in base.partition_columns]
    return base, _commits(store, oldest, newest, listing, names)


def _oldest(listing: LogListing, newest: int) -> int:
    """The oldest version from which no entry is missing up to the newest."""
    starts = [0] if 0 in listing.commits else []
    starts += [checkpoint.version for checkpoint in listing.checkpoints]
    return next((version for version in starts if listing.missing(version, newest) is None), newest)


def _commits(store: ObjectStore, oldest: int, newest: int, listing: LogListing, names: list[str]) -> Iterator[PastCommit]:
    at_ms = 0
    for entry in read_entries(store, oldest, newest, listing):
        at_ms = max(at_ms, time_of(entry))
        actions = (*entry.removes, *entry.adds)
        keeps = bool(entry.adds and entry.removes) and not any(action.get("dataChange", True) for action in actions)
        changes = [_change(action, at_ms, names, added=False) for action in entry.removes]
        changes += [_change(action, at_ms, names, added=True) for action in entry.adds]
        yield PastCommit(version=entry.version, at_ms=at_ms, keeps_rows=keeps, changes=tuple(changes))


def time_of(entry: LogEntry) -> int:
    """When the commit was made, as it says itself, else by the store's date: a log that was copied has new dates."""
    info = entry.commit_info or {}
    stamp = info.get("inCommitTimestamp", info.get("timestamp"))
    return stamp if isinstance(stamp, int) else entry.modified_ms


def _change(action: Action, at_ms: int, names: list[str], *, added: bool) -> FileChange:
    values = action.get("partitionValues") or {}
    return FileChange(
        added=added,
        partition=partition_text({name: values.get(name) for name in names}),
        size_bytes=int(action.get("size") or 0),
        rows=rows_of(action),
        deleted_rows=int((action.get("deletionVector") or {}).get("cardinality", 0)),
        generation=int((action.get("tags") or {}).get(GENERATION_TAG) or 0),
        landed_ms=at_ms,
        path=str(action["path"]),
    )
