"""The soak of `make soak`, short: its claims hold for a few tables, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import soak as soaking
from fleet.soak import Asked, soak


@pytest.mark.timeout(600)
def test_a_short_soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Four tables with writers, two replicas, kills: rows right, each table inside its policy, none without a reason, both end politely."""
    for name, value in soaking.KEYS.items():
        monkeypatch.setenv(name, value)
    asked = Asked(tables=4, minutes=0.2, writes_a_second=5.0, logs=tmp_path / "logs")
    held = soak(asked)
    told = capsys.readouterr().out
    assert held, told
    assert "right everywhere" in told
