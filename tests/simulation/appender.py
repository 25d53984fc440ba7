"""A writer that appends rows and now and then deletes a whole file's rows, as plainly as the protocol allows; and what it has done, as it
knows it: the truth that the auditor measures the table against.

Shares no code with the compactor. Writes one Parquet file a version, tries the next number when a version is taken.
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.ambient import Clock
from compactor.storage.base import Created, ObjectStore
from simulation.reader import Row, entry_key, live_files, newest_version, rows_of_file

SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("note", pa.string())])
_SCHEMA_STRING = json.dumps(
    {
        "type": "struct",
        "fields": [
            {"name": "id", "type": "long", "nullable": True, "metadata": {}},
            {"name": "note", "type": "string", "nullable": True, "metadata": {}},
            {"name": "p", "type": "string", "nullable": True, "metadata": {}},
        ],
    }
)
PARTITIONS = ("a", "b")


@dataclass
class History:
    """Rows of the table after each version that the writer made, by version. Versions between were made by others and change no rows."""

    rows: dict[int, frozenset[Row]] = field(default_factory=dict)
    damage: dict[int, Counter[Row]] = field(default_factory=dict)
    """What the table held, rows more than once included, after versions that broke it."""

    def at(self, version: int) -> frozenset[Row]:
        return self.rows[max(known for known in self.rows if known <= version)]

    def expected(self, version: int) -> Counter[Row]:
        """The rows of a version: those of the writers' history, or, once the table is broken, what it held then and was appended since."""
        broken = max((known for known in self.damage if known <= version), default=None)
        if broken is None:
            return Counter(self.at(version))
        return self.damage[broken] + Counter(self.at(version) - self.at(broken))


class Appender:
    """One writer. `history` is shared by all writers of a world: their commits are serial."""

    def __init__(self, *, name: str, store: ObjectStore, clock: Clock, seed: int, history: History) -> None:
        self._name = name
        self._store = store
        self._clock = clock
        self._random = random.Random(f"{name}-{seed}")
        self._history = history
        self._files = 0

    def create_table(self, *, vectors: bool = False) -> None:
        """Version 0: no rows. `vectors`: rows may be deleted by deletion vectors."""
        features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
        old, new = {"minReaderVersion": 1, "minWriterVersion": 2}, {"minReaderVersion": 3, "minWriterVersion": 7, **features}
        protocol = {"protocol": new if vectors else old}
        metadata = {
            "metaData": {
                "id": "00000000-0000-4000-8000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": _SCHEMA_STRING,
                "partitionColumns": ["p"],
                "configuration": {"delta.enableDeletionVectors": "true"} if vectors else {},
                "createdTime": self._clock.now_ms(),
            }
        }
        assert self._commit(0, [protocol, metadata], frozenset())

    def story(self, steps: int, deletes: float) -> None:
        """`steps` commits; each is a deletion with probability `deletes`, else an append of one small file."""
        for _ in range(steps):
            self._clock.sleep(self._random.uniform(0.1, 5))
            if self._random.random() >= deletes or not self._change():
                self.append()

    def _change(self) -> bool:
        """Something else than an append. False when there is nothing to change."""
        return self._delete()

    def append(self) -> None:
        """One file with a few new rows, in some partition."""
        self._files += 1
        partition = self._random.choice(PARTITIONS)
        ids = [self._random.getrandbits(48) for _ in range(self._random.randint(1, 5))]
        notes = [f"{self._name}-{self._files}-{self._random.randint(0, 3)}" for _ in ids]
        add = self._written(partition, ids, notes)
        new = frozenset(zip(ids, notes, [partition] * len(ids), strict=True))
        while True:
            version = newest_version(self._store) + 1
            if self._commit(version, [add], self._history.at(version) | new):
                return

    def _written(self, partition: str, ids: Sequence[int], notes: Sequence[str]) -> dict[str, Any]:
        """A file with these rows; its add."""
        buffer = io.BytesIO()
        pq.write_table(pa.table([pa.array(ids, pa.int64()), pa.array(notes, pa.string())], schema=SCHEMA), buffer)
        key = f"p={partition}/{self._name}-{self._files:04d}.parquet"
        self._store.put(key, buffer.getvalue())
        return self._add(key, partition, len(buffer.getvalue()), ids)

    def _delete(self) -> bool:
        """The rows of one live file go, whoever wrote it. False when the table is empty."""
        while True:
            version = newest_version(self._store)
            live = live_files(self._store, version)
            if not live:
                return False
            chosen = self._random.choice(sorted(live))
            gone = frozenset(rows_of_file(self._store, chosen, live[chosen]))
            if self._commit(version + 1, [self._remove(live[chosen])], self._history.at(version + 1) - gone):
                return True

    def _remove(self, add: Mapping[str, Any]) -> dict[str, Any]:
        vector = {"deletionVector": add["deletionVector"]} if "deletionVector" in add else {}
        return {"remove": {"path": add["path"], "deletionTimestamp": self._clock.now_ms(), "dataChange": True, **vector}}

    def _add(self, key: str, partition: str, size_bytes: int, ids: Sequence[int]) -> dict[str, Any]:
        stats = {"numRecords": len(ids), "minValues": {"id": min(ids)}, "maxValues": {"id": max(ids)}, "nullCount": {"id": 0, "note": 0}}
        return {
            "add": {
                "path": key,
                "partitionValues": {"p": partition},
                "size": size_bytes,
                "modificationTime": self._clock.now_ms(),
                "dataChange": True,
                "stats": json.dumps(stats),
            }
        }

    def _commit(self, version: int, actions: list[dict[str, Any]], rows: frozenset[Row], engine: str = "appender") -> bool:
        """True when the version is ours now; the history knows it before anyone else can move."""
        info = {"commitInfo": {"timestamp": self._clock.now_ms(), "operation": "WRITE", "engineInfo": engine}}
        body = "\n".join(json.dumps(action) for action in [info, *actions]).encode()
        landed = isinstance(self._store.create(entry_key(version), body), Created)
        if landed:
            self._history.rows[version] = rows
        return landed
