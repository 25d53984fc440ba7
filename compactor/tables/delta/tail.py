"""What came after a known version, from the tail of the log alone: one LIST, and one GET for each entry that is new.

Nothing is replayed and nothing is believed for a commit; this serves deciding which tables are worth loading. What an entry does not tell
(a remove without a size, another schema or protocol, an entry that is gone) is said, so that the caller loads the table instead.
Protocol sections "Delta Log Entries", "Add File and Remove File".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from compactor.errors import TableCorrupt
from compactor.model.changes import FileChange, LogTail, partition_text
from compactor.storage.base import ObjectMeta, ObjectStore
from compactor.tables.delta.clustering import CUBE_TAG
from compactor.tables.delta.columns import DEBT_TAG, FINISHED_TAG, GENERATION_TAG
from compactor.tables.delta.landed import run_of
from compactor.tables.delta.log import list_log, read_entries
from compactor.tables.delta.state import Action, LogEntry

MOST_ENTRIES = 500
"""More new entries than this are not read one by one: loading the table from a checkpoint is cheaper."""


def read_tail(store: ObjectStore, known: int, entry: str | None, partition_names: Sequence[str]) -> LogTail:
    """The entries after version `known`, whose own object was `entry` when it was seen (None: it was not).

    The known version is listed once more: where its object is another one, the table was replaced. Raises StorageError.
    """
    listing = list_log(store, known - 1)
    seen = listing.commits.get(known)
    identity = None if seen is None else _identity(seen)
    newest = max((*listing.commits, *(c.version for c in listing.checkpoints)), default=known)
    if entry is not None and identity is not None and identity != entry:
        return LogTail(version=known, entry=None, unclear="the log was replaced")
    if newest <= known:
        gone = entry is not None and identity is None and not listing.checkpoints
        return LogTail(version=known, entry=identity or entry, unclear="the log is gone" if gone else None)
    if listing.missing(known, newest) is not None or newest - known > MOST_ENTRIES:
        why = "entries are missing" if newest - known <= MOST_ENTRIES else f"more than {MOST_ENTRIES} entries are new"
        return LogTail(version=known, entry=identity, unclear=why)
    try:
        entries = list(read_entries(store, known, newest, listing))
        changes = [change for found in entries for change in _changes(found, partition_names)]
    except (TableCorrupt, _Unclear, KeyError, TypeError, ValueError) as error:
        return LogTail(version=known, entry=identity, unclear=str(error) or type(error).__name__)
    ours = [found for found in entries if run_of(found) is not None]
    written = [found.modified_ms for found in entries if run_of(found) is None and _writes(found)]
    return LogTail(
        version=newest,
        entry=_identity(listing.commits[newest]),
        commits=len(entries),
        ours=len(ours),
        changes=tuple(changes),
        written_ms=max(written, default=0),
        unclear=next((f"version {found.version} changed the table itself" for found in entries if found.protocol or found.metadata), None),
    )


def identity_of(store: ObjectStore, version: int) -> str | None:
    """What `read_tail` wants to know again of the log object of a version, None when it is not there. Raises StorageError."""
    meta = list_log(store, version - 1).commits.get(version)
    return None if meta is None else _identity(meta)


class _Unclear(ValueError):
    """An action that does not tell enough."""


def _identity(meta: ObjectMeta) -> str:
    return f"{meta.etag or ''} {meta.size_bytes} {meta.modified_ms}"


def _writes(entry: LogEntry) -> bool:
    return any(action.get("dataChange", True) for action in (*entry.adds, *entry.removes))


def _changes(entry: LogEntry, partition_names: Sequence[str]) -> Iterator[FileChange]:
    for action in entry.removes:
        yield _change(action, entry, partition_names, added=False)
    for action in entry.adds:
        yield _change(action, entry, partition_names, added=True)


def _change(action: Action, entry: LogEntry, partition_names: Sequence[str], *, added: bool) -> FileChange:
    size = action.get("size")
    if not isinstance(size, int):
        raise _Unclear(f"version {entry.version} removes a file without its size")
    values = action.get("partitionValues")
    if partition_names and not isinstance(values, dict):
        raise _Unclear(f"version {entry.version} removes a file without its partition")
    vector = action.get("deletionVector") or {}
    rows = rows_of(action)
    if vector and rows is None and not added:
        raise _Unclear(f"version {entry.version} removes a file with deleted rows without its number of rows")
    tags = action.get("tags") or {}
    return FileChange(
        added=added,
        partition=partition_text({name: (values or {}).get(name) for name in partition_names}),
        size_bytes=size,
        rows=rows,
        deleted_rows=int(vector.get("cardinality", 0)),
        generation=int(tags.get(GENERATION_TAG) or 0),
        finished_for_bytes=int(tags.get(FINISHED_TAG) or 0),
        encode_debt_bytes=int(tags.get(DEBT_TAG) or 0),
        clustered=bool(action.get("clusteringProvider")) or CUBE_TAG in tags,
        landed_ms=entry.modified_ms,
        path=str(action.get("path", "")),
        tagged=added or bool(tags) or run_of(entry) is not None,
    )


def rows_of(action: Action) -> int | None:
    """Physical rows, as the statistics say; None when they do not."""
    stats = action.get("stats")
    try:
        rows = orjson.loads(stats).get("numRecords") if isinstance(stats, str) else None
    except (ValueError, AttributeError):
        return None
    return rows if isinstance(rows, int) else None
