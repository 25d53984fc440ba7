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
from compactor.errors import ObjectMissing
from compactor.storage.base import Created, ObjectStore
from simulation.promises import Promises
from simulation.reader import Columns, Row, State, Vanished, columns_of, entry_key, keys_of, newest_version, rows_of_file, state_at

SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("note", pa.string())])
PARTITIONS = ("a", "b")
ARROW = {"string": pa.string(), "integer": pa.int32(), "long": pa.int64()}


@dataclass
class History:
    """Rows of the table after each version that the writer made, by version. Versions between were made by others and change no rows."""

    rows: dict[int, frozenset[Row]] = field(default_factory=dict)
    damage: dict[int, Counter[Row]] = field(default_factory=dict)
    """What the table held, rows more than once included, after versions that broke it."""
    promises: Promises = field(default_factory=Promises)
    """Files that some writer is about to name."""

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

    def __init__(self, *, name: str, store: ObjectStore, clock: Clock, seed: int, history: History, evolving: bool = False) -> None:
        """evolving: the schema may change under it."""
        self._name, self._evolving = name, evolving
        self._store = store
        self._clock = clock
        self._random = random.Random(f"{name}-{seed}")
        self._history = history
        self._files = 0

    def create_table(self, *, vectors: bool = False, evolving: bool = False) -> None:
        """Version 0: no rows. `vectors`: rows may be deleted by deletion vectors; `evolving`: columns may come, go and grow."""
        names = [*(["deletionVectors"] if vectors else []), *(["columnMapping", "typeWidening"] if evolving else [])]
        configuration = {"delta.enableDeletionVectors": "true"} if vectors else {}
        fields = [field_of("id", "long"), field_of("note", "string"), field_of("p", "string")]
        if evolving:
            configuration |= {
                "delta.columnMapping.mode": "name",
                "delta.columnMapping.maxColumnId": "1000",
                "delta.enableTypeWidening": "true",
            }
            fields = [field_of(f["name"], f["type"], number) for number, f in enumerate([*fields, field_of("n", "integer")], 1)]
        old = {"minReaderVersion": 1, "minWriterVersion": 2}
        new = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": names, "writerFeatures": names}
        protocol = {"protocol": new if names else old}
        metadata = {
            "metaData": {
                "id": "00000000-0000-4000-8000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": ["p"],
                "configuration": configuration,
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
        partition = self._random.choice(PARTITIONS)
        ids = [self._random.getrandbits(48) for _ in range(self._random.randint(1, 5))]
        plain = [(number, f"{self._name}-{self._files + 1}-{self._random.randint(0, 3)}", partition) for number in ids]
        while True:
            _, metadata = self._terms()
            more = columns_of(metadata) if metadata else ()
            rows = [(*row, *((name, self._value(kind)) for name, kind in sorted(more))) for row in plain]
            add = self._written(rows, more)
            while (now := self._terms())[1] == metadata:
                version = now[0] + 1
                if self._commit(version, [add], self._history.at(version) | frozenset(rows)):
                    return
            self._take_back(add)

    def _terms(self) -> tuple[int, Mapping[str, Any]]:
        """The newest version, and its metadata where that may change."""
        version = newest_version(self._store)
        return version, state_at(self._store, version).metadata if self._evolving else {}

    def _value(self, kind: str) -> Any:
        """A value of a column of this type; of a long one often too large for an integer."""
        return self._random.getrandbits(40 if kind == "long" else 20) if kind != "string" else f"v{self._random.getrandbits(8)}"

    def _look(self) -> State:
        """The table as it is now."""
        return state_at(self._store, newest_version(self._store))

    def _written(self, rows: Sequence[Row], more: Columns = ()) -> dict[str, Any]:
        """A file with these rows, all of one partition, in a table with these further columns; its add."""
        self._files += 1
        partition, extras = rows[0][2], [dict(row[3:]) for row in rows]
        schema = pa.schema([*SCHEMA, *(pa.field(name, ARROW[kind]) for name, kind in more)])
        columns = [[row[0] for row in rows], [row[1] for row in rows], *([extra.get(name) for extra in extras] for name, _ in more)]
        buffer = io.BytesIO()
        pq.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema), buffer)
        key = f"p={partition}/{self._name}-{self._files:04d}.parquet"
        self._history.promises.make([key])
        self._store.put(key, buffer.getvalue())
        return self._add(key, partition, len(buffer.getvalue()), columns[0])

    def _take_back(self, action: Mapping[str, Any]) -> None:
        """A file of ours that no version will name."""
        self._store.delete([action["add"]["path"]])
        self._history.promises.release([action["add"]["path"]])

    def _delete(self) -> bool:
        """The rows of one live file go, whoever wrote it. False when the table is empty."""
        while True:
            state = self._look()
            if not state.live:
                return False
            chosen = self._random.choice(sorted(state.live))
            gone = self._rows(state.live[chosen], state)
            if gone is not None and self._commit(
                state.version + 1, [self._remove(state.live[chosen])], self._history.at(state.version + 1) - frozenset(gone)
            ):
                return True

    def _rows(self, add: Mapping[str, Any], state: State) -> list[Row] | None:
        """Rows of a file of a version; None when others have replaced and deleted it since: then everything is looked up anew."""
        try:
            return rows_of_file(self._store, add["path"], add, state.more)
        except (Vanished, ObjectMissing):
            return None

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
            self._history.promises.release([key for action in actions if "add" in action for key in keys_of(action["add"])])
        return landed


def field_of(name: str, kind: str, number: int | None = None, physical: str | None = None) -> dict[str, Any]:
    """A column of the schema; `number`: where columns are mapped."""
    mapped = {} if number is None else {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical or name}
    return {"name": name, "type": kind, "nullable": True, "metadata": mapped}
