"""Changed files that are decoded together with others: what each of them holds by itself, or nothing at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compactor.rewriting.native import KERNELS, STATUS

RUNS = 600
TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
def test_changed_files_do_not_change_their_neighbours() -> None:
    """No chain that can be read holds other rows than its files one by one."""
    command = [sys.executable, "-m", "support.chain_mutations", "0", str(RUNS)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout[-500:]}: {ended.stderr[-500:]}"
    counts = json.loads(ended.stdout.splitlines()[-1])
    assert sum(counts.values()) == RUNS
    assert counts["refused"] > RUNS / 4, "the changes do too little"
    assert counts["equal"] > RUNS / 10, "the changes do too much"
    assert counts["lenient"] < RUNS / 20
