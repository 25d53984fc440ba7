"""Conflict judgement as golden text: one file a rule, reviewed as a diff.

`REWRITE_SCENARIOS=1 pytest tests/scenarios` writes the verdicts anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.conflict_scenarios import verdicts

SCENARIOS = sorted(Path(__file__).parent.glob("conflicts/*.txt"))
REWRITE = os.environ.get("REWRITE_SCENARIOS") == "1"
_HEADING = "verdicts:\n"


def test_there_are_scenarios() -> None:
    """The folder of scenarios is found, so that an empty parametrisation cannot pass for success."""
    assert len(SCENARIOS) >= 15


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_verdicts_are_as_written(path: Path) -> None:
    """Every scenario gets exactly the verdicts that stand in its file."""
    text = path.read_text()
    story, _, expected = text.partition(_HEADING)
    found = verdicts(story)
    if REWRITE:
        path.write_text(story + _HEADING + found)
        return
    assert found == expected
