"""ClickHouse's own reader of Delta logs as a judge: a process that stays, works in one folder and answers about the tables below it.

It reads nothing outside of its working folder, and a crash of it takes only itself away.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import pyarrow as pa

_SETTINGS = "allow_experimental_delta_kernel_rs=0, output_format_arrow_string_as_string=1"
_SERVE = """
import chdb, struct, sys
while line := sys.stdin.readline():
    try:
        state, answer = b"+", chdb.query(line, "ArrowStream").bytes()
    except Exception as error:
        state, answer = b"-", str(error).encode()
    sys.stdout.buffer.write(state + struct.pack("<Q", len(answer)) + answer)
    sys.stdout.buffer.flush()
"""


class CannotRead(Exception):
    """ClickHouse cannot read the table, and why."""


class ClickHouse:
    """Answers about tables below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ClickHouse:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def table(self, root: Path) -> pa.Table:
        """All rows of the table. Raises CannotRead."""
        source = str(root).replace("'", "\\\\'")
        answer = self._ask(f"select * from deltaLakeLocal('{source}') settings {_SETTINGS}")
        return pa.ipc.open_stream(answer).read_all() if answer else pa.table({})

    def _ask(self, query: str) -> bytes:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE], cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(query.replace("\n", " ").encode() + b"\n")
        self._process.stdin.flush()
        head = self._process.stdout.read(9)
        if len(head) < 9:
            raise CannotRead("the process ended")
        answer = self._process.stdout.read(struct.unpack("<Q", head[1:])[0])
        if head[:1] == b"-":
            raise CannotRead(answer.decode(errors="replace"))
        return answer
