"""Which objects below a table's root its versions name: data files, deletion vectors, change files. Reads the log; judges nothing.

What a path means is taken as widely as any writer could have meant it, because what is not found here may be deleted: the decoded and the
raw spelling are both named, `./` and `//` are folded as well as kept, and of a path that does not seem to lie below the root (another
scheme, another mount), or is not plain ASCII, the last part is named wherever it is met. Protocol sections "Add File and Remove File",
"Add CDC File", "Deletion Vectors".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from urllib.parse import unquote

import numpy as np

from compactor.errors import TableCorrupt, TableRefused, UsageError
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.tables.care import Named
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.loading import load_version
from compactor.tables.delta.log import LogListing, list_log, read_entries
from compactor.tables.delta.paths import object_key
from compactor.tables.delta.state import Action
from compactor.tables.delta.vectors import deletes_of

_BLOCK = 10_000


def everything_named(store: ObjectStore, ref: TableRef) -> Named:
    """What any retained version names, files that were removed included. Raises StorageError, TableCorrupt."""
    listing = _listing(store, ref)
    oldest = _oldest_loadable(listing)
    named = Named(versions=(oldest, listing.newest or 0))
    _add_live(named, store, ref, oldest)
    newest = named.versions[1]
    first = newest
    while first in listing.commits and first - 1 in listing.commits:
        first -= 1
    for entry in read_entries(store, first - 1, newest, listing) if first in listing.commits else ():
        _note(named, (*entry.adds, *entry.removes, *entry.changes), ref.uri)
    return named


def named_since(store: ObjectStore, ref: TableRef, cutoff_ms: int) -> Named:
    """What versions name that were the latest at `cutoff_ms` or later, by the store's dates of their entries.

    Raises TableRefused (reason `log-retention`) when such versions may have been cleaned away, StorageError, TableCorrupt.
    """
    listing = _listing(store, ref)
    newest = listing.newest or 0
    young = [version for version, meta in listing.commits.items() if meta.modified_ms > cutoff_ms]
    base = min(young, default=newest + 1) - 1
    named = Named(versions=(max(0, base), newest))
    if base >= 0:
        if base not in listing.commits:
            raise _unknown(ref)
        try:
            _add_live(named, store, ref, base)
        except UsageError as error:
            raise _unknown(ref) from error
    for entry in read_entries(store, base, newest, listing):
        _note(named, (*entry.adds, *entry.changes), ref.uri)
    _add_live(named, store, ref, newest)  # once more, from the newest checkpoint: what it alone knows must not be deleted
    return named


def named_after(store: ObjectStore, ref: TableRef, version: int) -> Named:
    """What versions after `version` add; the log is listed first. Raises StorageError, TableCorrupt."""
    listing = list_log(store, version)
    newest = version if listing.newest is None else listing.newest
    named = Named(versions=(version + 1, newest))
    for entry in read_entries(store, version, newest, listing):
        _note(named, (*entry.adds, *entry.changes), ref.uri)
    return named


def _unknown(ref: TableRef) -> TableRefused:
    return TableRefused(
        f"The log of {ref.uri} was cleaned up within the retention, so it cannot be told what its versions of that time need; nothing is "
        "deleted. Keep delta.logRetentionDuration above delta.deletedFileRetentionDuration.",
        reason="log-retention",
    )


def _listing(store: ObjectStore, ref: TableRef) -> LogListing:
    listing = list_log(store)
    if listing.newest is None:
        raise TableCorrupt(f"The log of {ref.uri} holds no commit and no complete checkpoint.")
    return listing


def _oldest_loadable(listing: LogListing) -> int:
    """The oldest version from which no entry is missing up to the newest."""
    newest = listing.newest
    assert newest is not None
    starts = [0] if 0 in listing.commits else []
    starts += [c.version for c in listing.checkpoints]
    return next((version for version in starts if listing.missing(version, newest) is None), newest)


def _add_live(named: Named, store: ObjectStore, ref: TableRef, version: int) -> None:
    """The live files of a version, and their deletion vectors."""
    snapshot = load_version(store, ref, version)
    for start in range(0, snapshot.files.num_rows, _BLOCK):
        for path in snapshot.files["path"].slice(start, _BLOCK).to_pylist():
            _note_path(named, path, ref.uri)
    masked = _masked(snapshot)
    for start in range(0, len(masked), _BLOCK):
        _note(named, raw_adds(store, snapshot, masked[start : start + _BLOCK]), ref.uri)


def _masked(snapshot: Snapshot) -> list[int]:
    rows: list[int] = np.flatnonzero(snapshot.files["deletes_id"].is_valid().to_numpy()).tolist()
    return rows


def _note(named: Named, actions: Iterable[Action], uri: str) -> None:
    for action in actions:
        path = action.get("path")
        if not isinstance(path, str):
            raise TableCorrupt(f"The log of {uri} has a file action without a proper path.")
        _note_path(named, path, uri)
        vector = action.get("deletionVector")
        if vector:
            _note_vector(named, vector, uri)


def _note_vector(named: Named, vector: Action, uri: str) -> None:
    try:
        key = deletes_of(vector, uri).key
        if key is not None:
            named.keys.update((key, posixpath.normpath(key)))
    except TableRefused:
        _note_path(named, str(vector["pathOrInlineDv"]), uri)


def _note_path(named: Named, path: str, uri: str) -> None:
    try:
        key = object_key(path, uri)
        named.keys.update((key, path, posixpath.normpath(key)))
        doubtful = "%" in path or not path.isascii()  # writers disagree about such spellings
    except TableRefused:
        doubtful = True
    if doubtful:
        named.names.update(part.rstrip("/").rpartition("/")[2] for part in (path, unquote(path, errors="surrogateescape")))
