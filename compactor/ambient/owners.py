"""Which process of this machine is which, so that a run whose process is gone need not be waited for. Only on Linux; elsewhere nothing is
known.

A process is named by its machine's boot, its namespace of process numbers, its number and when it started; numbers are used again, all four
together are not. Of a process elsewhere nothing is ever claimed. Reads /proc; never signals anything.
"""

from __future__ import annotations

import os
from pathlib import Path


class SystemOwners:
    """The processes of this machine, as Owners."""

    def me(self) -> str:
        started = _started("self")
        place = _place()
        return f"{place}/{os.getpid()}/{started}" if place and started else ""

    def is_gone(self, owner: str) -> bool:
        place, _, process = owner.partition("/")
        if not place or place != _place():
            return False
        number, _, started = process.partition("/")
        return number.isdecimal() and bool(started) and _started(number) != started


class UnknownOwners:
    """Surroundings in which nothing is known of processes: simulation."""

    def me(self) -> str:
        return ""

    def is_gone(self, owner: str) -> bool:
        return False


def _place() -> str:
    """This boot of this machine, and the namespace in which its process numbers mean something; empty when it cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(process: str) -> str:
    """When a process started, in ticks since the boot; empty when there is none, or only its remains (a zombie writes nothing)."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
