"""A rival compactor that judges as deltalake 1.6.6 does: files that a compaction has replaced meanwhile do not stop it, so that its own
outputs double their rows. It knows what it has done, so that everybody else can be measured against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from compactor.storage.base import ObjectStore
from simulation.appender import PARTITIONS, Appender
from simulation.reader import CARELESS, Row, live_files, newest_version, rows_of_file


class StaleRival(Appender):
    """One careless compactor. `bare`: the store without turns, to look at what a commit has done before anyone else moves."""

    def __init__(self, bare: ObjectStore, **named: Any) -> None:
        super().__init__(**named)
        self._bare = bare

    def story(self, steps: int, deletes: float) -> None:
        """`steps` compactions of one partition each, slowly."""
        for _ in range(steps):
            self._compact(self._random.choice(PARTITIONS))

    def _compact(self, partition: str) -> None:
        live = live_files(self._store, newest_version(self._store))
        inputs = [add for add in live.values() if add["partitionValues"]["p"] == partition]
        if len(inputs) < 2:
            return
        rows = [row for add in inputs for row in rows_of_file(self._store, add["path"], add)]
        self._clock.sleep(self._random.uniform(1, 20))
        add = self._written(rows)
        add["add"]["dataChange"] = False
        actions = [self._careless_remove(add) for add in inputs] + [add]
        while True:
            version = newest_version(self._store) + 1
            if self._commit(version, actions, self._history.at(version), f"{CARELESS}"):
                self._own_up(version, inputs)
                return

    def _careless_remove(self, add: Mapping[str, Any]) -> dict[str, Any]:
        return {"remove": {**self._remove(add)["remove"], "dataChange": False}}

    def _own_up(self, version: int, inputs: list[Mapping[str, Any]]) -> None:
        before = live_files(self._bare, version - 1)
        if any(add["path"] not in before for add in inputs):
            after = live_files(self._bare, version)
            rows: Counter[Row] = Counter(row for path, add in after.items() for row in rows_of_file(self._bare, path, add))
            self._history.damage[version] = rows
