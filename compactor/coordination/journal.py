"""The journal: results of runs, by run id, so that asking for the same run again gives its result instead of a second run.

    begun      an intent object (intent.py); gone once the run left nothing behind
    committed  the log's own entries, which carry the run id: they are the truth
    ended      `runs/<run id>.json`, here: created once, never overwritten; the first result of an id stands

Nothing is decided by the journal that the log does not confirm; when it is lost, the log still knows what landed.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from compactor.coordination.documents import check_run_id, create, decode, encode
from compactor.errors import ObjectMissing
from compactor.model.rewrite import GroupDropped
from compactor.model.run import RUN_FORMAT_VERSION, Run, RunStatus
from compactor.storage.base import ObjectStore


def write_run(store: ObjectStore, prefix: str, run: Run, ended_ms: int) -> None:
    """Keep the result of a run. An earlier result of that id stands. Raises StorageError, UsageError (run id)."""
    body = {"run": asdict(run), "ended_ms": ended_ms}
    create(store, _key(prefix, run.run_id), encode("run", RUN_FORMAT_VERSION, body))


def find_run(store: ObjectStore, prefix: str, run_id: str) -> Run | None:
    """The result kept for this id, if any. Raises StorageError, TableRefused (newer format), TableCorrupt, UsageError (run id)."""
    key = _key(prefix, run_id)
    try:
        data = store.get(key)
    except ObjectMissing:
        return None
    return _run(decode(data, "run", RUN_FORMAT_VERSION, f"{store.uri}/{key}")["run"])


def _key(prefix: str, run_id: str) -> str:
    return f"{prefix}runs/{check_run_id(run_id)}.json"


def _run(body: dict[str, Any]) -> Run:
    known = {name: body[name] for name in _RUN_FIELDS if name in body}
    dropped = tuple(GroupDropped(**{name: drop.get(name) for name in _DROP_FIELDS}) for drop in body.get("groups_dropped", ()))
    return Run(**{**known, "status": RunStatus(body["status"]), "groups_dropped": dropped, "warnings": tuple(body.get("warnings", ()))})


_RUN_FIELDS = tuple(field.name for field in fields(Run))
_DROP_FIELDS = tuple(field.name for field in fields(GroupDropped))
