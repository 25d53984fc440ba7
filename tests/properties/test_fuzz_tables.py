"""Random tables are compacted without a changed row, with lawful entries and true statistics.

FUZZ_CASES in the environment says how many (`make fuzz`); a failing case names its seed.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support import reader
from support.fuzz_tables import FuzzTable
from support.protocol_check import check_entry
from support.protocol_terms import check_terms
from support.reader_log import key_of, read_log

import compactor
from compactor.model.engine import EngineMode
from compactor.model.run import RunStatus
from compactor.storage import open_store

CASES = int(os.environ.get("FUZZ_CASES", "200"))
PART = 25
"""Cases of one test: a failure does not hide those of the other parts."""


def settings_of(chance: random.Random) -> compactor.Settings:
    """Everything is rewritten, into outputs of any size."""
    size = chance.choice(["1KiB", "8KiB", "128MiB"])
    memory = chance.choice(["64MiB", "1GiB"])
    engine: EngineMode = chance.choice(["auto", "fuse"])
    return compactor.Settings(force_rewrite=True, executor="serial", target_size=size, memory=memory, engine=engine)


def compacted(table: FuzzTable, settings: compactor.Settings) -> None:
    """Compact, and hold what came of it against the independent reader, the protocol and the rows of the new files."""
    before = read_log(table.table.root)
    rows = reader.rows(before)
    run = compactor.run(table.table.uri, settings=settings)
    assert run.status is RunStatus.COMMITTED, f"{run.status}: {run.reason}"
    assert not run.groups_dropped
    after = read_log(table.table.root)
    assert reader.rows(after) == rows, "rows changed"
    assert not before.adds.keys() & after.adds.keys(), "files were left"
    check_entry(open_store(table.table.uri), run.version or 0, {key_of(add): add for add in before.adds.values()}, parquet=True)
    check_terms(table.table.root, run.version or 0)
    table.table.resume()


def play(seed: int, folder: Path) -> None:
    """One case: files, changes of the schema and deletes in turns, a compaction, and sometimes the same once more."""
    table, chance = FuzzTable(seed, folder), random.Random(seed + 1)
    for _ in range(chance.choice((1, 1, 2))):
        for _ in range(chance.randint(1, 3)):
            table.grow()
            if chance.random() < 0.5:
                table.evolve()
        table.grow()
        table.delete()
        compacted(table, settings_of(chance))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(-(-CASES // PART)))
def test_random_tables_keep_their_rows(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested types, nulls, evolved schemas, deletion vectors, odd partitions, any writer: the same rows, and bounds that bound."""
    if part % 2:
        from support.rewriting import STREAMING

        monkeypatch.setattr("compactor.rewriting.rewrite.divide", lambda _: STREAMING)
    failed = {}
    for seed in range(part * PART, (part + 1) * PART):
        try:
            play(seed, tmp_path / str(seed))
        except Exception as error:  # noqa: BLE001 - all failing seeds are told, not the first
            failed[seed] = f"{type(error).__name__}: {error}"[:500]
    assert not failed
