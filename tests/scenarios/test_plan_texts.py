"""Differences between plans, and explanations, as golden text: one file a case, reviewed as a diff.

`REWRITE_SCENARIOS=1 pytest tests/scenarios` writes the text anew. A case is a scenario of planning (tests/support/planning_scenarios.py);
one of `diffs/` holds two, with `then:` between them; one of `explanations/` asks `ask: file NAME`, `ask: partition NAME` or `ask: table`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.planning_scenarios import explained, saved_plan

from compactor.planning.diff import diff
from compactor_cli.render.diff import diff_lines
from compactor_cli.render.explain import explanation_lines

HERE = Path(__file__).parent
REWRITE = os.environ.get("REWRITE_SCENARIOS") == "1"
DIFFS = sorted(HERE.glob("diffs/*.txt"))
EXPLANATIONS = sorted(HERE.glob("explanations/*.txt"))
_DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


def test_there_are_cases() -> None:
    """The folders are found, so that an empty parametrisation cannot pass for success."""
    assert len(DIFFS) >= 4 and len(EXPLANATIONS) >= 4


@pytest.mark.parametrize("path", DIFFS, ids=lambda path: path.stem)
def test_differences_are_as_written(path: Path) -> None:
    """What changed between two plans is said exactly as the file has it (digests aside)."""
    story, _, expected = path.read_text().partition("diff:\n")
    old, new = story.split("then:\n")
    found = "\n".join(_DIGEST.sub("<id>", line) for line in diff_lines(diff(saved_plan(old), saved_plan(new)))) + "\n"
    _compare(path, f"{story}diff:\n", found, expected)


@pytest.mark.parametrize("path", EXPLANATIONS, ids=lambda path: path.stem)
def test_explanations_are_as_written(path: Path) -> None:
    """Each question gets exactly the answer that stands in its file."""
    story, _, expected = path.read_text().partition("answers:\n")
    questions = re.findall(r"^ask: (.*)$", story, re.MULTILINE)
    answers = ["\n".join([f"> {question}", *explanation_lines(explained(story, question))]) for question in questions]
    _compare(path, f"{story}answers:\n", "\n".join(answers) + "\n", expected)


def _compare(path: Path, story: str, found: str, expected: str) -> None:
    if REWRITE:
        path.write_text(story + found)
        return
    assert found == expected
