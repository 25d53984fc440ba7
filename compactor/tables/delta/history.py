"""The retained versions of a table, as their log entries tell them. Reads only (protocol section "Commit Provenance Information")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compactor.storage.base import ObjectStore
from compactor.tables.base import HistoryEntry
from compactor.tables.delta.log import LogListing, read_entries
from compactor.tables.delta.state import Action, LogEntry

RUN_TAG = "compactor.runId"
_BLOCK = 64


def history(store: ObjectStore, listing: LogListing, limit: int | None = None) -> list[HistoryEntry]:
    """Newest first, at most `limit`, down to the first version that is no longer there. Raises TableCorrupt, StorageError."""
    entries: list[HistoryEntry] = []
    for entry in _newest_first(store, listing):
        if limit is not None and len(entries) >= limit:
            break
        entries.append(_describe(entry))
    return entries


def _newest_first(store: ObjectStore, listing: LogListing) -> Iterator[LogEntry]:
    upto = max(listing.commits, default=-1)
    while upto in listing.commits:
        after = upto
        while after in listing.commits and upto - after < _BLOCK:
            after -= 1
        yield from reversed(list(read_entries(store, after, upto, listing)))
        upto = after


def _describe(entry: LogEntry) -> HistoryEntry:
    info = entry.commit_info or {}
    stamp = info.get("inCommitTimestamp", info.get("timestamp"))
    tags = info.get("tags")
    run = tags.get(RUN_TAG) if isinstance(tags, dict) else None
    return HistoryEntry(
        version=entry.version,
        timestamp_ms=stamp if isinstance(stamp, int) else entry.modified_ms or None,
        operation=str(info.get("operation") or "unknown"),
        engine=info.get("engineInfo") if isinstance(info.get("engineInfo"), str) else None,
        run_id=run if isinstance(run, str) else None,
        files_removed=len(entry.removes),
        files_added=len(entry.adds),
        bytes_removed=_bytes(entry.removes),
        bytes_added=_bytes(entry.adds),
    )


def _bytes(actions: Sequence[Action]) -> int | None:
    """The sizes together; None when an action does not say."""
    sizes = [action.get("size") for action in actions]
    return sum(size for size in sizes if isinstance(size, int)) if all(isinstance(size, int) for size in sizes) else None
