"""What this machine offers a run: processors and memory, as limited by cgroups (containers) and affinity.

Reads the operating system only; decides nothing beyond the safe default share.
"""

from __future__ import annotations

import os
from pathlib import Path

from compactor.execution.base import Capacity

SAFE_SHARE = 0.6
"""Of the memory limit, for tasks; the rest is for the driver, the interpreter and what allocators keep."""
_MIB = 1024 * 1024
_SMALLEST = 128 * _MIB
_COMFORTABLE = 192 * _MIB
"""With less than this a task reads so little ahead that a second one beside it gains nothing."""


def share_of_memory() -> int:
    """Bytes that a run may use when nobody said: a safe share of what this machine or container has."""
    return max(_SMALLEST, int(memory_limit() * SAFE_SHARE))


def fit(memory_bytes: int | None, parallelism: int | None) -> Capacity:
    """How many tasks at once, and the memory of each, within these bounds of a run here: fewer tasks, not starved ones."""
    total = memory_bytes or share_of_memory()
    tasks = parallelism or max(1, min(processors(), total // _COMFORTABLE))
    return Capacity(parallelism=tasks, memory_per_task_bytes=max(1, total // tasks))


def memory_limit(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The memory this process may use in bytes: the machine's, or the smallest limit of a cgroup (v1 or v2) above it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for file in _limit_files(cgroups, own) if (limit := _number(file)) is not None]
    return min([machine, *limits])


def available_memory(proc: Path = Path("/proc")) -> int:
    """Bytes that another process could have now: what the machine calls available, within what the limit leaves beside this process."""
    limit = memory_limit()
    beside = limit - resident_bytes(proc)
    free = _kibibytes(proc / "meminfo", "MemAvailable")
    return max(0, beside if free is None else min(beside, free))


def resident_bytes(proc: Path = Path("/proc")) -> int:
    """Bytes of memory that this process holds; 0 where nobody says."""
    return _kibibytes(proc / "self/status", "VmRSS") or 0


def _kibibytes(file: Path, name: str) -> int | None:
    """The value of a `Name:   123 kB` line, in bytes."""
    found = (line.split() for line in _text(file).splitlines() if line.startswith(f"{name}:"))
    return next((int(words[1]) * 1024 for words in found if len(words) > 1 and words[1].isdigit()), None)


def processors(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Processors that this process may keep busy: its affinity, or the CPU quota of its container if that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(cgroups)
    return max(1, min(allowed, quota) if quota else allowed)


def _limit_files(cgroups: Path, own: Path) -> list[Path]:
    """Files that may hold a memory limit for us: v2 `memory.max`, v1 `memory.limit_in_bytes`, of our group and those above it."""
    files = [cgroups / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"]
    for line in _text(own).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            base, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = base / path.strip("/")
        while folder != base and base in folder.parents:
            files.append(folder / name)
            folder = folder.parent
    return files


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() and int(text) > 0 else None


def _cpu_quota(cgroups: Path) -> int | None:
    """Whole processors of the container's quota, rounded up; None without one."""
    quota, period = [*_text(cgroups / "cpu.max").split(), "", ""][:2]
    if not quota.isdigit():
        quota, period = _text(cgroups / "cpu/cpu.cfs_quota_us").strip(), _text(cgroups / "cpu/cpu.cfs_period_us").strip()
    if not quota.isdigit() or not period.isdigit() or not int(period):
        return None
    return -(-int(quota) // int(period))


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
