"""Scheduling as golden text: one file a rule, reviewed as a diff.

`REWRITE_SCENARIOS=1 pytest tests/scenarios` writes the schedules anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.schedule_scenarios import outcome

SCENARIOS = sorted(Path(__file__).parent.glob("schedules/*.txt"))
REWRITE = os.environ.get("REWRITE_SCENARIOS") == "1"
_HEADING = "schedule:\n"


def test_there_are_scenarios() -> None:
    """The folder of scenarios is found, so that an empty parametrisation cannot pass for success."""
    assert len(SCENARIOS) >= 14


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_schedules_are_as_written(path: Path) -> None:
    """Every scenario gets exactly the actions, and the reasons of all other tables, that stand in its file."""
    story, _, expected = path.read_text().partition(_HEADING)
    found = outcome(story)
    if REWRITE:
        path.write_text(story + found)
        return
    assert found == _HEADING + expected
