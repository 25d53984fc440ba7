"""`make soak`: many tables with writers on an S3-compatible server, two replicas of the service, one of them killed every now and then.

At the end, when the writers have stopped: every table holds exactly the rows that it should, none was ever without a reason, every one is
inside its policy (a plan, made here, has nothing to do), and the memory of the replica that lived did not grow. All processes are started
here, and ended by their ids.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.s3_server import s3_server

import compactor
from compactor.settings import Settings
from fleet.soak_lake import Lake
from fleet.soak_replica import Replica, free_port

GROWTH, SLACK_BYTES = 1.2, 30 * 10**6
"""Memory in the last quarter of the time, at most: so much times that in the second quarter (the first has start and caches), and some."""
LEAST_SAMPLES = 60
"""In less than about a minute memory is that of a process that starts."""
WRITERS = 2
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "eu-central-1"}
_FILE = """
state = "s3://state/compactor"
[service]
round = "{round_s}s"
discover = "10s"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The form of a soak."""

    tables: int = 200
    minutes: float = 20.0
    writes_a_second: float = 6.0
    seed: int = 1
    logs: Path | None = None


@dataclass(slots=True)
class Seen:
    """What was seen while it ran. mute: tables without a reason; waited_s: the longest that a table was worth a run, at each look."""

    mute: set[str] = field(default_factory=set)
    waited_s: list[float] = field(default_factory=list)
    excess: list[int] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)

    def look(self, tables: list[dict[str, Any]]) -> None:
        """Take in what a replica tells."""
        self.mute |= {table["table"] for table in tables if not table["why"]}
        self.waited_s.append(max((table["waited_s"] for table in tables), default=0.0))
        self.excess.append(sum(table["saves_files"] for table in tables))
        self.states.update(table["state"] for table in tables)


def _store(ends: Any) -> None:
    """The server's process."""
    with s3_server() as server:
        for bucket in ("lake", "state"):
            server.bucket(bucket)
        ends.send(server.endpoint_url)
        ends.recv()


