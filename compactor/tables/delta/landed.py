"""Finds our own commits in the log: by transaction id after a lost reply, by run id after a restart. Reads only.

A commit is ours when its commitInfo carries our transaction id or run id; never because its files look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from compactor.errors import ObjectMissing
from compactor.model.commit import Committed
from compactor.storage.base import ObjectStore
from compactor.tables.delta.entry import GROUPS_TAG, RUN_TAG, unpack_ids
from compactor.tables.delta.log import entry_key, list_log, parse_entry
from compactor.tables.delta.state import Action, LogEntry

SCAN_LIMIT = 2_000
"""Entries of the log that a search for a run looks at, newest first."""


def transaction_of(entry: LogEntry) -> str | None:
    """The transaction id of a commit, if its writer left one."""
    found = (entry.commit_info or {}).get("txnId")
    return found if isinstance(found, str) else None


def run_of(entry: LogEntry) -> str | None:
    """The run that made this commit, if it is one of ours."""
    tags = (entry.commit_info or {}).get("tags")
    found = tags.get(RUN_TAG) if isinstance(tags, dict) else None
    return found if isinstance(found, str) else None


def find_run(store: ObjectStore, run_id: str, limit: int = SCAN_LIMIT) -> Committed | None:
    """What the newest `limit` retained entries hold of a run, its commits added up (version: the last of them); None when nothing.

    Every entry costs one GET and a search for the id in its bytes; only an entry that holds it is parsed. Raises StorageError,
    TableCorrupt.
    """
    needle = orjson.dumps(run_id)
    found: list[LogEntry] = []
    for version in sorted(list_log(store).commits, reverse=True)[:limit]:
        try:
            data = bytes(store.get(entry_key(version)))
        except ObjectMissing:  # cleaned away since the listing
            break
        if needle in data:
            entry = parse_entry(data, version, 0, f"{store.uri}/{entry_key(version)}")
            if run_of(entry) == run_id:
                found.append(entry)
    return committed_of(found) if found else None


def committed_of(entries: Sequence[LogEntry]) -> Committed:
    """The outcome that entries of ours tell, added up. Which groups a run dropped is not in the log."""
    adds = [add for entry in entries for add in entry.adds]
    removes = [remove for entry in entries for remove in entry.removes]
    return Committed(
        version=max(entry.version for entry in entries),
        attempts=len(entries),
        groups=tuple(sorted({group for entry in entries for group in _groups(entry)})),
        files_removed=len(removes),
        files_added=len(adds),
        bytes_removed=_size(removes),
        bytes_added=_size(adds),
        rows=sum(int(orjson.loads(add["stats"])["numRecords"]) for add in adds),
    )


def _size(actions: Iterable[Action]) -> int:
    return sum(int(action.get("size") or 0) for action in actions)


def _groups(entry: LogEntry) -> tuple[int, ...]:
    tags = (entry.commit_info or {}).get("tags") or {}
    return unpack_ids(str(tags.get(GROUPS_TAG, "")))
