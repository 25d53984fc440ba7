"""Commits an entry that holds nothing but a commitInfo: that something was begun or ended which changes no version, such as a vacuum.

Goes through the table's arbiter like every commit; other writers are not disturbed by it, because it touches nothing (protocol section
"Commit Provenance Information"). It must never carry an action besides.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from compactor.ambient.ports import Ambient
from compactor.errors import ConflictGaveUp, StorageUnavailable
from compactor.model.snapshot import Snapshot, TableRef
from compactor.storage.base import Created, ObjectStore, PutUnknown
from compactor.tables.delta.arbiter import arbiter_for
from compactor.tables.delta.commit import engine_info
from compactor.tables.delta.entry_terms import in_commit_timestamp
from compactor.tables.delta.landed import transaction_of
from compactor.tables.delta.loading import load_latest, refresh
from compactor.tables.delta.log import read_entry
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.state import Action

_LONGEST_PAUSE_S = 2.0


def announce(
    store: ObjectStore, ref: TableRef, ambient: Ambient, options: DeltaOptions, operation: str, told: Mapping[str, Mapping[str, object]]
) -> int:
    """The version that the entry got. told: `operationParameters` and `operationMetrics`.

    Raises StorageError, TableCorrupt, TableRefused, and ConflictGaveUp when others took every version that was tried.
    """
    arbiter = arbiter_for(options, ambient)
    transaction = ambient.ids.new()
    target = load_latest(store, ref, options.memory_bytes)
    read_version, doubt = target.version, ""
    for attempt in range(options.max_commit_attempts):
        info = _info(store, target, ambient, (operation, transaction, read_version), told)
        outcome = arbiter.claim(store, target.version + 1, orjson.dumps({"commitInfo": info}) + b"\n")
        if isinstance(outcome, Created):
            return target.version + 1
        doubt = outcome.why if isinstance(outcome, PutUnknown) else ""
        arbiter.recover(store)
        entry = read_entry(store, target.version + 1)
        if entry is not None and transaction_of(entry) == transaction:
            return entry.version
        ambient.clock.sleep(ambient.randomness.uniform(0.0, min(_LONGEST_PAUSE_S, 0.02 * 2 ** min(attempt, 10))))
        if entry is not None:
            target = refresh(store, target)
    if doubt:
        raise StorageUnavailable(f"It is not known whether {operation} was logged in {ref.uri}: {doubt}")
    raise ConflictGaveUp(f"Other writers of {ref.uri} took every version that was tried for {operation}.")


def _info(
    store: ObjectStore, target: Snapshot, ambient: Ambient, names: tuple[str, str, int], told: Mapping[str, Mapping[str, object]]
) -> Action:
    operation, transaction, read_version = names
    now_ms = ambient.clock.now_ms()
    stamp = in_commit_timestamp(store, target, now_ms)
    return {
        **({} if stamp is None else {"inCommitTimestamp": stamp}),
        "timestamp": now_ms,
        "operation": operation,
        **told,
        "readVersion": read_version,
        "isolationLevel": "SnapshotIsolation",
        "isBlindAppend": True,
        "engineInfo": engine_info(),
        "txnId": transaction,
    }
