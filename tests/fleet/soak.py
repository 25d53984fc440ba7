"""`make soak`: many tables with writers on an S3-compatible server, two replicas of the service, one of them killed every now and then.

At the end, when the writers have stopped: every table holds exactly the rows that were written, none is without a reason, every one is
inside its policy (healthy), and the memory of the replicas did not grow. All processes are started here, and ended by their ids.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from support.s3_server import s3_server

ROWS = 50
GROWTH = 1.5
"""Memory at the end, at most, of what it was after the first quarter of the time."""
_FILE = """
state = "s3://state/compactor"
[service]
round = "1s"
discover = "5s"
parallel = 2
grace = "5s"
[run]
memory = "1GiB"
[http]
port = {port}
[[source]]
prefix = "s3://lake"
[defaults]
endpoint_url = "{endpoint}"
region = "eu-central-1"
path_style = true
target_size = "1MiB"
quiet_period = "2s"
"""


def _store(ends: Any) -> None:
    """The server's process."""
    with s3_server() as server:
        for bucket in ("lake", "state"):
            server.bucket(bucket)
        ends.send(server.endpoint_url)
        ends.recv()


@dataclass
class Lake:
    """The tables and what was written to them. options: for the writer that is not ours."""

    options: dict[str, str]
    tables: int
    written: dict[str, list[int]] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def uri(self, number: int) -> str:
        return f"s3://lake/t{number:03d}"

    def append(self, number: int) -> None:
        counts = self.written.setdefault(self.uri(number), [])
        first = sum(counts)
        rows = pa.table({"id": list(range(first, first + ROWS))})
        write_deltalake(self.uri(number), rows, mode="append", storage_options=self.options)
        counts.append(ROWS)

    def write(self, chance: random.Random) -> None:
        """A writer: some tables often, others seldom."""
        while not self.stop.is_set():
            self.append(int(self.tables * chance.random() ** 2))
            self.stop.wait(0.02)

    def wrong(self) -> list[str]:
        """Tables that do not hold what was written, each row once."""
        found = []
        for uri, counts in self.written.items():
            ids = DeltaTable(uri, storage_options=self.options).to_pyarrow_table().column("id").to_pylist()
            if sorted(ids) != list(range(sum(counts))):
                found.append(f"{uri}: {len(ids)} rows for {sum(counts)}")
        return found


@dataclass
class Replica:
    """A process of the service, and how much memory it was seen to hold."""

    file: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    resident: list[int] = field(default_factory=list)
    kills: int = 0

    def start(self) -> None:
        code = "from compactor_cli.main import main\nmain()"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", code, "serve", "--config", str(self.file)], stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.start()

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def sample(self) -> None:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status")
        line = next((line for line in status.read_text().splitlines() if line.startswith("VmRSS")), "VmRSS: 0 kB")
        self.resident.append(int(line.split()[1]) * 1024)

    def tables(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/tables?limit=10000", timeout=10) as reply:
            return list(json.loads(reply.read())["tables"])


def soak(tables: int, minutes: float, seed: int) -> bool:
    """Prints what happened; whether everything held."""
    chance = random.Random(seed)
    here, there = multiprocessing.get_context("spawn").Pipe()
    store = multiprocessing.get_context("spawn").Process(target=_store, args=(there,), daemon=True)
    store.start()
    with TemporaryDirectory() as folder:
        endpoint = here.recv()
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "eu-central-1"}
        lake = Lake(options={**keys, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}, tables=tables)
        os.environ.update(keys, AWS_EC2_METADATA_DISABLED="true")
        for number in range(tables):
            lake.append(number)
        replicas = [_replica(Path(folder), number, endpoint) for number in range(2)]
        writer = threading.Thread(target=lake.write, args=(chance,), daemon=True)
        writer.start()
        try:
            _disturb(replicas, chance, minutes * 60)
            lake.stop.set()
            writer.join()
            calm = _settled(replicas[0], tables, 180 + minutes * 12)
            return _judge(lake, replicas, calm)
        finally:
            lake.stop.set()
            codes = [replica.end() for replica in replicas]
            print(f"both ended with {codes} after SIGTERM")
            here.send(None)
            store.join(timeout=10)


def _replica(folder: Path, number: int, endpoint: str) -> Replica:
    port = 18_340 + number
    file = folder / f"replica-{number}.toml"
    file.write_text(_FILE.format(port=port, endpoint=endpoint))
    replica = Replica(file=file, port=port, log=folder / f"replica-{number}.log")
    replica.start()
    return replica


def _disturb(replicas: list[Replica], chance: random.Random, seconds: float) -> None:
    """Kills the second replica at random times; the first lives all the time, so that its memory can be watched."""
    ends = time.monotonic() + seconds
    next_kill = time.monotonic() + min(15.0, seconds / 4)
    while time.monotonic() < ends:
        time.sleep(1.0)
        replicas[0].sample()
        if time.monotonic() >= next_kill:
            replicas[1].kill()
            next_kill = time.monotonic() + chance.uniform(5, 30)


def _settled(replica: Replica, tables: int, seconds: float) -> bool:
    """Whether all tables become healthy once nobody writes."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(1.0)
        states = [table["state"] for table in replica.tables()]
        if len(states) == tables and set(states) == {"healthy"}:
            return True
    return False


def _judge(lake: Lake, replicas: list[Replica], calm: bool) -> bool:
    shown = replicas[0].tables()
    wrong = lake.wrong()
    mute = [table["table"] for table in shown if not table["why"]]
    resident = replicas[0].resident
    early, late = max(resident[: max(1, len(resident) // 4)]), resident[-1]
    runs = sum(line.count(b'"status":"committed"') for replica in replicas for line in [replica.log.read_bytes()])
    appends = sum(len(counts) for counts in lake.written.values())
    print(f"{len(lake.written)} tables, {appends:,} appends, {runs:,} runs committed, {replicas[1].kills} kills")
    print(f"rows: {'right everywhere' if not wrong else '; '.join(wrong[:5])}")
    print(f"states at the end: {sorted({table['state'] for table in shown})}; without a reason: {mute or 'none'}")
    print(f"memory of the replica that lived: {early / 1e6:.0f} MB early, {late / 1e6:.0f} MB late")
    return calm and not wrong and not mute and late <= GROWTH * early


def main() -> int:
    """1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    held = soak(asked.tables, asked.minutes, asked.seed)
    print("everything held" if held else "NOT everything held")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
