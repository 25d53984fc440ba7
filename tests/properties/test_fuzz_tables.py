"""Random tables, compacted and judged by a reader that shares no code with the compactor. `make fuzz` tries thousands."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fuzz_tables import check

BATCH = 20


@pytest.mark.parametrize("first", range(0, 200, BATCH))
def test_random_tables_keep_their_rows(first: int, tmp_path: Path) -> None:
    """Whatever its schema, history, writers and deletion vectors, a table holds the same rows after a compaction."""
    for seed in range(first, first + BATCH):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            check(seed, folder)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
