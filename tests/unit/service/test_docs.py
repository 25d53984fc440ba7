"""What docs/service.md shows is what the loader understands."""

from __future__ import annotations

import re
from pathlib import Path

from compactor.service.config_file import parse_config
from compactor.service.rule_keys import SERVICE_KEYS
from compactor.service.schedule import Hold

DOCS = (Path(__file__).parents[3] / "docs/service.md").read_text(encoding="utf-8")


def test_the_example_is_right() -> None:
    """The file in the document is accepted as it stands."""
    [example] = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert len(parse_config(example, "docs").sources) == 4


def test_every_key_of_rules_is_documented() -> None:
    """What only a service understands is in the table of keys."""
    assert set(re.findall(r"^\| `([a-z_]+)` \|", DOCS.partition("## Whose turn")[0], re.MULTILINE)) == set(SERVICE_KEYS)


def test_every_reason_is_documented() -> None:
    """Each code that a table can be left alone for."""
    assert {hold.value for hold in Hold} - {Hold.NONE.value} <= set(re.findall(r"`([a-z-]+)`", DOCS.partition("## Whose turn")[2]))
