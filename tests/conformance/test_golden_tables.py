"""Public Delta tables are rewritten with exactly the same rows, or refused by name and left untouched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.clickhouse import ClickHouse
from support.conformance import Verdict, judge, judge_damaged
from support.golden import BROKEN, GOLDEN_MISSING, TABLES

pytestmark = [pytest.mark.xdist_group("conformance"), pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))]
NOT_REWRITTEN = {
    "delta--variant-stats-no-checkpoint": "shredded",
    "delta--variant-stats-state-reconstruction": "shredded",
}
"""Public tables with live files of which none is rewritten, and a word of the reason. All others must be."""


@pytest.mark.parametrize("source", TABLES, ids=lambda p: p.name)
def test_forced_rewrite_keeps_every_row(source: Path, tmp_path: Path, clickhouse: ClickHouse, verdicts: dict[str, Verdict]) -> None:
    """After a forced rewrite every reader finds the same rows, the entry is lawful and a checkpoint of it reads the same.

    Only tables without live files and those of NOT_REWRITTEN are left, with a reason and without a changed byte.
    """
    table = tmp_path / source.name
    shutil.copytree(source, table)
    verdict = verdicts[source.name] = judge(table, source.name, clickhouse)
    assert verdict.outcome != "wrong", "\n".join(verdict.problems)
    assert {"reader", "oracle"} <= {*verdict.judges}
    if verdict.files_before == 0:
        assert verdict.outcome == "nothing to do"
    elif source.name in NOT_REWRITTEN:
        assert verdict.outcome != "rewritten identical"
    else:
        assert verdict.outcome == "rewritten identical", verdict.why
        assert verdict.left == 0 or verdict.why


def test_engines_judge_most_tables(verdicts: dict[str, Verdict]) -> None:
    """The other engines read most of the public tables, so that their silence is not mistaken for consent."""
    if any(source.name not in verdicts for source in TABLES):
        pytest.skip("not all tables were judged in this session")
    judged = [verdicts[source.name].judges for source in TABLES]
    assert sum("deltalake" in judges for judges in judged) >= 80
    assert sum("clickhouse" in judges for judges in judged) >= 50


@pytest.mark.parametrize("source", BROKEN, ids=lambda p: p.name)
def test_damaged_tables_are_left_alone(source: Path, tmp_path: Path, verdicts: dict[str, Verdict]) -> None:
    """A damaged or incomplete table is refused with a sentence, and not one byte of it changes."""
    table = tmp_path / source.name
    shutil.copytree(source, table)
    verdict = verdicts[f"damaged/{source.name}"] = judge_damaged(table, source.name)
    assert not verdict.problems
