"""A small SQS-compatible queue on loopback that can be sent to at a rate, and tells how much waits in it.

    with sqs_server(latency_s=0.015) as queue:
        queue.send("a body")                      # or queue.produce(bodies, a_second=1000)
        events = Events(queue_url=queue.url, region="eu-central-1", endpoint_url=queue.endpoint_url)

Speaks what boto3 does (JSON 1.0): ReceiveMessage with long polling and a visibility timeout, and DeleteMessageBatch. moto does, too, and is
where the protocol is tested; this one is for rates that moto does not reach. Signatures are not checked. One event loop in one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_MOST = 10


@dataclass(slots=True)
class _Message:
    body: str
    sent_s: float
    receipts: int = 0


class SqsServer:
    """One queue, whatever URL is asked. waiting: messages that are not deleted."""

    def __init__(self, latency_s: float, visibility_s: float) -> None:
        self.endpoint_url = ""
        self.requests: Counter[str] = Counter()
        self.received = 0
        self._latency_s, self._visibility_s = latency_s, visibility_s
        self._visible: deque[_Message] = deque()
        self._hidden: dict[str, tuple[_Message, float]] = {}
        self._numbers = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()

    @property
    def url(self) -> str:
        """Of the queue."""
        return f"{self.endpoint_url}/000000000000/queue"

    @property
    def waiting(self) -> int:
        """Messages that are not deleted, taken ones included."""
        return len(self._visible) + len(self._hidden)

    def oldest_s(self) -> float:
        """For how long the oldest message that nobody has taken has waited; 0 without one."""
        try:
            return time.monotonic() - self._visible[0].sent_s
        except IndexError:
            return 0.0

    def send(self, *bodies: str) -> None:
        """Put messages into the queue. From any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._put, bodies)

    def produce(self, bodies: Iterable[str], a_second: float) -> None:
        """Send them evenly; returns when the last was sent. Not from the server's own thread."""
        began_s, sent = time.monotonic(), 0
        source = iter(bodies)
        while batch := list(itertools.islice(source, max(0, int((time.monotonic() - began_s) * a_second) - sent) or 1)):
            self.send(*batch)
            sent += len(batch)
            time.sleep(max(0.0, began_s + sent / a_second - time.monotonic(), 0.005))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is closed."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
                operation = headers.get("x-amz-target", "").rpartition(".")[2]
                self.requests[operation] += 1
                await asyncio.sleep(self._latency_s)
                status, reply = await self._answer(operation, body)
                data = json.dumps(reply).encode()
                kind = "application/x-amz-json-1.0"
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        writer.close()

    def open(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        """It listens now."""
        self._loop = loop
        self.endpoint_url = f"http://127.0.0.1:{port}"

    async def _answer(self, operation: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if operation == "receivemessage":
            await self._some(float(body.get("WaitTimeSeconds", 0)))
            return 200, {"Messages": self._take(min(_MOST, int(body.get("MaxNumberOfMessages", 1))))}
        if operation == "deletemessagebatch":
            entries = body["Entries"]
            for entry in entries:
                self._hidden.pop(entry["ReceiptHandle"], None)
            return 200, {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}
        return 400, {"__type": "com.amazonaws.sqs#UnsupportedOperation", "message": operation}

    async def _some(self, wait_s: float) -> None:
        """Until there is a message, or the time is over."""
        ends_s = time.monotonic() + wait_s
        self._return_hidden()
        while not self._visible and (left_s := ends_s - time.monotonic()) > 0:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), min(left_s, 0.5))
            self._return_hidden()

    def _take(self, most: int) -> list[dict[str, Any]]:
        taken = []
        for _ in range(min(most, len(self._visible))):
            message = self._visible.popleft()
            message.receipts += 1
            receipt = f"receipt-{next(self._numbers)}"
            self._hidden[receipt] = (message, time.monotonic() + self._visibility_s)
            taken.append(
                {
                    "MessageId": receipt,
                    "ReceiptHandle": receipt,
                    "Body": message.body,
                    "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
                    "Attributes": {"ApproximateReceiveCount": str(message.receipts)},
                }
            )
        self.received += len(taken)
        return taken

    def _put(self, bodies: Iterable[str]) -> None:
        now_s = time.monotonic()
        self._visible.extend(_Message(body=body, sent_s=now_s) for body in bodies)
        self._arrived.set()

    def _return_hidden(self) -> None:
        """Messages that were not deleted in time come again; they were hidden in the order of their time."""
        now_s = time.monotonic()
        while self._hidden:
            receipt, (message, until_s) = next(iter(self._hidden.items()))
            if until_s > now_s:
                return
            del self._hidden[receipt]
            self._visible.append(message)


@contextmanager
def sqs_server(latency_s: float = 0.0, visibility_s: float = 30.0) -> Iterator[SqsServer]:
    """A queue on a free port of loopback, ended on leaving. latency_s: before each answer, as a network has it."""
    server = SqsServer(latency_s, visibility_s)
    ready, ends = threading.Event(), threading.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.open(asyncio.get_running_loop(), listening.sockets[0].getsockname()[1])
        ready.set()
        while not ends.is_set():
            await asyncio.sleep(0.05)
        listening.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="sqs-server", daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield server
    finally:
        ends.set()
        thread.join(timeout=10)
