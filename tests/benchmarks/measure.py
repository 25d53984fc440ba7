"""Runs a command in processes of its own and measures them from outside: wall time and the peak memory of the whole process tree.

Memory is the proportional set size, so that pages shared between processes of one engine count once. Linux only.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TOUCHED_BYTES = 1536 * 1024 * 1024
_INTERVAL_S = 0.03
_AS_INSTALLED = {"PYTHONDONTWRITEBYTECODE": "", "OPENBLAS_NUM_THREADS": "1"}
"""Modules are compiled once, as they are for whoever has them installed; and numpy starts no threads that spin, as the command has it."""
_LOOKING = 20
"""To look takes as long as a process is large; at most one part in so many of the time goes into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a process printed (a JSON object), the wall time of its whole life, and the most memory its tree held."""

    printed: dict[str, Any]
    whole_s: float
    peak_bytes: int


def touch() -> None:
    """Use some memory and let it go, so that it is at hand: the hypervisor of a virtual machine takes what is free for some time, and
    whoever touches it first again pays ten times as much for it as for any other."""
    with mmap.mmap(-1, TOUCHED_BYTES) as memory:
        for at in range(0, TOUCHED_BYTES, mmap.PAGESIZE):
            memory[at] = 1


def warm(folder: Path) -> None:
    """Read every file below a folder, so that caches are as warm as they are said to be: such a host takes pages of files back as well, a
    good part of them while other engines run."""
    buffer = bytearray(1024 * 1024)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def measure(*command: str, environment: Mapping[str, str] | None = None) -> Measured:
    """`python COMMAND…` in the repository's root. Raises RuntimeError with its stderr when it fails."""
    surroundings = {**os.environ, **_AS_INSTALLED, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}", **(environment or {})}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak, done = [0], threading.Event()

    def watch() -> None:
        pause_s = _INTERVAL_S
        while not done.wait(pause_s):
            before = time.perf_counter()
            peak[0] = max(peak[0], sum(map(proportional_bytes, _tree(process.pid))))
            pause_s = max(_INTERVAL_S, _LOOKING * (time.perf_counter() - before))

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, error = process.communicate()
    whole_s = time.perf_counter() - started
    done.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{error}")
    return Measured(printed=json.loads(out.splitlines()[-1]), whole_s=whole_s, peak_bytes=peak[0])


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def proportional_bytes(pid: int | str) -> int:
    """What a process holds, shared pages by their share; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
