"""`make bench-service`: what a round of detection over many unchanged tables costs, and how fast notifications are drained.

The S3-compatible server is a process of its own. The service starts with what an earlier one knew: all tables, as one of them was found.

Bars: 10,000 tables in under 30 s and one request a table, less than 500 MB of memory; those of notifications.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.delta_log import add, info, metadata, protocol
from support.s3_server import S3Server, s3_server

from compactor.execution.machine import resident_bytes
from compactor.service.events import RoundEnded, ServiceEvent
from compactor.service.fleet_file import fleet_bytes
from compactor.service.look import Looker
from compactor.service.opening import open_service
from compactor.service.service import Service
from compactor.service.table_state import TableState
from compactor.storage.s3_connection import forget_connections
from fleet.notifications import notifications

MOST_SECONDS, MOST_BYTES = 30.0, 500 * 10**6
ENTRY = "_delta_log/00000000000000000000.json"


def _serve(tables: int, ends: Any) -> None:
    """The server's process: tables that are logs alone; answers each message with the requests so far."""
    with s3_server() as server:
        bucket = server.bucket("lake")
        body = b"\n".join(json.dumps(action).encode() for action in [protocol(), metadata(), add("f0"), add("f1"), info()])
        _fill(server, bucket, tables, body)
        server.bucket("state")
        ends.send(server.endpoint_url)
        while ends.recv():
            ends.send(len(server.requests))


def _fill(server: S3Server, bucket: str, tables: int, body: bytes) -> None:
    from support.s3_server import StoredObject

    for number in range(tables):
        key = f"t{number:05d}/{ENTRY}"
        server.buckets[bucket][key] = StoredObject(data=body, etag=f'"{number}"', modified=1.0, headers={})


@contextmanager
def _server(tables: int) -> Iterator[tuple[str, Any]]:
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(tables, there), daemon=True)
    process.start()
    try:
        yield here.recv(), here
    finally:
        here.send(False)
        process.join(timeout=10)


def detection(tables: int) -> bool:
    """Prints what a round takes; whether the bars hold."""
    told: list[ServiceEvent] = []
    with _server(tables) as (endpoint, ends), TemporaryDirectory() as folder:
        file = Path(folder) / "f.toml"
        names = json.dumps([f"s3://lake/t{number:05d}" for number in range(tables)])
        file.write_text(
            f'state = "{folder}/state"\n[service]\ndiscover = "1d"\n[[source]]\ntables = {names}\n'
            f'[defaults]\nendpoint_url = "{endpoint}"\nregion = "eu-central-1"\npath_style = true\n'
        )
        forget_connections()
        service = _knowing(file, told, tables)
        service.round()  # takes in that each table is where it was
        ends.send(True)
        before = ends.recv()
        began_s = time.process_time()
        service.round()
        ends.send(True)
        requests = ends.recv() - before
        ended = told[-1]
        assert isinstance(ended, RoundEnded)
        used = resident_bytes()
        service.stop()
        service.finish()
    seconds = ended.seconds
    print(
        f"a round over {tables:,} unchanged tables: {seconds:.1f} s ({time.process_time() - began_s:.1f} s of CPU), {requests:,} requests"
    )
    print(f"memory: {used / 1e6:,.0f} MB (bars: {MOST_SECONDS:g} s, {tables:,} requests, {MOST_BYTES / 1e6:,.0f} MB)")
    return seconds < MOST_SECONDS and requests <= tables and used < MOST_BYTES


def _knowing(file: Path, told: list[ServiceEvent], tables: int) -> Service:
    """A service that starts with a fleet that is known."""
    service = open_service(file, told.append)
    config = service.parts.file.current
    now_s = service.parts.ambient.clock.monotonic_s()
    one = Looker(config=config, memory_bytes=1).look(TableState(uri="s3://lake/t00000"), now_s)
    assert one.standing is not None and one.standing.entry is not None, one.problem
    _, _, rest = one.standing.entry.partition(" ")
    fleet = [
        replace(one, uri=f"s3://lake/t{number:05d}", standing=replace(one.standing, entry=f'"{number}" {rest}')) for number in range(tables)
    ]
    service.parts.shared.save_fleet(fleet_bytes(fleet, now_s))
    began_s = service.parts.ambient.clock.monotonic_s()
    service.start()
    print(f"started with {tables:,} known tables: {service.parts.ambient.clock.monotonic_s() - began_s:.1f} s")
    return service


def main() -> int:
    """1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="make bench-service")
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=25.0, help="of notifications")
    asked = parser.parse_args()
    return int(not (notifications(asked.seconds) & detection(asked.tables)))


if __name__ == "__main__":
    sys.exit(main())
