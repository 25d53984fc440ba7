"""A replica of the service in the soak: a process that is started, watched, killed and ended by its own id."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CODE = "from compactor_cli.main import main\nmain()"
_REPLY_S, _END_S = 30, 120


@dataclass
class Replica:
    """resident: bytes of memory, each time it was asked."""

    file: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    resident: list[int] = field(default_factory=list)
    kills: int = 0

    def start(self) -> None:
        """Begin the process."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", _CODE, "serve", "--config", str(self.file)], stdout=log, stderr=log)

    def kill(self) -> None:
        """End it as a lost machine would, and begin another."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.start()

    def end(self) -> int:
        """End it politely; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def sample(self) -> None:
        """Note its memory."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next((line for line in status.splitlines() if line.startswith("VmRSS")), "VmRSS: 0 kB")
        self.resident.append(int(line.split()[1]) * 1024)

    def tables(self) -> list[dict[str, Any]] | None:
        """What it tells of each table; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/tables?limit=10000", timeout=_REPLY_S) as reply:
                return list(json.loads(reply.read())["tables"])
        except (OSError, ValueError):
            return None

    def told(self) -> Counter[str]:
        """Log lines by event, runs by how they ended, problems by kind; `bug` is any line that calls itself one."""
        counts: Counter[str] = Counter()
        for line in self.log.read_bytes().splitlines():
            counts["bug"] += b"This is a bug" in line or b"Traceback" in line
            try:
                told = json.loads(line)
            except ValueError:
                continue
            event = told.get("event", "")
            detail = told.get("status") if event == "RunFinished" else told.get("code") if event == "Problem" else None
            counts[f"{event} {str(detail).partition(' ')[0]}" if detail else event] += 1
        return counts


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
