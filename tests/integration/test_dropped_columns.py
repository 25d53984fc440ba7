"""Columns that others drop, under column mapping, while a run is at work: what is rewritten is committed, proven as it is without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.appender import History
from simulation.auditor import Auditor
from simulation.evolver import Evolver

import compactor
from compactor.ambient import VirtualClock
from compactor.model.events import Event, GroupFinished
from compactor.model.run import RunStatus
from compactor.settings import Settings
from compactor.storage import open_store

SETTINGS = Settings(executor="serial", target_size="4KiB", min_input_files=2, max_write_amplification=3)


class Dropper(Evolver):
    """Changes the schema on demand."""

    def add(self) -> None:
        assert self._changed(lambda fields: self._add_column(fields, 0))

    def drop(self) -> None:
        """The column `n`, which every row has."""
        assert self._changed(lambda fields: [field for field in fields if field["name"] != "n"])


@pytest.mark.parametrize("vectors", [False, True], ids=["plain", "vectors"])
@pytest.mark.parametrize("proof", ["full", "counts"])
def test_a_group_outlives_a_column_that_is_dropped(tmp_path: Path, proof: str, vectors: bool) -> None:
    """Nothing is rewritten twice, rows are those of the table without the column, and what the commit says of them is true."""
    uri = str(tmp_path / "t")
    store, history = open_store(uri), History()
    writer = Dropper(name="w", store=store, clock=VirtualClock(), seed=1, history=history, evolving=True)
    writer.create_table(vectors=vectors, evolving=True)
    for _ in range(8):
        writer.append()
    finished: list[int] = []

    def interfere(event: Event) -> None:
        if isinstance(event, GroupFinished):
            finished.append(event.result.group_id)
            if len(finished) == 1:
                writer.drop()

    run = compactor.run(uri, settings=SETTINGS.model_copy(update={"proof": proof}), sink=interfere)
    assert run.status is RunStatus.COMMITTED, run.reason
    assert (run.groups_committed, len(finished), run.groups_dropped) == (2, 2, ())
    Auditor(store, history).look()
    verified = compactor.verify(uri, settings=SETTINGS)
    assert verified.exit_code == 0 and len(verified.commits) == 1
