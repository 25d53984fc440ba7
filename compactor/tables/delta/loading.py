"""How a version is reached: which checkpoint and which commits to read, and what to do when one of them is damaged or gone.

Protocol sections "Last Checkpoint File" (a hint, nothing more), "Checkpoints", "Log Clean-up". Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import orjson
import pyarrow as pa

from compactor.ambient.collector import uncollected
from compactor.errors import CompactorError, NotATable, ObjectMissing, TableCorrupt, UsageError
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.tables.delta.checkpoints import read_checkpoint
from compactor.tables.delta.driver_memory import check_entry
from compactor.tables.delta.log import LAST_CHECKPOINT, LogListing, entry_key, list_log, read_entries, read_entry
from compactor.tables.delta.protocol import features_in_force
from compactor.tables.delta.replay import Base, apply, build
from compactor.tables.delta.state import DeltaState

_WORTH_RELEASING = 16 * 1024 * 1024


def load_latest(store: ObjectStore, ref: TableRef, memory_bytes: int | None = None) -> Snapshot:
    """The latest version. Raises NotATable, UsageError (nothing at the URI), TableCorrupt, StorageError; TableRefused when it is known
    beforehand that the table does not fit into `memory_bytes`."""
    hint = _hinted_version(store)
    if hint is not None and hint > 0:
        listing = list_log(store, after_version=hint - 1)
        if any(c.version >= hint for c in listing.checkpoints) and listing.newest is not None:
            try:
                return _load(store, ref, listing, listing.newest, memory_bytes)
            except TableCorrupt:
                pass  # perhaps only the newest checkpoint: the whole listing shows older ones and names what is missing
    listing = list_log(store)
    if listing.newest is None:
        raise absence(store, ref, listing)
    try:
        return _load(store, ref, listing, listing.newest, memory_bytes)
    except TableCorrupt:
        again = list_log(store)  # a listing is no snapshot of a folder: entries may have come or gone while it was made
        if again.newest is None or (again.commits.keys() == listing.commits.keys() and again.checkpoints == listing.checkpoints):
            raise
        return _load(store, ref, again, again.newest, memory_bytes)


def load_version(store: ObjectStore, ref: TableRef, version: int, memory_bytes: int | None = None) -> Snapshot:
    """That version. Raises UsageError when the log does not have it (any more), and what load_latest raises."""
    listing = list_log(store)
    if listing.newest is None:
        raise absence(store, ref, listing)
    if not 0 <= version <= listing.newest:
        raise UsageError(f"The table {ref.uri} has no version {version}; the latest is {listing.newest}.")
    starts = [-1, *(c.version for c in listing.checkpoints if c.version <= version)]
    if all(listing.missing(start, version) is not None for start in starts):
        raise UsageError(f"Version {version} of the table {ref.uri} can no longer be read: its log has been cleaned up.")
    return _load(store, ref, listing, version, memory_bytes)


def refresh(store: ObjectStore, snapshot: Snapshot) -> Snapshot:
    """The latest version from `snapshot` and the tail of the log; `snapshot` itself when nothing is newer."""
    listing = list_log(store, after_version=snapshot.version - 1 if snapshot.version > 0 else None)
    newest = listing.newest
    if newest is None or listing.missing(snapshot.version, newest) is not None:
        return load_latest(store, snapshot.table)  # cleaned up, restored from elsewhere, or created anew
    if newest == snapshot.version:
        return snapshot
    try:
        updated = apply(snapshot, read_entries(store, snapshot.version, newest, listing))
    except TableCorrupt:
        return load_latest(store, snapshot.table)  # an entry vanished meanwhile, or is damaged: then this says so
    state = updated.state
    assert isinstance(state, DeltaState)
    seen = max((c.version for c in listing.checkpoints), default=state.checkpoint_version)
    return replace(updated, state=replace(state, checkpoint_version=seen))


def _hinted_version(store: ObjectStore) -> int | None:
    try:
        hint = orjson.loads(store.get(LAST_CHECKPOINT))
    except (ObjectMissing, ValueError):
        return None
    version = hint.get("version") if isinstance(hint, dict) else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def absence(store: ObjectStore, ref: TableRef, listing: LogListing) -> CompactorError:
    """Why there is no version to load."""
    if listing.seen:
        return TableCorrupt(f"The log of {ref.uri} holds no commit and no complete checkpoint.")
    if next(iter(store.list("")), None) is None:
        return UsageError(f"There is nothing at {ref.uri}.")
    return NotATable(
        f"{ref.uri} is not a Delta table: there is no _delta_log in it. Point at the folder that holds `_delta_log`.", reason="not-a-table"
    )


def _load(store: ObjectStore, ref: TableRef, listing: LogListing, upto: int, memory_bytes: int | None) -> Snapshot:
    """`upto` from the best checkpoint that can be read, else from the first commit."""
    error: CompactorError | None = None
    for files in reversed([c for c in listing.checkpoints if c.version <= upto]):
        if (gap := listing.missing(files.version, upto)) is not None:
            error = error or TableCorrupt(f"The log entry {ref.uri}/{entry_key(gap)} is missing although later versions exist.")
            continue
        try:
            base = read_checkpoint(store, ref, files, memory_bytes)
        except (TableCorrupt, ObjectMissing) as failure:
            error = error or failure
            continue
        _check_entries(store, listing, files.version, upto, memory_bytes)
        with _lean():
            return build(ref, _stamped(store, base, listing, upto), read_entries(store, files.version, upto, listing))
    gap = listing.missing(-1, upto)
    if gap is None:
        _check_entries(store, listing, -1, upto, memory_bytes)
        with _lean():
            return build(ref, Base(), read_entries(store, -1, upto, listing))
    if isinstance(error, ObjectMissing):
        error = TableCorrupt(f"A checkpoint of {ref.uri} is incomplete: {error}")
    raise error or TableCorrupt(
        f"The log of {ref.uri} starts in the middle: {entry_key(gap)} is missing and there is no complete checkpoint after it."
    )


def _check_entries(store: ObjectStore, listing: LogListing, after: int, upto: int, memory_bytes: int | None) -> None:
    """Refuse an entry that is too large to be read. Raises TableRefused."""
    for version in range(after + 1, upto + 1):
        check_entry(f"{store.uri}/{entry_key(version)}", listing.commits[version].size_bytes, memory_bytes)


@contextmanager
def _lean() -> Iterator[None]:
    """Without the search for cycles, and with what Arrow's allocator kept of a large table given back at the end."""
    try:
        with uncollected():
            yield
    finally:
        if pa.total_allocated_bytes() > _WORTH_RELEASING:
            pa.default_memory_pool().release_unused()


def _stamped(store: ObjectStore, base: Base, listing: LogListing, upto: int) -> Base:
    """A checkpoint with the in-commit timestamp of its version, which only the commit itself has; needed when it is the latest."""
    assert base.protocol is not None
    if base.version != upto or base.version not in listing.commits or "inCommitTimestamp" not in features_in_force(base.protocol):
        return base
    entry = read_entry(store, base.version)
    stamp = (entry.commit_info or {}).get("inCommitTimestamp") if entry is not None else None
    return replace(base, in_commit_timestamp_ms=stamp if isinstance(stamp, int) else None)
