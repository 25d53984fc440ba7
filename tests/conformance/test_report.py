"""docs/conformance.md is what the tables say today."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from conformance.report import DOCUMENT, judge_all, render
from support.conformance import Verdict
from support.golden import GOLDEN_MISSING

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.mark.skipif(GOLDEN_MISSING is not None, reason=str(GOLDEN_MISSING))
def test_the_document_is_current(tmp_path: Path, verdicts: dict[str, Verdict]) -> None:
    """The document in docs/ is the one that `make conformance` would write now."""
    found = judge_all(tmp_path, verdicts)
    assert not [(name, verdict.problems) for name, verdict in found.items() if verdict.outcome == "wrong"]
    assert DOCUMENT.read_text(encoding="utf-8") == render(found), "run `make conformance` and review the difference"


def test_wrong_tables_are_told() -> None:
    """A wrong table is counted, and its problem is in the document; names that change from run to run are not."""
    fine = Verdict(
        name="a", traits=("plain",), outcome="rewritten identical", why="", rows=3, files_before=2, files_after=1, judges=("reader",)
    )
    bad = dataclasses.replace(fine, name="b", outcome="wrong", problems=("reader: 1 row lost in 0661cff2-4d32-4f91-ba26-c77e4498683c",))
    text = render({"a": fine, "own/b": bad})
    assert "1 table is wrong" in text
    assert "reader: 1 row lost in …" in text
    assert "| plain | 1 |  |  | 1 |" in text
