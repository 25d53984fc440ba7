"""Runs a command in processes of its own and measures them from outside: wall time and the peak memory of the whole process tree.

Memory is the proportional set size, so that pages shared between processes of one engine count once. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_INTERVAL_S = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a process printed (a JSON object) and the most memory its tree held."""

    printed: dict[str, Any]
    peak_bytes: int


def measure(*command: str) -> Measured:
    """`python COMMAND…` in the repository's root. Raises RuntimeError with its stderr when it fails."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}"}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(_INTERVAL_S):
            peak[0] = max(peak[0], sum(map(_proportional_bytes, _tree(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, error = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{error}")
    return Measured(printed=json.loads(out.splitlines()[-1]), peak_bytes=peak[0])


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def _proportional_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
