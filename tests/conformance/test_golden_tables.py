"""Public Delta tables are rewritten with exactly the same rows, or refused by name and left untouched."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from support.golden import BROKEN, GOLDEN_MISSING, TABLES, oracle
from support.protocol_check import check_entry

import compactor
from compactor.model.run import RunStatus
from compactor.storage import open_store

SETTINGS = compactor.Settings(force_rewrite=True, executor="serial")


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its bytes."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))
@pytest.mark.parametrize("source", TABLES, ids=lambda p: p.name)
def test_forced_rewrite_keeps_every_row(source: Path, tmp_path: Path) -> None:
    """After a forced rewrite an independent reader finds the same multiset of rows; a refused table has not one byte changed."""
    table = tmp_path / source.name
    shutil.copytree(source, table)
    before = oracle.ref_rows(str(table))
    live = dict(oracle.snapshot(str(table)).adds)
    untouched = tree(table)

    run = compactor.run(str(table), settings=SETTINGS)

    assert oracle.ref_rows(str(table)) == before
    match run.status:
        case RunStatus.COMMITTED:
            assert run.rows == sum(before.values())
            check_entry(open_store(str(table)), run.version, live, parquet=True)
        case RunStatus.REFUSED:
            assert run.exit_code == 3
            assert run.reason
            assert tree(table) == untouched
        case RunStatus.NOTHING_TO_DO:
            assert not oracle.snapshot(str(table)).adds or run.reason
            assert tree(table) == untouched
        case _:
            pytest.fail(f"{run.status}: {run.reason}")


@pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))
@pytest.mark.parametrize("source", BROKEN, ids=lambda p: p.name)
def test_damaged_tables_are_left_alone(source: Path, tmp_path: Path) -> None:
    """A damaged or incomplete table is refused with a sentence, and not one byte of it changes."""
    table = tmp_path / source.name
    shutil.copytree(source, table)
    untouched = tree(table)

    run = compactor.run(str(table), settings=SETTINGS)

    assert run.exit_code in (3, 6) or (run.status is RunStatus.NOTHING_TO_DO and run.exit_code == 0)
    assert run.reason or run.status is RunStatus.NOTHING_TO_DO
    assert tree(table) == untouched
