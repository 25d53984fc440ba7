"""Asks a Spark session in a process of its own (tests/spark/server.py), and works on its tables on a local disk."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

Row = tuple[str | None, ...]
START_S, STATEMENT_S = 120.0, 120.0


class SparkError(Exception):
    """What Spark raised for a statement."""


class Spark:
    """A session. `sql` waits for the rows of a statement, `start` does not."""

    def __init__(self, python: Path, server: Path, jars: Path, work: Path) -> None:
        self._log = (work / "spark.log").open("wb")
        command = [str(python), str(server), str(jars), str(work)]
        self._process = subprocess.Popen(command, cwd=work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)
        self._waiting: dict[int, Future[list[Row]]] = {0: Future()}
        self._ids = itertools.count(1)
        threading.Thread(target=self._listen, daemon=True).start()
        self._waiting[0].result(START_S)

    def __enter__(self) -> Spark:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def sql(self, statement: str) -> list[Row]:
        """Its rows, every value as text. Raises SparkError."""
        return self.start(statement).result(STATEMENT_S)

    def start(self, statement: str) -> Future[list[Row]]:
        """The rows to come."""
        assert self._process.stdin is not None
        number = next(self._ids)
        future = self._waiting[number] = Future()
        self._process.stdin.write(json.dumps({"id": number, "sql": statement}).encode() + b"\n")
        self._process.stdin.flush()
        return future

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith(b"{"):
                continue
            told: dict[str, Any] = json.loads(line)
            future = self._waiting.pop(told["id"])
            if "error" in told:
                future.set_exception(SparkError(f"{told['kind']}: {told['error']}"))
            else:
                future.set_result([tuple(row) for row in told.get("rows", [])])
        for future in self._waiting.values():
            future.set_exception(SparkError("the session ended"))


class SparkTable:
    """A table that Spark made, by path."""

    def __init__(self, spark: Spark, root: Path) -> None:
        self.spark, self.root, self.name = spark, root, f"delta.`{root}`"

    @property
    def uri(self) -> str:
        return str(self.root)

    def sql(self, statement: str) -> list[Row]:
        """A statement in which {t} stands for the table and {path} for its folder."""
        return self.spark.sql(statement.replace("{t}", self.name).replace("{path}", str(self.root)))

    def start(self, statement: str) -> Future[list[Row]]:
        """The same without waiting."""
        return self.spark.start(statement.replace("{t}", self.name).replace("{path}", str(self.root)))

    def rows(self, version: int | None = None, where: str = "true") -> Counter[Row]:
        """All rows, of the newest or an older version."""
        return Counter(self.sql(f"select * from {{t}}{'' if version is None else f' version as of {version}'} where {where}"))

    def seen(self, *, ids: bool = False) -> Counter[Row]:
        """All rows; with their stable ids and commit versions if the table tracks rows."""
        return Counter(self.sql("select *" + ", _metadata.row_id, _metadata.row_commit_version" * ids + " from {t}"))

    def changes(self) -> Counter[Row]:
        """The change feed from its first version on, without times."""
        return Counter(self.sql("select * except (_commit_timestamp) from table_changes_by_path('{path}', 0)"))

    def version(self) -> int:
        """The newest version."""
        return max(self.versions())

    def versions(self) -> list[int]:
        """All versions that the log has entries of."""
        return sorted(int(path.stem) for path in (self.root / "_delta_log").glob("*.json") if path.stem.isdigit())

    def history(self) -> list[tuple[int, str, str]]:
        """Version, time and operation of every entry, in no order."""
        return [(int(str(row[0])), str(row[1]), str(row[4])) for row in self.sql("describe history {t}")]
