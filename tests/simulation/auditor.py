"""Looks at the table after every change that anyone could see, and says what is wrong with it.

At each version: numbers without gaps, entries never rewritten, every live file there with the size and rows the log says, no file removed
that was not live, and the rows of the table equal to the serial history of those who write rows. At the end: no output left over that
neither the log nor an intent knows, and every run's own account true.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from compactor.coordination.intent import intent_keys, read_intent
from compactor.model.positions import vector_prefix
from compactor.model.run import Run, RunStatus
from compactor.storage.base import ObjectStore
from simulation.appender import History
from simulation.reader import Columns, Row, actions, columns_of, entry_key, replay, rows_of_file, vector_key, vector_of, versions


class Auditor:
    """Sees the bare store, without faults and without turns."""

    def __init__(self, store: ObjectStore, history: History) -> None:
        self._store = store
        self._history = history
        self._entries: dict[int, str] = {}
        self._live: dict[str, Mapping[str, Any]] = {}
        self._rows: dict[tuple[str, str | None, Columns], list[Row]] = {}
        self._more: Columns = ()
        self.audits = 0

    def look(self) -> None:
        """Audit what is new. Raises AssertionError."""
        self.audits += 1
        found = versions(self._store)
        assert found == list(range(len(found))), f"the versions have a gap: {found}"
        for version in found:
            digest = hashlib.sha256(self._store.get(entry_key(version))).hexdigest()
            if version not in self._entries:
                entry = list(actions(self._store, version))
                replay(self._live, iter(entry))
                self._more = next((columns_of(action["metaData"]) for action in entry if "metaData" in action), self._more)
                self._compare(version)
            assert self._entries.setdefault(version, digest) == digest, f"version {version} was rewritten"
        for path, add in self._live.items():
            meta = self._store.head(unquote(path))
            assert meta is not None, f"{path} is live and does not exist"
            assert meta.size_bytes == add["size"], f"{path} has another size than the log says"
            vector = vector_key(add)
            assert vector is None or self._store.head(vector) is not None, f"the deletion vector {vector} of {path} does not exist"

    def _compare(self, version: int) -> None:
        rows: Counter[Row] = Counter()
        for path, add in self._live.items():
            place = (path, vector_of(add), self._more)
            if place not in self._rows:
                self._rows[place] = rows_of_file(self._store, path, add, self._more)
            rows.update(self._rows[place])
        wanted = self._history.expected(version)
        twice = [row for row, times in rows.items() if times > max(1, wanted[row])]
        assert not twice, f"version {version} holds {len(twice)} rows more than once, such as {twice[0]}"
        lost, strange = wanted - rows, rows - wanted
        assert not lost, f"version {version} has lost {len(lost)} rows"
        assert not strange, f"version {version} has {len(strange)} rows that should be gone"

    def leftovers(self) -> list[str]:
        """Data files and deletion vectors that no version names and that no intent accounts for."""
        named = self.named()
        stems = [g.stem for key in intent_keys(self._store, "_compactor/") for g in read_intent(self._store, key).groups]
        claimed = tuple(name for stem in stems for name in (stem, vector_prefix(stem)))
        files = [item.key for item in self._store.list("") if item.key.endswith((".parquet", ".bin")) and not item.key.startswith("_")]
        return [key for key in files if key not in named and not (claimed and key.rpartition("/")[2].startswith(claimed))]

    def named(self) -> set[str]:
        """Keys of the data files and deletion vectors that some version names."""
        named: set[str] = set()
        for version in self._entries:
            for action in actions(self._store, version):
                for told in (action[kind] for kind in ("add", "remove") if kind in action):
                    named |= {unquote(told["path"]), vector_key(told) or ""}
        return named

    def check_accounts(self, runs: Sequence[Run]) -> None:
        """A run that says it committed is in the log, one that says it did not is not; none saw damage. Raises AssertionError."""
        in_log = Counter(run_id for v in self._entries for a in actions(self._store, v) if (run_id := _run_id(a, runs)) is not None)
        for run in runs:
            assert run.exit_code != 6, f"{run.run_id} calls a sound table damaged: {run.reason}"
            if run.status is RunStatus.COMMITTED:
                assert in_log[run.run_id], f"{run.run_id} says that it committed"
            if run.status in {RunStatus.NOTHING_TO_DO, RunStatus.CONFLICT, RunStatus.REFUSED}:
                assert not in_log[run.run_id], f"{run.run_id} committed and does not say so"


def _run_id(action: Mapping[str, Any], runs: Sequence[Run]) -> str | None:
    """The run that an entry's commitInfo names, wherever in it the id is written."""
    text = json.dumps(action["commitInfo"]) if "commitInfo" in action else ""
    return next((run.run_id for run in runs if run.run_id in text), None)
