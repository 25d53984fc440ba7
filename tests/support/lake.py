"""A table in memory with real Parquet files of chosen sizes, compacted by whole runs of the pipeline, in which each row counts how often it
has really been rewritten: read from the files and the log, never from our tags.

Rows are random 64-bit ids, which no codec makes smaller, so that sizes are as asked for. Shares no code with the compactor's reading.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from simulation.reader import actions, entry_key, live_files, newest_version

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.errors import StorageUnavailable
from compactor.model.run import Run
from compactor.model.snapshot import TableRef
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.wiring import wire

Ids = npt.NDArray[np.int64]

_FIELD = {"name": "id", "type": "long", "nullable": True, "metadata": {}}
_PARTITION = {"name": "p", "type": "string", "nullable": True, "metadata": {}}
SETTINGS = Settings(executor="serial", memory="128MiB", parallelism=1)


class Lake:
    """One table, partitioned by `p`."""

    def __init__(self, seed: int, properties: Mapping[str, str] | None = None) -> None:
        self._clock = VirtualClock()
        self._seed = seed
        self._chance = np.random.default_rng(seed)
        self._runs = 0
        self._files = 0
        self.store = MemoryStore(MemoryBucket("lake", self._clock), "table")
        self.appended_bytes = 0
        self.rewritten_bytes = 0
        self._rows: Ids = np.empty(0, dtype=np.int64)
        self._moves: Ids = np.empty(0, dtype=np.int64)  # how often a commit of ours has moved each of them
        metadata = {
            "id": "00000000-0000-4000-8000-000000000000",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": [_FIELD, _PARTITION]}),
            "partitionColumns": ["p"],
            "configuration": dict(properties or {}),
            "createdTime": 0,
        }
        self._commit([{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}])

    def append(self, size_bytes: int, partition: str = "a", *, codec: str = "none", spread: int = 2**62) -> None:
        """One file of about this size. spread: ids are drawn below it; small ones and a weak codec make files that compaction shrinks."""
        self._files += 1
        ids = self._chance.integers(spread, size=max(1, (size_bytes - 600) // 8))
        ids = np.unique(ids) if spread == 2**62 else np.unique(ids) + np.int64(self._files << 40)
        data = _parquet(ids, codec)
        key = f"p={partition}/file-{self._files:05d}.parquet"
        self.store.put(key, data)
        self._clock.sleep(1)
        add = {"path": key, "partitionValues": {"p": partition}, "size": len(data), "modificationTime": self._clock.now_ms()}
        self._commit([{"add": {**add, "dataChange": True, "stats": json.dumps({"numRecords": len(ids)})}}])
        self.appended_bytes += len(data)
        order = np.argsort(rows := np.concatenate([self._rows, ids]))
        self._rows, self._moves = rows[order], np.concatenate([self._moves, np.zeros_like(ids)])[order]

    def run(self, **policy: Any) -> Run:
        """One run of the pipeline, under Settings fields; counts what it moved. Raises AssertionError when rows changed."""
        before = newest_version(self.store)
        held = live_files(self.store, before)
        self._runs += 1
        number = self._seed * 1000 + self._runs
        ambient = Ambient(clock=self._clock, ids=SeededIds(number), randomness=SeededRandomness(number))
        settings = Settings.model_validate({**SETTINGS.model_dump(), **policy})
        ports = replace(wire(self.store, settings, ambient=ambient), checkpointer=_NoCheckpointer())
        run = run_table(ports, settings.policy())
        assert run.exit_code == 0, run.reason
        for version in range(before + 1, newest_version(self.store) + 1):
            for action in actions(self.store, version):
                if "remove" in action:
                    add = held[action["remove"]["path"]]
                    self.rewritten_bytes += add["size"]
                    self._moves[np.searchsorted(self._rows, self._ids(add["path"]))] += 1
        assert np.array_equal(self._live_rows(), self._rows), "a run changed the rows"
        return run

    def files(self) -> dict[str, int]:
        """Sizes of the live files, by path."""
        return {path: add["size"] for path, add in live_files(self.store, newest_version(self.store)).items()}

    def live(self) -> list[int]:
        """Sizes of the live files."""
        return list(self.files().values())

    @property
    def most_rewritten(self) -> int:
        """How often the row that was moved most often was moved."""
        return int(self._moves.max(initial=0))

    def _live_rows(self) -> Ids:
        files = [self._ids(path) for path in live_files(self.store, newest_version(self.store))]
        return np.sort(np.concatenate([self._rows[:0], *files]))

    def _ids(self, path: str) -> Ids:
        ids: Ids = pq.read_table(io.BytesIO(bytes(self.store.get(unquote(path)))))["id"].to_numpy()
        return ids

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        info = {"commitInfo": {"timestamp": self._clock.now_ms(), "operation": "WRITE", "engineInfo": "lake"}}
        version = newest_version(self.store) + 1 if next(iter(self.store.list("_delta_log/")), None) else 0
        self.store.create(entry_key(version), "\n".join(json.dumps(line) for line in [info, *lines]).encode())


def _parquet(ids: Ids, codec: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": ids}), buffer, compression=codec, use_dictionary=False)
    return buffer.getvalue()


class _NoCheckpointer:
    """Tables in memory have no checkpoints: the reader here starts at version 0."""

    def checkpoint(self, ref: TableRef, version: int, files: int = 0) -> None:
        raise StorageUnavailable("There are no checkpoints here.")
