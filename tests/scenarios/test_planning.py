"""Planning as golden text: one file a rule, reviewed as a diff.

`REWRITE_SCENARIOS=1 pytest tests/scenarios` writes plans, reasons, health and decisions anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.planning_scenarios import outcome

SCENARIOS = sorted(Path(__file__).parent.glob("planning/*.txt"))
REWRITE = os.environ.get("REWRITE_SCENARIOS") == "1"
_HEADING = "plan:\n"


def test_there_are_scenarios() -> None:
    """The folder of scenarios is found, so that an empty parametrisation cannot pass for success."""
    assert len(SCENARIOS) >= 20


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_plans_are_as_written(path: Path) -> None:
    """Every scenario gets exactly the plan, reasons, health and decision that stand in its file."""
    story, _, expected = path.read_text().partition(_HEADING)
    found = outcome(story)
    assert found.startswith(_HEADING)
    if REWRITE:
        path.write_text(story + found)
        return
    assert found == _HEADING + expected
