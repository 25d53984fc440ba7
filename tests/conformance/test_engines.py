"""All tables with encoded row groups copied, or small files merged, wherever that is possible: the same endings, by the same judges."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.clickhouse import ClickHouse
from support.conformance import judge
from support.golden import GOLDEN_MISSING, TABLES
from support.own_tables import OWN_TABLES, OwnTable

import compactor

pytestmark = pytest.mark.xdist_group("conformance")
ENGINES = {name: compactor.Settings(force_rewrite=True, executor="serial", engine=name) for name in ("stitch", "fuse")}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("own", OWN_TABLES.values(), ids=OWN_TABLES)
def test_own_table_without_decoding(own: OwnTable, engine: str, tmp_path: Path, clickhouse: ClickHouse) -> None:
    """The table ends as it does when everything is decoded, and every judge reads the result rightly."""
    root = tmp_path / own.name
    own.build(root)
    verdict = judge(root, own.name, clickhouse, ENGINES[engine])
    assert verdict.outcome == own.ending, "\n".join([verdict.why, *verdict.problems])
    assert own.why in verdict.why


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))
@pytest.mark.parametrize("source", TABLES, ids=lambda p: p.name)
def test_public_table_without_decoding(source: Path, engine: str, tmp_path: Path, clickhouse: ClickHouse) -> None:
    """No judge finds other rows, and what is left alone is left with a reason."""
    table = tmp_path / source.name
    shutil.copytree(source, table)
    verdict = judge(table, source.name, clickhouse, ENGINES[engine])
    assert verdict.outcome != "wrong", "\n".join(verdict.problems)
    assert verdict.outcome == "rewritten identical" or verdict.why
