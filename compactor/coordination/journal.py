"""The journal: results of runs, by run id, so that asking for the same run again gives its result instead of a second run.

    begun      an intent object (intent.py); gone once the run left nothing behind
    committed  the log's own entries, which carry the run id: they are the truth
    ended      `runs/<run id>.json`, here, when it ended well: created once, never overwritten; the first result of an id stands
    gave up    `runs/<run id>~<n>.json`: a run that wrote its intent and failed, what it committed stands; its id may be tried again

Nothing is decided by the journal that the log does not confirm; when it is lost, the log still knows what landed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, TypeVar

from compactor.coordination.documents import check_run_id, create, decode, encode
from compactor.errors import ObjectMissing, TableCorrupt
from compactor.model.engine import Copies, DecodedBecause
from compactor.model.fingerprint import GroupFingerprint
from compactor.model.rewrite import GroupDropped
from compactor.model.run import RUN_FORMAT_VERSION, Run, RunRecord, RunStatus
from compactor.model.usage import usage_of
from compactor.storage.base import ObjectStore

T = TypeVar("T")
_ATTEMPTS = 100


def write_run(store: ObjectStore, prefix: str, record: RunRecord) -> None:
    """Keep the result of a run. An earlier result of that id stands. Raises StorageError, UsageError (run id)."""
    run = record.run
    data = encode("run", RUN_FORMAT_VERSION, {"run": asdict(run), "ended_ms": record.ended_ms, "by": record.by})
    key = _key(prefix, run.run_id)
    if run.status is RunStatus.COMMITTED:
        create(store, key, data)
        return
    for number in range(1, _ATTEMPTS):
        if create(store, f"{key.removesuffix('.json')}~{number}.json", data):
            return


def read_runs(store: ObjectStore, prefix: str, limit: int | None = None) -> list[RunRecord]:
    """At most `limit` results, newest first by the store's dates. Raises StorageError, TableRefused (newer format), TableCorrupt."""
    kept = [item for item in store.list(f"{prefix}runs/") if item.key.endswith(".json")]
    kept.sort(key=lambda item: (item.modified_ms, item.key), reverse=True)
    found = []
    for item in kept[:limit]:
        with suppress(ObjectMissing):  # removed since the listing
            found.append(_record(store.get(item.key), f"{store.uri}/{item.key}"))
    return found


def _record(data: bytes | memoryview, where: str) -> RunRecord:
    document = decode(data, "run", RUN_FORMAT_VERSION, where)
    try:
        return RunRecord(run=_run(document["run"]), ended_ms=int(document.get("ended_ms") or 0), by=document.get("by"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableCorrupt(f"{where} is not a run document.") from error


def find_run(store: ObjectStore, prefix: str, run_id: str) -> Run | None:
    """The result kept for this id, if any. Raises StorageError, TableRefused (newer format), TableCorrupt, UsageError (run id)."""
    key = _key(prefix, run_id)
    try:
        data = store.get(key)
    except ObjectMissing:
        return None
    return _record(data, f"{store.uri}/{key}").run


def _key(prefix: str, run_id: str) -> str:
    return f"{prefix}runs/{check_run_id(run_id)}.json"


def _run(body: dict[str, Any]) -> Run:
    known = {name: body[name] for name in _RUN_FIELDS if name in body}
    dropped = tuple(GroupDropped(**{name: drop.get(name) for name in _DROP_FIELDS}) for drop in body.get("groups_dropped", ()))
    rebuilt = {
        "status": RunStatus(body["status"]),
        "groups_dropped": dropped,
        "warnings": tuple(body.get("warnings", ())),
        "fingerprints": tuple(
            GroupFingerprint(**{name: found[name] for name in _FINGERPRINT_FIELDS}) for found in body.get("fingerprints", ())
        ),
        "copies": _known(Copies, body.get("copies") or {}),
        "decoded": tuple(_known(DecodedBecause, found) for found in body.get("decoded", ())),
        "predicted": usage_of(body.get("predicted")),
        "actual": usage_of(body.get("actual")),
    }
    return Run(**{**known, **rebuilt})


def _known(kind: type[T], body: dict[str, Any]) -> T:
    """A small value from what asdict made of it; fields that are not known here are passed over."""
    return kind(**{field.name: body[field.name] for field in fields(kind) if field.name in body})  # type: ignore[arg-type]


_RUN_FIELDS = tuple(field.name for field in fields(Run))
_DROP_FIELDS = tuple(field.name for field in fields(GroupDropped))
_FINGERPRINT_FIELDS = tuple(field.name for field in fields(GroupFingerprint))
