"""What the table demands of the next entry, read off the snapshot it builds on: timestamps, row ids, statistics. New for every attempt.

Protocol sections "In-Commit Timestamps", "Row Tracking", "Deletion Vectors" (tight bounds), "Per-file Statistics".
"""

from __future__ import annotations

import json

from compactor.errors import TableRefused
from compactor.model.commit import CommitRequest
from compactor.model.snapshot import Snapshot
from compactor.storage.base import ObjectStore
from compactor.tables.delta.entry import ROW_TRACKING_DOMAIN, EntryTerms
from compactor.tables.delta.iceberg import compat_version
from compactor.tables.delta.log import read_entry
from compactor.tables.delta.row_tracking import gives_row_ids, keeps_row_ids
from compactor.tables.delta.state import DeltaState
from compactor.tables.delta.statistics import leaf_types, string_prefix


def terms_for(store: ObjectStore, target: Snapshot, *, now_ms: int, read_version: int, request: CommitRequest) -> EntryTerms:
    """The terms of the entry right after `target`. Raises TableRefused when its in-commit timestamp cannot be known, and StorageError."""
    state = target.state
    assert isinstance(state, DeltaState)
    return EntryTerms(
        version=target.version + 1,
        read_version=read_version,
        now_ms=now_ms,
        run_id=request.run_id,
        transaction_id=request.transaction_id,
        purge=request.purge,
        compression=request.compression,
        planned=request.planned,
        types=leaf_types(state.metadata, target.features),
        string_prefix=string_prefix(target.properties),
        tight_bounds="deletionVectors" in target.features,
        in_commit_timestamp_ms=in_commit_timestamp(store, target, now_ms),
        row_id_high_water_mark=_high_water_mark(target, state),
        iceberg_compat=compat_version(state.metadata, target.features),
        keeps_row_ids=keeps_row_ids(state.metadata, target.features),
    )


def _enabled(target: Snapshot, feature: str, key: str) -> bool:
    return feature in target.features and target.properties.get(key, "false").lower() == "true"


def in_commit_timestamp(store: ObjectStore, target: Snapshot, now_ms: int) -> int | None:
    """Now, but after the timestamp of the entry before: checkpoints do not hold it, so that entry may have to be read. None: not enabled.

    Raises TableRefused, StorageError.
    """
    state = target.state
    assert isinstance(state, DeltaState)
    if not _enabled(target, "inCommitTimestamp", "delta.enableInCommitTimestamps"):
        return None
    previous = state.in_commit_timestamp_ms
    if previous is None:
        entry = read_entry(store, target.version)
        previous = (entry.commit_info or {}).get("inCommitTimestamp") if entry is not None else None
    if not isinstance(previous, int):
        raise TableRefused(
            f"{target.table.uri} has in-commit timestamps, but the entry of version {target.version} holds none to go on from.",
            reason="feature:inCommitTimestamp",
        )
    return max(now_ms, previous + 1)


def _high_water_mark(target: Snapshot, state: DeltaState) -> int | None:
    """The last row id in use, -1 when there is none yet; None when new files get no row ids."""
    if not gives_row_ids(state.metadata, target.features):
        return None
    domain = state.domains.get(ROW_TRACKING_DOMAIN)
    return int(json.loads(domain)["rowIdHighWaterMark"]) if domain else -1
