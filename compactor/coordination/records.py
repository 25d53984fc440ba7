"""The records of one table's runs, as the pipeline uses them: intents before effects, results after the end.

They live below `prefix` of a store: `_compactor/` in the table's own folder (names that begin with an underscore are invisible to readers
of the table and to VACUUM), or a folder for each table below a configured state URI. A run that writes nothing leaves nothing here.
"""

from __future__ import annotations

from collections.abc import Callable

from compactor.ambient.ports import Clock
from compactor.coordination.documents import check_run_id
from compactor.coordination.intent import Intent, IntentGroup, write_intent
from compactor.coordination.journal import find_run, read_runs, write_run
from compactor.model.plan import Plan
from compactor.model.run import Run, RunRecord
from compactor.storage.base import ObjectStore


class RunRecords:
    """Records of the runs of one table."""

    def __init__(self, *, store: ObjectStore, prefix: str, clock: Clock, by: str | None = None) -> None:
        """`prefix`: empty, or ending in `/`. `by`: the program and machine that runs, for people."""
        self._store = store
        self._prefix = prefix
        self._clock = clock
        self._by = by
        self._intents: dict[str, str] = {}

    def find(self, run_id: str) -> Run | None:
        """The result of a run of this id that ended before. Raises StorageError, TableRefused (newer format), UsageError (run id)."""
        return find_run(self._store, self._prefix, check_run_id(run_id))

    def intend(self, run_id: str, plan: Plan, stem: Callable[[int], str]) -> None:
        """Say what the run will write; when this returns, the intent is durable. Raises StorageError: then nothing may be written."""
        firsts = plan.inputs["path"].take(plan.groups["first_input"]).to_pylist()
        ids = plan.groups["group_id"].to_pylist()
        intent = Intent(
            run_id=run_id,
            table=plan.table.uri,
            version=plan.version,
            created_ms=self._clock.now_ms(),
            groups=tuple(IntentGroup(group_id=i, beside=first, stem=stem(i)) for i, first in zip(ids, firsts, strict=True)),
        )
        self._intents[run_id] = write_intent(self._store, self._prefix, intent)

    def forget_intent(self, run_id: str) -> None:
        """Remove the intent that intend() made, once nothing of the run can be left over. Raises StorageError."""
        key = self._intents.pop(run_id, None)
        if key is not None:
            self._store.delete([key])

    def record(self, run: Run) -> None:
        """Keep the result of a run that wrote something. Raises StorageError."""
        write_run(self._store, self._prefix, RunRecord(run=run, ended_ms=self._clock.now_ms(), by=self._by))

    def runs(self, limit: int | None = None) -> list[RunRecord]:
        """Results of runs that wrote something, newest first. Raises StorageError, TableRefused (newer format), TableCorrupt."""
        return read_runs(self._store, self._prefix, limit)
