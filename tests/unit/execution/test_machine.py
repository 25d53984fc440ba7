"""What a machine offers is read from its limits, containers included."""

from __future__ import annotations

import os
from pathlib import Path

from compactor.execution.machine import fit, memory_limit, processors, share_of_memory

MIB = 1024 * 1024
MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_limits_the_machine_is_the_limit(tmp_path: Path) -> None:
    """No cgroup files, or the word max, or v1's huge number: the machine's memory."""
    assert memory_limit(tmp_path, tmp_path / "none") == MACHINE
    put(tmp_path / "memory.max", "max\n")
    put(tmp_path / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert memory_limit(tmp_path, tmp_path / "none") == MACHINE


def test_a_container_of_version_2_is_a_limit(tmp_path: Path) -> None:
    """The smallest limit between our own group and the top counts."""
    put(tmp_path / "own", "0::/kubepods/pod1/box\n")
    put(tmp_path / "kubepods/pod1/memory.max", f"{300 * MIB}\n")
    put(tmp_path / "kubepods/pod1/box/memory.max", "max\n")
    assert memory_limit(tmp_path, tmp_path / "own") == 300 * MIB


def test_a_container_of_version_1_is_a_limit(tmp_path: Path) -> None:
    """The memory controller's own hierarchy is looked at, and no other."""
    put(tmp_path / "own", "3:cpu,cpuacct:/x\n2:memory:/docker/box\n")
    put(tmp_path / "memory/docker/box/memory.limit_in_bytes", f"{200 * MIB}\n")
    put(tmp_path / "memory/x/memory.limit_in_bytes", "1\n")
    assert memory_limit(tmp_path, tmp_path / "own") == 200 * MIB


def test_a_quota_of_processors_is_a_limit(tmp_path: Path) -> None:
    """A quota of one and a half processors lets two tasks run, never more than the machine has."""
    everything = processors(tmp_path)
    put(tmp_path / "cpu.max", "50000 100000\n")
    assert processors(tmp_path) == 1
    put(tmp_path / "cpu.max", "150000 100000\n")
    assert processors(tmp_path) == min(2, everything)
    put(tmp_path / "cpu.max", "max 100000\n")
    assert processors(tmp_path) == everything
    put(tmp_path / "cpu.max", "")
    put(tmp_path / "cpu/cpu.cfs_quota_us", "-1\n")
    assert processors(tmp_path) == everything


def test_little_memory_means_fewer_tasks() -> None:
    """A bound is shared evenly between tasks; where it would starve them there are fewer."""
    assert fit(64 * MIB, None).parallelism == 1
    assert fit(64 * MIB, None).memory_per_task_bytes == 64 * MIB
    assert fit(1024 * MIB, 4).memory_per_task_bytes == 256 * MIB
    assert fit(64 * MIB, 4).parallelism == 4
    assert fit(None, 2).memory_per_task_bytes == share_of_memory() // 2
