"""A thousand notifications a second, from a queue over HTTP to the service's rounds: does what waits grow?

The queue and who sends to it are a process of their own, and so is the S3-compatible server with the state and the tables' logs. The
service serves as always, in a thread; every message tells of a version of one of its tables that it does not know, so that each is kept and
each table is looked at. Bar: what waits in the last third of the time is no more than in the second, and a second's messages.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.delta_log import add, info, metadata, protocol
from support.s3_server import StoredObject, s3_server
from support.sqs_server import sqs_server

from compactor.service.events import RoundEnded, ServiceEvent
from compactor.service.opening import open_service
from compactor.service.service import Service
from compactor.storage.s3_connection import forget_connections

A_SECOND = 1000
LATENCY_S = 0.015
"""Before each answer of the queue, as over a network."""
TABLES = 300


def notifications(seconds: float = 25.0) -> bool:
    """Prints what waited over time; whether the bar holds."""
    with _process(_store) as (endpoint, _), _process(_queue) as ((queue_endpoint, url), ends), TemporaryDirectory() as folder:
        file = Path(folder) / "f.toml"
        names = json.dumps([f"s3://lake/t{number:05d}" for number in range(TABLES)])
        file.write_text(
            f'state = "s3://state/compactor"\n[service]\nround = "5s"\ndiscover = "1d"\n[[source]]\ntables = {names}\n'
            f'[events]\nqueue_url = "{url}"\nendpoint_url = "{queue_endpoint}"\nregion = "eu-central-1"\n'
            f'[defaults]\nendpoint_url = "{endpoint}"\nregion = "eu-central-1"\npath_style = true\n'
        )
        forget_connections()
        told: list[ServiceEvent] = []
        service = open_service(file, told.append)
        service.start()
        _until(service, told, TABLES)
        thread = threading.Thread(target=service.serve, daemon=True)
        thread.start()
        waited, drained_s = _watch(ends, seconds)
        service.stop()
        thread.join(timeout=60)
    third = len(waited) // 3
    middle, last = max(waited[third : 2 * third]), max(waited[2 * third :])
    looked = sum(event.looked for event in told if isinstance(event, RoundEnded))
    print(
        f"{A_SECOND:,} notifications a second for {seconds:.0f} s, each reply {LATENCY_S * 1000:.0f} ms late: waiting, by the second: "
        f"{', '.join(f'{count:,}' for count in waited)}"
    )
    print(f"the most in the second third {middle:,}, in the last {last:,}; none was left {drained_s:.1f} s after the last was sent")
    print(f"looks at tables meanwhile: {looked:,}")
    return last <= middle + A_SECOND


def _watch(ends: Any, seconds: float) -> tuple[list[int], float]:
    """What waited at each second, and how long after the last message none was left."""
    waited = []
    ends.send(("produce", seconds))
    began_s = time.monotonic()
    while time.monotonic() < began_s + seconds:
        time.sleep(1.0)
        ends.send(("waiting", 0))
        waited.append(ends.recv())
    ended_s = time.monotonic()
    left = 1
    while left and time.monotonic() < ended_s + 30:
        time.sleep(0.2)
        ends.send(("waiting", 0))
        left = ends.recv()
    return waited, time.monotonic() - ended_s


def _until(service: Service, told: list[ServiceEvent], tables: int) -> None:
    """Rounds until all tables are known."""
    while sum(event.loaded for event in told if isinstance(event, RoundEnded)) < tables:
        service.round()


@contextmanager
def _process(main: Any) -> Iterator[tuple[Any, Any]]:
    """A process that first says where it is."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=main, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv(), here
    finally:
        here.send(("end", 0))
        process.join(timeout=10)


def _store(ends: Any) -> None:
    with s3_server() as server:
        server.keep_requests = False
        bucket = server.bucket("lake")
        body = b"\n".join(json.dumps(action).encode() for action in [protocol(), metadata(), add("f0"), info()])
        for number in range(TABLES):
            key = f"t{number:05d}/_delta_log/00000000000000000000.json"
            server.buckets[bucket][key] = StoredObject(data=body, etag=f'"{number}"', modified=1.0, headers={})
        server.bucket("state")
        ends.send(server.endpoint_url)
        ends.recv()


def _queue(ends: Any) -> None:
    with sqs_server(latency_s=LATENCY_S) as queue:
        ends.send((queue.endpoint_url, queue.url))
        while True:
            asked, seconds = ends.recv()
            if asked == "end":
                return
            if asked == "waiting":
                ends.send(queue.waiting)
            else:
                bodies = (message(number) for number in range(int(A_SECOND * seconds)))
                threading.Thread(target=queue.produce, args=(bodies, A_SECOND), daemon=True).start()


def message(number: int) -> str:
    """What S3 sends for a new entry of a log."""
    key = f"t{number % TABLES:05d}/_delta_log/{1 + number // TABLES:020d}.json"
    about = {"s3SchemaVersion": "1.0", "bucket": {"name": "lake"}, "object": {"key": key, "size": 4096, "sequencer": f"{number:016X}"}}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventName": "ObjectCreated:Put", "s3": about}
    return json.dumps({"Records": [record]})
