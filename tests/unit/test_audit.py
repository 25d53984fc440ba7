"""What the audit of dependencies makes of pip-audit's report."""

from __future__ import annotations

from audit import verdict

FLAW = {"id": "PYSEC-1", "fix_versions": ["2.1"]}


def test_a_flaw_fails_and_what_is_not_known_is_not_called_sound() -> None:
    """A known flaw is named and ends with 1; no database is a message; a dependency that was not looked up is named."""
    sound = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [FLAW]}
    unknown = {"name": "c", "skip_reason": "Dependency not found"}
    assert verdict({"dependencies": [sound, bad]}) == (1, ["b 2: PYSEC-1, fixed in 2.1", "2 of 2 dependencies were looked up."])
    assert verdict({"dependencies": [sound, unknown]}) == (0, ["Not looked up: c.", "1 of 2 dependencies were looked up."])
    for nothing in (None, {"dependencies": [unknown]}):
        code, lines = verdict(nothing)
        assert code == 0 and "Skipped" in lines[0]