def soak(asked: Asked) -> bool:
    """Prints what happened; whether everything held."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    store = context.Process(target=_store, args=(there,), daemon=True)
    store.start()
    endpoint = here.recv()
    os.environ.update(KEYS, AWS_EC2_METADATA_DISABLED="true")
    lake = Lake(options={**KEYS, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}, tables=asked.tables)
    with TemporaryDirectory() as temporary:
        folder = asked.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began_s = time.monotonic()
        lake.create()
        print(f"{asked.tables} tables made in {time.monotonic() - began_s:.0f} s", flush=True)
        replicas = [_replica(folder, number, endpoint, asked.tables) for number in range(2)]
        try:
            return _run(lake, replicas, asked, endpoint)
        finally:
            lake.stop.set()
            here.send(None)
            store.join(timeout=10)


def _run(lake: Lake, replicas: list[Replica], asked: Asked, endpoint: str) -> bool:
    writers = [
        threading.Thread(target=lake.write, args=(asked.seed * 100 + number, asked.writes_a_second / WRITERS), daemon=True)
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    seen = Seen()
    try:
        _disturb(replicas, seen, random.Random(asked.seed), asked.minutes * 60)
        lake.stop.set()
        for writer in writers:
            writer.join()
        calm_s = _settled(replicas[0], seen, asked.tables, 240 + asked.minutes * 15)
    finally:
        codes = [replica.end() for replica in replicas]
    return _judge(lake, replicas, seen, (calm_s, codes, _behind(lake, endpoint)))


def _replica(folder: Path, number: int, endpoint: str, tables: int) -> Replica:
    port = free_port()
    file = folder / f"replica-{number}.toml"
    file.write_text(_FILE.format(port=port, endpoint=endpoint, round_s=max(1, tables // 40)))
    replica = Replica(file=file, port=port, log=folder / f"replica-{number}.log")
    replica.start()
    return replica


def _disturb(replicas: list[Replica], seen: Seen, chance: random.Random, seconds: float) -> None:
    """Kills the second replica at random times; the first lives all the time, so that its memory can be watched."""
    began_s = time.monotonic()
    next_kill_s = began_s + min(15.0, seconds / 4)
    next_word_s = began_s + 60
    while time.monotonic() < began_s + seconds:
        time.sleep(1.0)
        replicas[0].sample()
        seen.look(replicas[0].tables() or [])
        if time.monotonic() >= next_kill_s:
            replicas[1].kill()
            next_kill_s = time.monotonic() + chance.uniform(5, 40)
        if time.monotonic() >= next_word_s:
            next_word_s += 60
            minute, resident = (time.monotonic() - began_s) / 60, replicas[0].resident[-1] / 1e6
            print(
                f"minute {minute:.0f}: {seen.excess[-1]:,} files too many, longest wait {seen.waited_s[-1]:.0f} s, {resident:.0f} MB",
                flush=True,
            )


def _settled(replica: Replica, seen: Seen, tables: int, seconds: float) -> float | None:
    """Seconds until all tables were healthy once nobody wrote; None when they were not in time."""
    began_s = time.monotonic()
    while time.monotonic() < began_s + seconds:
        time.sleep(1.0)
        shown = replica.tables() or []
        seen.look(shown)
        if len(shown) == tables and all(table["state"] == "healthy" for table in shown):
            return time.monotonic() - began_s
    print(f"not healthy in time: {[table for table in shown if table['state'] != 'healthy'][:3]}")
    return None


def _behind(lake: Lake, endpoint: str) -> list[str]:
    """Tables for which a plan under the same policy has something to do."""
    settings = Settings(target_size="1MiB", endpoint_url=endpoint, region=KEYS["AWS_REGION"], path_style=True)
    return [uri for uri in lake.written if len(compactor.plan(uri, settings=settings))]


def _judge(lake: Lake, replicas: list[Replica], seen: Seen, end: tuple[float | None, list[int], list[str]]) -> bool:
    calm_s, codes, behind = end
    wrong = lake.wrong()
    told = replicas[0].told() + replicas[1].told()
    quarters = _quarters(replicas[0].resident)
    flat = len(replicas[0].resident) < LEAST_SAMPLES or quarters[3] <= GROWTH * quarters[1] + SLACK_BYTES
    appends, deletes, again = lake.sums()
    ends = ", ".join(f"{told[name]:,} {name.partition(' ')[2]}" for name in sorted(told) if name.startswith("RunFinished "))
    print(f"{len(lake.written)} tables: {appends:,} appends and {deletes:,} deletes by others ({again:,} anew), {replicas[1].kills} kills")
    print(f"runs: {told['RunBegun']:,} begun; ended: {ends}")
    print(f"rows: {'right everywhere' if not wrong else '; '.join(wrong[:5])}; writers that failed: {lake.failures or 'none'}")
    print(f"outside their policy at the end: {behind[:5] or 'none'}; the most files of a table: {lake.most_files()}")
    calm = "never" if calm_s is None else f"{calm_s:.0f} s"
    print(f"all healthy after the last write: {calm}; ever without a reason: {sorted(seen.mute)[:5] or 'none'}")
    print(f"the longest wait of a table that was worth a run: {max(seen.waited_s, default=0.0):.0f} s")
    print(f"memory of the replica that lived, by quarters of the time: {', '.join(f'{size / 1e6:.0f}' for size in quarters)} MB")
    print(f"both ended with {codes} after SIGTERM; lines that tell of a bug: {told['bug']}")
    fine = calm_s is not None and not wrong and not lake.failures and not behind and not seen.mute
    return fine and flat and codes == [0, 0] and not told["bug"]


def _quarters(resident: list[int]) -> list[int]:
    """The largest of each quarter."""
    cut = [len(resident) * number // 4 for number in range(5)]
    return [max(resident[cut[number] : cut[number + 1]], default=0) for number in range(4)]


def main() -> int:
    """1 when something did not hold."""
    usual = Asked()
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--tables", type=int, default=usual.tables)
    parser.add_argument("--minutes", type=float, default=usual.minutes)
    parser.add_argument("--writes-a-second", type=float, default=usual.writes_a_second)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--logs", type=Path, default=None, help="a folder to keep the replicas' logs in")
    held = soak(Asked(**vars(parser.parse_args())))
    print("everything held" if held else "NOT everything held")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
