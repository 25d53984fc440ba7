"""The README's quickstart works as it is printed: its blocks are run in order, in one empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(heading: str, until: str) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks between two headings."""
    section = README[README.index(f"\n{heading}\n") : README.index(f"\n{until}\n")]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(language: str, text: str, folder: Path) -> str:
    """Stdout of a block. Fails with what it said when it does not exit with 0."""
    command = {"python": [sys.executable, "-c", text], "shell": ["bash", "-euo", "pipefail", "-c", text]}[language]
    env = {name: value for name, value in os.environ.items() if not name.startswith("COMPACTOR_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_quickstart_does_what_it_says(tmp_path: Path) -> None:
    """A table is made, seen, planned, compacted in two steps; the Python half then finds nothing left to do; no row is lost."""
    from deltalake import DeltaTable

    quickstart = blocks("## Quickstart", "### Settings")
    assert [language for language, _ in quickstart] == ["python", "shell", "python"]
    shown = [run(language, text, tmp_path) for language, text in quickstart]
    table = DeltaTable(tmp_path / "lake/events")
    assert len(table.file_uris()) == 2
    assert table.to_pyarrow_table().num_rows == 40_000
    assert "80 -> 2" in shown[1]
    assert "40 -> 1" not in shown[1].partition("Dry run: nothing was written.")[0]
    assert shown[1].count("committed version") == 2
    assert "lakehouse-compactor/" in shown[1]
    assert "0 groups, 0 files would become 0" in shown[2]
    assert shown[2].splitlines()[-1].startswith("nothing-to-do 41 0 0 0")


def test_the_settings_file_is_one(tmp_path: Path) -> None:
    """The TOML of the README is accepted as it stands."""
    from compactor.settings import load_settings

    [(language, text)] = blocks("### Settings", "## Exit codes")
    assert language == "toml"
    file = tmp_path / "lake.toml"
    file.write_text(text)
    assert load_settings(file).memory_bytes == 2 * 2**30


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_first_commands_exist(target: str) -> None:
    """`make demo` and `make test` are what the README says they are: targets of the Makefile."""
    [(_, text)] = blocks("## See it work", "## Install")
    assert f"make {target}" in text.splitlines()
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
