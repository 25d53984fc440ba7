"""A table that is deleted from and updated all the time: compactions make progress all the same, and cost no row; and whom they make begin
anew is what the simulation of aborts takes for granted."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from integration.test_foreign_writers import Writer, frame
from simulation.conflict_models import Transaction, Winner, deltalake
from support import delta_log
from support.plain_compactor import by_partition, clickhouse_rows, compact, deltalake_rows

import compactor
from compactor.model.commit import Committed
from compactor.model.run import Run, RunStatus
from compactor.storage import open_store

SETTINGS = compactor.Settings(executor="serial", min_input_files=2)
SECONDS = 6.0
PATIENCE_S = 60.0
"""How much longer a machine that others keep busy may take."""


def copies_partition(uri: str, stop: threading.Event) -> None:
    """A copy-on-write writer that rewrites the files of a partition again and again, and changes no value."""
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    while not stop.is_set():
        with suppress(CommitFailedError):
            DeltaTable(uri).update(predicate="p = 'a' AND id % 4 = 1", updates={"v": "v"})


def _committed(runs: list[Run]) -> int:
    return sum(run.status is RunStatus.COMMITTED for run in runs)


def test_a_table_that_is_changed_all_the_time_is_compacted(tmp_path: Path) -> None:
    """While deltalake appends, deletes, updates and copies files without a pause, runs go on committing, and no row is lost or doubled."""
    uri, stop = str(tmp_path / "t"), threading.Event()
    writer = Writer(uri, 11)
    writer.work(9)

    def work() -> None:
        while not stop.is_set():
            writer.work(3)

    threads = [threading.Thread(target=work), threading.Thread(target=copies_partition, args=(uri, stop))]
    for thread in threads:
        thread.start()
    runs: list[Run] = []
    ends_s = time.monotonic() + SECONDS
    while time.monotonic() < ends_s or (_committed(runs) < 3 and time.monotonic() < ends_s + PATIENCE_S):
        runs.append(compactor.run(uri, settings=SETTINGS))
    stop.set()
    for thread in threads:
        thread.join()
    assert {run.status for run in runs} <= {RunStatus.COMMITTED, RunStatus.NOTHING_TO_DO, RunStatus.CONFLICT}, [r.reason for r in runs]
    committed = [run for run in runs if run.status is RunStatus.COMMITTED]
    assert len(committed) >= 3
    assert sum(run.files_removed for run in committed) > 2 * sum(run.files_added for run in committed)
    assert deltalake_rows(uri) == sorted(writer.rows.values(), key=repr) == clickhouse_rows(Path(uri))


@pytest.mark.parametrize("partition", ["a", "b"])
def test_deltalake_begins_anew_where_its_model_does(tmp_path: Path, partition: str) -> None:
    """A delete by the library that was planned before a compaction aborts where we compacted its partition, and only there."""
    from deltalake import DeltaTable, write_deltalake
    from deltalake.exceptions import CommitFailedError

    uri = str(tmp_path / "t")
    for start in (0, 9):
        write_deltalake(uri, frame(list(range(start, start + 9))), mode="append", partition_by=["p"])
    handle, store = DeltaTable(uri), open_store(uri)
    snapshot = delta_log.load(store)
    rows = by_partition(snapshot)[snapshot.partitions["p"].to_pylist().index("a")]
    before = frozenset(snapshot.files["path"].to_pylist())
    outcome = compact(store, [rows], snapshot)
    assert isinstance(outcome, Committed)
    added = {"path": "ours", "partitionValues": {"p": "a"}, "bounds": (0, 17), "dataChange": False}
    winner = Winner(adds=(added,), removes=(), blind=False)
    lands = deltalake(Transaction(partition=partition, low=0, high=17, read=before), [winner])
    if lands:
        handle.delete(f"p = '{partition}' AND id < 9")
    else:
        with pytest.raises(CommitFailedError):
            handle.delete(f"p = '{partition}' AND id < 9")
    assert lands is (partition == "b")
