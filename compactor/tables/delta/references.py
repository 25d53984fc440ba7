"""Which files of ours the retained log names, whoever committed them. Reads only; decides nothing.

Files of ours are found by their stems, which are unique to one group of one attempt at a run: no other file's name begins with one. A
deletion vector of such a file is named where the file is.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import unquote

from compactor.errors import ObjectMissing, TableCorrupt, TableRefused
from compactor.model.recovery import References
from compactor.storage.base import ObjectStore, in_memory
from compactor.tables.delta.log import IN_FLIGHT, entry_key, list_log, parse_entry
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.state import Action
from compactor.tables.delta.vectors import deletes_of

_STEM = re.compile(rb"part-\d{5,}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def references(store: ObjectStore, table_uri: str, after_version: int, stems: Collection[str]) -> References:
    """What versions after `after_version` name of files that begin with one of `stems`. Raises StorageError, TableCorrupt.

    The log is listed first: what is told holds of every version up to `newest`, and of later ones nothing is told.
    """
    listing = list_log(store, after_version if after_version >= 0 else None)
    newest = listing.newest if listing.newest is not None else after_version
    if not stems:
        return References(newest=newest, keys=frozenset(), complete=True)
    wanted = frozenset(stem.encode() for stem in stems)
    complete = listing.missing(after_version, newest) is None
    keys: set[str] = set()
    for version, data in _entries(store, list(listing.commits)):
        if data is None:
            complete = False
        elif not wanted.isdisjoint(_STEM.findall(data)):
            keys.update(_named(data, version, table_uri))
    return References(newest=newest, keys=frozenset(keys), complete=complete)


def _entries(store: ObjectStore, versions: list[int]) -> Iterator[tuple[int, bytes | None]]:
    """Entries in order, None for one that was cleaned away since the listing; several fetched at once, but not in memory (simulation)."""
    if len(versions) < 3 or in_memory(store):
        yield from ((version, _entry(store, version)) for version in versions)
        return
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="log") as pool:
        waiting: deque[tuple[int, Future[bytes | None]]] = deque()
        for version in versions:
            waiting.append((version, pool.submit(_entry, store, version)))
            if len(waiting) >= IN_FLIGHT:
                first, future = waiting.popleft()
                yield first, future.result()
        yield from ((version, future.result()) for version, future in waiting)


def _entry(store: ObjectStore, version: int) -> bytes | None:
    try:
        return bytes(store.get(entry_key(version)))
    except ObjectMissing:
        return None


def _named(data: bytes, version: int, table_uri: str) -> Iterator[str]:
    """Keys of all data files that an entry adds or removes, and of their vectors. A path outside the table names no file of ours."""
    name = f"{table_uri}/{entry_key(version)}"
    entry = parse_entry(data, version, 0, name)
    for action in (*entry.adds, *entry.removes):
        path = action.get("path")
        if not isinstance(path, str):
            raise TableCorrupt(f"{name} names a file without a path.")
        try:
            yield object_key(path, table_uri)
        except TableRefused:
            yield unquote(path)
        if vector := action.get("deletionVector"):
            yield from _vector(vector, table_uri)


def _vector(vector: Action, table_uri: str) -> Iterator[str]:
    with suppress(TableRefused):  # it lies elsewhere
        key = deletes_of(vector, table_uri).key
        if key is not None:
            yield key
