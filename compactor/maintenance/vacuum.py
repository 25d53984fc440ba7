"""Deletes files that nobody can need any more. The only place that deletes data files of a table (design rule 3).

A file goes when all of this holds: its name is that of a data file, change file or deletion vector, and not hidden; by the store's date
it is older than the retention; no version names it that was the latest within the retention, or is later; no run that has not ended
claims it. The order makes that safe while others write: first the folder is listed, then intents are read, then the log, and before each
batch the versions since. What was in the listing and is not named by then was begun before the retention.

    list ─► claims ─► needed ─► VACUUM START ─► (versions since ─► batch)… ─► VACUUM END
                          └── nothing to do, or a dry run: nothing is written
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from compactor.coordination.claims import Claims
from compactor.errors import CompactorError, TableRefused, UsageError
from compactor.maintenance.inventory import Inventory, total_bytes
from compactor.model.snapshot import Snapshot
from compactor.model.vacuum import OnSwept, Swept, Vacuumed
from compactor.storage.base import ObjectMeta, ObjectStore
from compactor.tables.care import Named, TableCare
from compactor.units import format_seconds

BATCH_FILES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the user wants. retention_s: None for the table's own; shorter ones only where `allow_short`."""

    retention_s: float | None = None
    allow_short: bool = False
    dry_run: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is vacuumed. claims: reads what runs that have not ended may still need."""

    table: TableCare
    store: ObjectStore
    claims: Callable[[], Claims]


def vacuum(ground: Ground, terms: Terms, on_swept: OnSwept | None = None) -> Vacuumed:
    """See the module. Raises UsageError for a retention below the table's, TableRefused, StorageError, ConflictGaveUp (not logged)."""
    snapshot = ground.table.load()
    refusals = ground.table.gate(snapshot).refusals
    if refusals:
        raise TableRefused(refusals[0].why, reason=refusals[0].reason)
    own_s = ground.table.retention_s(snapshot)
    retention_s = _retention(ground.table.ref.uri, own_s, terms)
    cutoff_ms = ground.store.now_ms() - int(retention_s * 1000)
    files = _listed(ground, snapshot)
    claims = ground.claims()
    needed = ground.table.needed_since(cutoff_ms)
    unnamed = [item for item in files if item.key not in needed and item.key not in claims]
    doomed = [item for item in unnamed if item.modified_ms < cutoff_ms]
    replaced = _replaced(ground, files, claims, needed) if terms.dry_run else []
    found = Vacuumed(
        table=ground.table.ref.uri,
        version=needed.versions[1],
        dry_run=terms.dry_run,
        retention_s=retention_s,
        paths=tuple(item.key for item in doomed),
        bytes=total_bytes(doomed),
        young_files=len(unnamed) - len(doomed),
        young_bytes=total_bytes(unnamed) - total_bytes(doomed),
        replaced_files=len(replaced),
        replaced_bytes=total_bytes(replaced),
    )
    if terms.dry_run or not doomed:
        return found
    return _sweep(ground, _parameters(terms, own_s), found, doomed, on_swept)


def _replaced(ground: Ground, files: Sequence[ObjectMeta], claims: Claims, needed: Named) -> list[ObjectMeta]:
    """What is needed only because it was live within the retention."""
    if needed.versions[0] == needed.versions[1]:
        return []
    live = ground.table.needed_since(ground.store.now_ms())
    return [item for item in files if item.key in needed and item.key not in live and item.key not in claims]


def _retention(uri: str, own: float, terms: Terms) -> float:
    wanted = own if terms.retention_s is None else terms.retention_s
    if wanted < own and not terms.allow_short:
        raise UsageError(
            f"{uri} keeps replaced files for {format_seconds(own)} (delta.deletedFileRetentionDuration); a retention of "
            f"{format_seconds(wanted)} may take them from readers and writers at work: pass --allow-short-retention if there are none."
        )
    return wanted


def _listed(ground: Ground, snapshot: Snapshot) -> list[ObjectMeta]:
    inventory = Inventory.of(snapshot.partition_columns)
    files = [item for item in ground.store.list("") if inventory.is_file(item)]
    return inventory.outside_of_others(files)


def _parameters(terms: Terms, own_s: float) -> dict[str, object]:
    """What the log is told of the terms, in the words of Delta on Spark."""
    specified = {} if terms.retention_s is None else {"specifiedRetentionMillis": int(terms.retention_s * 1000)}
    return {"retentionCheckEnabled": not terms.allow_short, **specified, "defaultRetentionMillis": int(own_s * 1000)}


def _sweep(
    ground: Ground, parameters: dict[str, object], found: Vacuumed, doomed: Sequence[ObjectMeta], on_swept: OnSwept | None
) -> Vacuumed:
    """Delete in batches, between the two entries. What was named since is left."""
    metrics = {"numFilesToDelete": str(len(doomed)), "sizeOfDataToDelete": str(found.bytes)}
    start = ground.table.announce("VACUUM START", parameters, metrics)
    gone: list[ObjectMeta] = []
    try:
        for at in range(0, len(doomed), BATCH_FILES):
            named = ground.table.named_after(found.version)
            batch = [item for item in doomed[at : at + BATCH_FILES] if item.key not in named]
            ground.store.delete([item.key for item in batch])
            gone += batch
            if on_swept is not None:
                on_swept(Swept(files=len(gone), bytes=total_bytes(gone), of_files=len(doomed), of_bytes=found.bytes))
    except CompactorError:
        with suppress(CompactorError):  # the failure itself is what must be told
            _end(ground.table, "FAILED", gone)
        raise
    end = _end(ground.table, "COMPLETED", gone)
    paths = tuple(item.key for item in gone)
    return replace(found, paths=paths, bytes=total_bytes(gone), start_version=start, end_version=end)


def _end(table: TableCare, status: str, gone: Sequence[ObjectMeta]) -> int:
    folders = {item.key.rpartition("/")[0] for item in gone}
    metrics = {"numDeletedFiles": str(len(gone)), "numVacuumedDirectories": str(len(folders))}
    return table.announce("VACUUM END", {"status": status}, metrics)
