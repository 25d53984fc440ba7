"""Commits among the retained ones that removed files which were not live: their writers had judged wrongly, and rows are doubled or back.

deltalake 1.6.4 to 1.6.6 does so after any compaction; the sign does not depend on who compacted. Reads only (protocol section "Action
Reconciliation": such a remove has no effect, while the adds of its commit have).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.tables.delta.loading import load_version
from compactor.tables.delta.log import LogListing, read_entries
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.restores import Key, is_untold, key_of, restored_to, restored_versions
from compactor.tables.delta.state import LogEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class VainRemoves:
    """One commit. files: paths that it removed in vain; removed_by: the versions that had removed them before, where the log shows them;
    added: paths that it added. undone_by: a later version that restored the table to one before it."""

    version: int
    engine: str
    operation: str
    files: tuple[str, ...]
    removed_by: tuple[int, ...]
    added: tuple[str, ...]
    undone_by: int | None = None


@dataclass(slots=True)
class _Walk:
    """What is known while the log is replayed. last: of each file that was touched, whether it is live and which version said so.

    asked: first touches that were removes, whose files must have been live from the beginning.
    """

    last: dict[Key, tuple[bool, int]] = field(default_factory=dict)
    asked: dict[Key, tuple[int, str]] = field(default_factory=dict)
    vain: dict[int, dict[str, int | None]] = field(default_factory=dict)
    told: dict[int, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    restores: list[tuple[int, int]] = field(default_factory=list)
    untold: bool = False


def vain_removes(store: ObjectStore, ref: TableRef, listing: LogListing) -> list[VainRemoves]:
    """Such commits in the unbroken tail of the retained log, oldest first. Raises StorageError, TableCorrupt."""
    if not listing.commits:
        return []
    newest = max(listing.commits)
    oldest = newest
    while oldest - 1 in listing.commits:
        oldest -= 1
    base = _known_from(listing, oldest)
    walk = _Walk()
    for entry in read_entries(store, oldest - 1, newest, listing):
        _step(walk, entry, base)
    live = _live(load_version(store, ref, base), list(walk.asked)) if walk.asked and base is not None and base >= 0 else set()
    unknown = {key: place for key, place in walk.asked.items() if key not in live}
    for version, path in unknown.values():
        walk.vain.setdefault(version, {})[path] = None
    if walk.vain and walk.untold:
        never = {(version, key) for key, (version, _) in unknown.items()}
        walk.restores = list(restored_versions(read_entries(store, oldest - 1, newest, listing), never).items())
    return [_found(walk, version) for version in sorted(walk.vain)]


def _known_from(listing: LogListing, oldest: int) -> int | None:
    """The first version whose live files are known: -1 (none are), or that of a checkpoint."""
    if oldest == 0:
        return -1
    return next((c.version for c in listing.checkpoints if c.version >= oldest - 1), None)


def _step(walk: _Walk, entry: LogEntry, base: int | None) -> None:
    before = len(walk.asked)
    for remove in entry.removes:
        key = key_of(remove)
        live, version = walk.last.get(key, (None, -1))
        if live is False:
            walk.vain.setdefault(entry.version, {})[remove["path"]] = version
        elif live is None and base is not None and entry.version > base:
            walk.asked[key] = (entry.version, remove["path"])
        walk.last[key] = (False, entry.version if live is not False else version)
    for add in entry.adds:
        walk.last[key_of(add)] = (True, entry.version)
    if entry.version in walk.vain or len(walk.asked) > before:
        info = entry.commit_info or {}
        engine = str(info.get("engineInfo") or info.get("clientVersion") or "an unnamed engine")
        added = tuple(str(add["path"]) for add in entry.adds)
        walk.told[entry.version] = (engine, str(info.get("operation") or "unnamed operation"), added)
    if (to := restored_to(entry)) is not None:
        walk.restores.append((entry.version, to))
    walk.untold |= is_untold(entry)


def _live(snapshot: Snapshot, keys: Sequence[Key]) -> set[Key]:
    """Those of the keys that are live in a snapshot; exact spellings first, so that a million paths need not be decoded."""
    files = snapshot.files.select(["path", "deletes_id"])
    near = files.filter(pc.is_in(files["path"], value_set=pa.array([path for path, _ in keys], pa.string())))
    found = set(_keys(near))
    return found if found.issuperset(keys) else found | set(_keys(files))


def _keys(files: pa.Table) -> Iterator[Key]:
    paths, deletes = files["path"].to_pylist(), files["deletes_id"].to_pylist()
    return ((canonical(path), vector) for path, vector in zip(paths, deletes, strict=True))


def _found(walk: _Walk, version: int) -> VainRemoves:
    engine, operation, added = walk.told[version]
    files = walk.vain[version]
    return VainRemoves(
        version=version,
        engine=engine,
        operation=operation,
        files=tuple(files),
        removed_by=tuple(sorted({before for before in files.values() if before is not None})),
        added=added,
        undone_by=next((at for at, to in walk.restores if to < version < at), None),
    )
