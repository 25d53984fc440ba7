"""RunRecords: what a run leaves behind in the state (`_compactor/` in the table's folder unless configured): its intent and its result.

The intent is written before the first output and forgotten once nothing can be left of the run; the result is written after the end and
kept. Both are created, never overwritten, and carry a `format_version`: older is read, newer is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from compactor.ambient.ports import Clock
from compactor.errors import CompactorError, ObjectMissing, StorageError, UsageError
from compactor.model.plan import Plan
from compactor.model.rewrite import GroupDropped
from compactor.model.run import RUN_FORMAT_VERSION, Run, RunStatus
from compactor.storage.base import Exists, ObjectStore, PutUnknown

INTENT_FORMAT_VERSION = 1
_SAFE_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_LONGEST_NAME = 128


class RunRecords:
    """Intents and results below `prefix` of a store."""

    def __init__(self, *, store: ObjectStore, prefix: str, clock: Clock) -> None:
        """`prefix` ends in `/`."""
        self._store = store
        self._prefix = prefix
        self._clock = clock

    def intend(self, run_id: str, plan: Plan, stem: Callable[[int], str], prefixes: Callable[[int], str]) -> None:
        """Write what the run is about to write: of each group the folder and the unique stem of its outputs' names.

        Raises UsageError when a run of this id has begun before, StorageError when the intent is not known to be stored.
        """
        groups = [{"group_id": i, "output_prefix": prefixes(i), "stem": stem(i)} for i in range(len(plan))]
        intent = {
            "format_version": INTENT_FORMAT_VERSION,
            "run_id": run_id,
            "table": plan.table.uri,
            "read_version": plan.version,
            "written_ms": self._clock.now_ms(),
            "groups": groups,
        }
        outcome = self._store.create(self._intent_key(run_id), _encode(intent))
        if isinstance(outcome, Exists):
            raise UsageError(f"A run {run_id} of {plan.table.uri} has begun before and has not ended; choose another run id.")
        if isinstance(outcome, PutUnknown):
            raise StorageError(f"It is not known whether the intent of run {run_id} was stored, so nothing was begun: {outcome.why}")

    def forget_intent(self, run_id: str) -> None:
        """Nothing can be left of the run. A failure leaves an intent behind, which does no harm."""
        try:
            self._store.delete([self._intent_key(run_id)])
        except StorageError:
            return

    def record(self, run: Run) -> None:
        """Keep the result of a run. Raises StorageError."""
        outcome = self._store.create(self._result_key(run.run_id), _encode({"format_version": RUN_FORMAT_VERSION, **asdict(run)}))
        if isinstance(outcome, PutUnknown):
            raise StorageError(f"It is not known whether the result was stored: {outcome.why}")

    def find(self, run_id: str) -> Run | None:
        """The result of a run that has ended, or None.

        Raises UsageError for an id that cannot be a name, CompactorError for a record of a newer release.
        """
        try:
            data = self._store.get(self._result_key(run_id))
        except ObjectMissing:
            return None
        return _run_of(json.loads(bytes(data)), f"{self._store.uri}/{self._result_key(run_id)}")

    def _intent_key(self, run_id: str) -> str:
        return f"{self._prefix}intents/{_name(run_id)}.json"

    def _result_key(self, run_id: str) -> str:
        return f"{self._prefix}runs/{_name(run_id)}.json"


def _name(run_id: str) -> str:
    if not run_id or len(run_id) > _LONGEST_NAME or not set(run_id) <= _SAFE_NAME or run_id.startswith("."):
        raise UsageError(f'"{run_id}" cannot be a run id; use up to {_LONGEST_NAME} letters, digits, "-", "_" and ".".')
    return run_id


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def _run_of(stored: dict[str, Any], where: str) -> Run:
    version = stored.get("format_version")
    if not isinstance(version, int) or version > RUN_FORMAT_VERSION:
        raise CompactorError(f"{where} has format_version {version}; this release reads up to {RUN_FORMAT_VERSION}.")
    known = {field.name for field in fields(Run)}
    values = {name: value for name, value in stored.items() if name in known}
    values["status"] = RunStatus(values["status"])
    values["groups_dropped"] = tuple(GroupDropped(**drop) for drop in values["groups_dropped"])
    values["warnings"] = tuple(values["warnings"])
    return Run(**values)
