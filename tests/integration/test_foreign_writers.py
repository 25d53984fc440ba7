"""A real deltalake writer works on a table while we compact it; and the maintenance of deltalake that damages tables is noticed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support import delta_log
from support.plain_compactor import Rows, by_partition, clickhouse_rows, compact, deltalake_rows
from support.protocol_check import check_entry

from compactor.model.commit import CommitOutcome, Committed, Conflict
from compactor.storage import open_store
from compactor.tables.delta.landed import run_of
from compactor.tables.delta.log import list_log, read_entry
from compactor.tables.delta.rivals import detect_rivals

PARTITIONS = ("a", "b", "c")


def frame(ids: list[int]) -> pa.Table:
    return pa.table({"id": ids, "v": [f"value {n}" for n in ids], "p": [PARTITIONS[n % 3] for n in ids]})


class Writer:
    """Appends, deletes and updates with predicates until told to stop; `rows` is what the table must hold by its own account."""

    def __init__(self, uri: str, seed: int) -> None:
        self.uri, self.chance = uri, random.Random(seed)
        self.rows: dict[int, tuple[int, str, str]] = {}
        self.next_id = 0
        self.aborted = 0
        self.updates = 0

    def append(self) -> None:
        from deltalake import write_deltalake

        ids = list(range(self.next_id, self.next_id + 9))
        self.next_id += 9
        if self.next_id == 9:
            write_deltalake(self.uri, frame(ids), partition_by=["p"])
        else:  # other writers of deltalake's own make even an append begin anew
            self._until_it_lands(lambda table: write_deltalake(table, frame(ids), mode="append"))
        self.rows |= {n: (n, f"value {n}", PARTITIONS[n % 3]) for n in ids}

    def change(self) -> None:
        """Delete or update one row in ten."""
        digit, deletes = self.chance.randrange(10), self.chance.random() < 0.5
        self.updates += 1
        self._until_it_lands(lambda table: self._change(table, digit, deletes))
        for n in [n for n in self.rows if n % 10 == digit]:
            if deletes:
                del self.rows[n]
            else:
                self.rows[n] = (n, f"updated {self.updates}", self.rows[n][2])

    def _change(self, table: Any, digit: int, deletes: bool) -> None:
        if deletes:
            table.delete(f"id % 10 = {digit}")
        else:
            table.update(predicate=f"id % 10 = {digit}", new_values={"v": f"updated {self.updates}"})

    def _until_it_lands(self, operation: Callable[[Any], None]) -> None:
        from deltalake import DeltaTable
        from deltalake.exceptions import CommitFailedError

        for _ in range(50):
            try:
                return operation(DeltaTable(self.uri))
            except CommitFailedError:
                self.aborted += 1
        raise AssertionError("the writer never got through")

    def work(self, steps: int) -> None:
        for step in range(steps):
            if step % 3 == 2:
                self.change()
            else:
                self.append()


def test_rows_equal_a_replay_of_the_writer(tmp_path: Path) -> None:
    """While we compact, a writer appends, deletes and updates with predicates: the rows are exactly those of its own operations."""
    uri = str(tmp_path / "table")
    writer = Writer(uri, 7)
    writer.work(8)
    store = open_store(uri)
    outcomes: list[CommitOutcome] = []

    def work() -> None:
        """At least 24 operations, and on until enough of our commits have met them."""
        for round_ in range(40):
            if round_ >= 6 and sum(isinstance(outcome, Committed) for outcome in outcomes) > 3:
                return
            writer.work(4)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        snapshot = delta_log.load(store)
        chosen = [rows[:4] for rows in by_partition(snapshot).values() if len(rows) > 1]
        if chosen:
            outcomes.append(compact(store, chosen, snapshot))
    thread.join()
    committed = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
    assert len(committed) > 3 and all(isinstance(outcome, Committed | Conflict) for outcome in outcomes)
    assert deltalake_rows(uri) == sorted(writer.rows.values(), key=repr) == clickhouse_rows(Path(uri))
    for outcome in committed:
        check_entry(store, outcome.version, parquet=True)
    newest = list_log(store).newest
    assert newest is not None
    ours = [v for v in range(newest + 1) if (entry := read_entry(store, v)) is not None and run_of(entry)]
    assert ours == [outcome.version for outcome in committed]
    assert detect_rivals(store, -1) == []


@pytest.fixture
def stale(tmp_path: Path) -> tuple[str, Any, Rows]:
    """A compacted table, and a deltalake handle that was opened before we compacted it."""
    from deltalake import DeltaTable, write_deltalake

    uri = str(tmp_path / "table")
    for start in (0, 9, 18):
        write_deltalake(uri, frame(list(range(start, start + 9))), mode="append", partition_by=["p"])
    handle = DeltaTable(uri)
    store = open_store(uri)
    snapshot = delta_log.load(store)
    before = deltalake_rows(uri)
    assert isinstance(compact(store, list(by_partition(snapshot).values()), snapshot), Committed)
    return uri, handle, before


def overwrite(handle: Any) -> None:
    from deltalake import write_deltalake

    write_deltalake(handle, frame([100]), mode="overwrite")


@pytest.mark.parametrize(
    "operation", [lambda t: t.delete(), overwrite, lambda t: t.optimize.compact()], ids=["delete-all", "overwrite", "optimize"]
)
def test_a_stale_operation_of_deltalake_is_detected(stale: tuple[str, Any, Rows], operation: Callable[[Any], None]) -> None:
    """Delete-all, overwrite and OPTIMIZE by deltalake 1.6.4 to 1.6.6 landing after us remove files we had replaced: each is named."""
    uri, handle, before = stale
    store = open_store(uri)
    operation(handle)
    rivals = detect_rivals(store, 0)
    assert [(r.version, r.replaced_by, len(r.files)) for r in rivals] == [(4, (3,), 9)]
    assert "delta-rs" in rivals[0].engine and "Version 4" in rivals[0].message
    assert set(before) & set(deltalake_rows(uri)), "the operation did what it should have: deltalake was fixed, and this test may go"


def test_lawful_operations_are_not_called_rivals(stale: tuple[str, Any, Rows]) -> None:
    """Appends, deletes, overwrites and OPTIMIZE that saw our commit are nobody's damage."""
    from deltalake import DeltaTable, write_deltalake

    uri, handle, _ = stale
    write_deltalake(handle, frame([200, 201, 202]), mode="append")
    DeltaTable(uri).delete("id = 4")
    DeltaTable(uri).optimize.compact()
    DeltaTable(uri).restore(2)
    overwrite(DeltaTable(uri))
    DeltaTable(uri).delete()
    assert detect_rivals(open_store(uri), -1) == []
