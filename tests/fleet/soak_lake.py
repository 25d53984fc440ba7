"""The tables of the soak and who writes them: appends and deletes by deltalake, with a ledger of the rows that must be there."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

ROWS, DELETED = 50, 10
_DELETES = 0.08
"""How many of the writes are deletes."""
_TRIES = 20
_AT_ONCE = 4


@dataclass(slots=True)
class Written:
    """What a table must hold. next_id: of the rows to come. again: writes that lost to others and were begun anew."""

    partitioned: bool
    rows: set[int] = field(default_factory=set)
    next_id: int = 0
    appends: int = 0
    deletes: int = 0
    again: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Lake:
    """options: for the writers, which are not ours. Every third table is partitioned."""

    options: dict[str, str]
    tables: int
    written: dict[str, Written] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    def create(self) -> None:
        """Every table, with its first rows."""
        for number in range(self.tables):
            self.written[f"s3://lake/t{number:03d}"] = Written(partitioned=number % 3 == 0)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._append, self.written))

    def write(self, seed: int, a_second: float) -> None:
        """A writer's thread: so many writes a second at most, to some tables often and to others seldom."""
        chance = random.Random(seed)
        uris = list(self.written)
        next_s = time.monotonic()
        try:
            while not self.stop.is_set():
                uri = uris[int(self.tables * chance.random() ** 2)]
                if chance.random() < _DELETES:
                    self._delete(uri, chance)
                else:
                    self._append(uri)
                next_s = max(next_s + 1 / a_second, time.monotonic() - 1)
                self.stop.wait(max(0.0, next_s - time.monotonic()))
        except BaseException as error:
            self.failures.append(error)
            raise

    def wrong(self) -> list[str]:
        """Tables that do not hold exactly the rows that were written and not deleted, each once."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [found for found in pool.map(self._wrong, self.written) if found is not None]

    def most_files(self) -> int:
        """Of the tables, as deltalake sees them."""
        return max(len(DeltaTable(uri, storage_options=self.options).file_uris()) for uri in self.written)

    def sums(self) -> tuple[int, int, int]:
        """Appends, deletes, and writes that were begun anew."""
        found: Sequence[Written] = list(self.written.values())
        return sum(one.appends for one in found), sum(one.deletes for one in found), sum(one.again for one in found)

    def _append(self, uri: str) -> None:
        written = self.written[uri]
        with written.guard:
            ids = range(written.next_id, written.next_id + ROWS)
            rows = pa.table({"id": list(ids), "half": ["even" if number % 2 == 0 else "odd" for number in ids]})
            partitions = ["half"] if written.partitioned else None
            self._until_committed(
                written, lambda: write_deltalake(uri, rows, mode="append", partition_by=partitions, storage_options=self.options)
            )
            written.rows.update(ids)
            written.next_id += ROWS
            written.appends += 1

    def _delete(self, uri: str, chance: random.Random) -> None:
        written = self.written[uri]
        with written.guard:
            first = chance.randrange(written.next_id)
            which = f"id >= {first} AND id < {first + DELETED}"
            self._until_committed(written, lambda: DeltaTable(uri, storage_options=self.options).delete(which))
            written.rows.difference_update(range(first, first + DELETED))
            written.deletes += 1

    def _until_committed(self, written: Written, write: object) -> None:
        assert callable(write)
        for left in reversed(range(_TRIES)):
            try:
                write()
                return
            except CommitFailedError:
                if not left:
                    raise
                written.again += 1

    def _wrong(self, uri: str) -> str | None:
        expected = self.written[uri].rows
        ids = DeltaTable(uri, storage_options=self.options).to_pyarrow_table(columns=["id"]).column("id").to_pylist()
        return None if len(ids) == len(expected) and set(ids) == expected else f"{uri}: {len(ids)} rows where {len(expected)} must be"
