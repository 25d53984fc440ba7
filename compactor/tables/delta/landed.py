"""Finds our own commits in the log: by transaction id after a lost reply, by run id after a restart. Reads only.

A commit is ours when its commitInfo carries our transaction id or run id; never because its files look alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import orjson

from compactor.errors import ObjectMissing
from compactor.model.commit import Committed
from compactor.storage.base import ObjectStore, in_memory
from compactor.tables.delta.entry import GROUPS_TAG, PLANNED_TAG, RUN_TAG, unpack_ids
from compactor.tables.delta.log import entry_key, list_log, parse_entry
from compactor.tables.delta.state import Action, LogEntry
from compactor.tables.delta.vectors import deletes_of

_IN_FLIGHT = 32
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
    """What the newest `limit` retained entries hold of a run, its commits added up (version: the last of them).

    None when they hold nothing of it, or only some of the groups that it had planned last: such a run was cut short and may be repeated,
    however often that happened before. Every entry costs one GET, many in flight, and a search for the id in its bytes; only an entry that
    holds it is parsed. Raises StorageError, TableCorrupt.
    """
    needle = orjson.dumps(run_id)
    found: list[LogEntry] = []
    versions = sorted(list_log(store).commits, reverse=True)[:limit]
    for version, data in zip(versions, _fetched(store, versions), strict=True):
        if data is not None and needle in data:
            entry = parse_entry(data, version, 0, f"{store.uri}/{entry_key(version)}")
            if run_of(entry) == run_id:
                found.append(entry)
    return committed_of(found) if found and _is_whole(found) else None


def _is_whole(entries: Sequence[LogEntry]) -> bool:
    """Whether all groups of the last plan of a run landed. Plans are told apart by the version that they were made on.

    Of what a run committed for a dead one nobody counted any plan: by itself it says nothing of the run.
    """
    counted = [entry for entry in entries if _planned(entry)]
    newest = max((_read_version(entry) for entry in counted), default=-1)
    last = [entry for entry in counted if _read_version(entry) == newest]
    return bool(last) and len({group for entry in last for group in _groups(entry)}) >= max(map(_planned, last))


def _fetched(store: ObjectStore, versions: Sequence[int]) -> Iterator[bytes | None]:
    """The entries' bytes, some ahead; None for one that was cleaned away since the listing."""
    if in_memory(store):  # one after the other: a simulation must not depend on the order of threads
        yield from (_entry_bytes(store, version) for version in versions)
        return
    with ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="find-run") as pool:
        for start in range(0, len(versions), _IN_FLIGHT):
            yield from pool.map(lambda version: _entry_bytes(store, version), versions[start : start + _IN_FLIGHT])


def _entry_bytes(store: ObjectStore, version: int) -> bytes | None:
    try:
        return bytes(store.get(entry_key(version)))
    except ObjectMissing:
        return None


def _read_version(entry: LogEntry) -> int:
    found = (entry.commit_info or {}).get("readVersion")
    return found if isinstance(found, int) else -1


def _planned(entry: LogEntry) -> int:
    text = str(((entry.commit_info or {}).get("tags") or {}).get(PLANNED_TAG, ""))
    return int(text) if text.isdecimal() else 0


def committed_of(entries: Sequence[LogEntry]) -> Committed:
    """The outcome that entries of ours tell, added up. Which groups a run dropped is not in the log."""
    adds = [add for entry in entries for add in entry.adds]
    removes = [remove for entry in entries for remove in entry.removes]
    masked = sum(int(add["deletionVector"]["cardinality"]) for add in adds if add.get("deletionVector"))
    return Committed(
        version=max(entry.version for entry in entries),
        attempts=len(entries),
        groups=tuple(sorted({group for entry in entries for group in _groups(entry)})),
        files_removed=len(removes),
        files_added=len(adds),
        bytes_removed=_size(removes),
        bytes_added=_size(adds),
        rows=sum(int(orjson.loads(add["stats"])["numRecords"]) for add in adds) - masked,
        masked_rows=masked,
        vectors=tuple(key for add in adds if add.get("deletionVector") and (key := deletes_of(add["deletionVector"], "").key)),
    )


def _size(actions: Iterable[Action]) -> int:
    return sum(int(action.get("size") or 0) for action in actions)


def _groups(entry: LogEntry) -> tuple[int, ...]:
    tags = (entry.commit_info or {}).get("tags") or {}
    return unpack_ids(str(tags.get(GROUPS_TAG, "")))
