"""Holds retained checkpoints against the log: each must say what replaying the commits from the one before it says. Reads only.

Compared are protocol, metadata, domains, and of the files path, deletion vector, size, deleted rows and partition values; not statistics,
which a checkpoint may leave out, nor tombstones. The oldest one has nothing before it that it could be compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from compactor.errors import ObjectMissing, TableCorrupt
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import ObjectStore
from compactor.tables.delta.checkpoints import read_checkpoint
from compactor.tables.delta.log import LogListing, read_entries
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.replay import Base, base_of, build
from compactor.tables.delta.state import DeltaState

_COMPARED = ("path", "deletes_id", "size_bytes", "deleted_rows")
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFault:
    """A checkpoint that is wrong or unreadable. files: paths in one and not in the other, or described otherwise."""

    version: int
    why: str
    files: tuple[str, ...] = ()


def checkpoint_faults(store: ObjectStore, ref: TableRef, listing: LogListing, newest: int = 10) -> Iterator[CheckpointFault]:
    """What is wrong with the `newest` retained checkpoints. Raises StorageError, TableCorrupt (a damaged log entry)."""
    base = Base() if 0 in listing.commits else None
    ahead = [c for c in listing.checkpoints if c.version >= 0][-newest - 1 :]
    if len(ahead) > newest:
        base = None  # older ones are not read, so that the first of these is where to begin
    for files in ahead:
        try:
            said = build(ref, read_checkpoint(store, ref, files), ())
        except (TableCorrupt, ObjectMissing) as error:
            yield CheckpointFault(version=files.version, why=f"It cannot be read: {error}")
            continue
        if base is None or listing.missing(base.version, files.version) is not None:
            base = base_of(said)
            continue
        if base.version < files.version:
            base = base_of(build(ref, base, read_entries(store, base.version, files.version, listing)))
        fault = _compare(said, build(ref, base, ()))
        if fault is not None:
            yield replace(fault, version=files.version)


def _compare(said: Snapshot, true: Snapshot) -> CheckpointFault | None:
    mine, log = said.state, true.state
    assert isinstance(mine, DeltaState) and isinstance(log, DeltaState)
    if mine.protocol != log.protocol:
        return CheckpointFault(version=0, why="Its protocol is not that of the log.")
    ours, theirs = mine.metadata, log.metadata
    for name in ("id", "schema", "partition_columns", "configuration"):
        if getattr(ours, name) != getattr(theirs, name):
            return CheckpointFault(version=0, why=f"Its {name.replace('_', ' ')} is not that of the log.")
    if dict(mine.domains) != dict(log.domains):
        return CheckpointFault(version=0, why="Its domain metadata is not that of the log.")
    if _sorted(said).equals(_sorted(true)) and said.partitions.equals(true.partitions):
        return None
    have, want = _rows(said), _rows(true)
    lost, risen = want.keys() - have.keys(), have.keys() - want.keys()
    other = {key for key in have.keys() & want.keys() if have[key] != want[key]}
    if not (lost or risen or other):
        return None
    parts = [(lost, "live files are not in it"), (risen, "files in it are not live"), (other, "files are described otherwise")]
    why = ", ".join(f"{len(keys):,} {what}" for keys, what in parts if keys)
    return CheckpointFault(version=0, why=f"{why}.", files=tuple(sorted({path for path, _ in lost | risen | other})))


def _sorted(snapshot: Snapshot) -> pa.Table:
    files = snapshot.files.select([*_COMPARED, "partition_id"])
    return files.sort_by([("path", "ascending"), ("deletes_id", "ascending")]).combine_chunks()


def _rows(snapshot: Snapshot) -> dict[tuple[str, str | None], Row]:
    partitions = snapshot.partitions.to_pylist()
    found: dict[tuple[str, str | None], Row] = {}
    for row in snapshot.files.select([*_COMPARED, "partition_id"]).to_pylist():
        values = tuple(partitions[row["partition_id"]].items()) if partitions else ()
        found[canonical(row["path"]), row["deletes_id"]] = (row["size_bytes"], row["deleted_rows"], values)
    return found
