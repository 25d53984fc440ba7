"""Changed files that are merged page by page: refused, or what pyarrow reads of them, and the process never ends.

FUZZ_RUNS in the environment says how many (`make fuzz-native`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compactor.rewriting.native import KERNELS, STATUS

RUNS = int(os.environ.get("FUZZ_RUNS", "1500"))
TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
@pytest.mark.timeout(120 + RUNS // 10)
def test_changed_files_are_refused_or_merged_as_pyarrow_reads_them() -> None:
    """Whatever is changed: no merged file holds other values than pyarrow reads, none is unreadable, and the kernel ends no process."""
    command = [sys.executable, "-m", "support.fuse_mutations", "0", str(RUNS)]
    ended = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, f"{told[-3:]}: {ended.stderr[-500:]}"
    counts = told[-1]
    print(counts)
    assert sum(counts.values()) == RUNS
    assert counts["refused"] > RUNS / 4, "the changes do too little"
    assert counts["equal"] > RUNS / 10, "the changes do too much"
    assert counts["lenient"] < RUNS / 20
