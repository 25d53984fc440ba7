"""A stream of events and the client that writes it: deltalake, an engine that is not ours, appending a file to every day's partition."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pyarrow as pa

from compactor_cli.demo.endpoint import BUCKET, REGION
from compactor_cli.demo.ledger import EMPTY, Ledger, ledger_of

TABLE = f"s3://{BUCKET}/events"
DAYS = 30
ALL_DAYS = range(DAYS)
NEWEST_DAYS = range(DAYS - 3, DAYS)
ROWS_A_FILE = 1000
SCHEMA = pa.schema(
    [
        pa.field("day", pa.string()),
        pa.field("event_id", pa.int64()),
        pa.field("happened_at", pa.timestamp("us", tz="UTC")),
        pa.field("user_id", pa.int64()),
        pa.field("kind", pa.string()),
        pa.field("country", pa.string()),
        pa.field("amount", pa.float64()),
        pa.field("latency_ms", pa.float64()),
    ]
)
_KINDS = np.array(["view", "search", "click", "cart", "purchase", "refund"])
_COUNTRIES = np.array(["de", "fr", "gb", "jp", "us", "br", "in", "ng"])
_START_US = 1_767_225_600_000_000  # 2026-01-01


def reach(url: str) -> dict[str, str]:
    """How deltalake reaches the store."""
    return {"AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION}


class Writer:
    """Writes events and keeps the ledger of what was acknowledged."""

    def __init__(self, url: str) -> None:
        self._options = reach(url)
        self._random = np.random.default_rng(20260101)
        self._next_id = 0
        self.ledger: Ledger = EMPTY
        self.appends = 0

    def append(self, days: range = ALL_DAYS, rows_a_day: int = ROWS_A_FILE) -> None:
        """One append: a file in the partition of each of these days."""
        rows = rows_a_day * len(days)
        from deltalake import WriterProperties, write_deltalake

        events = self._events(rows, days)
        codec = WriterProperties(compression="ZSTD")
        write_deltalake(TABLE, events, mode="append", partition_by=["day"], storage_options=self._options, writer_properties=codec)
        self.ledger += ledger_of(events)
        self.appends += 1

    def _events(self, rows: int, days: range) -> pa.Table:
        draw = self._random
        day = np.sort(draw.integers(days.start, days.stop, rows))
        ids = np.arange(self._next_id, self._next_id + rows)
        self._next_id += rows
        columns: dict[str, Any] = {
            "day": np.array([f"2026-01-{number + 1:02d}" for number in range(DAYS)])[day],
            "event_id": ids,
            "happened_at": pa.array(_START_US + day * 86_400_000_000 + draw.integers(0, 86_400_000_000, rows), pa.int64()).cast(
                SCHEMA.field(2).type
            ),
            "user_id": draw.integers(0, 500_000, rows),
            "kind": _KINDS[draw.integers(0, len(_KINDS), rows)],
            "country": _COUNTRIES[draw.integers(0, len(_COUNTRIES), rows)],
            "amount": draw.gamma(2.0, 30.0, rows),
            "latency_ms": draw.lognormal(3.0, 1.0, rows),
        }
        return pa.table(columns, schema=SCHEMA)


class Background:
    """Appends to the newest days go on in a thread until stop(). What an append raised comes out of stop()."""

    def __init__(self, writer: Writer, pause_s: float) -> None:
        self._writer = writer
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._append, name="demo-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the append under way; raises what made the writer give up."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _append(self) -> None:
        while not self._stopping.wait(self._pause_s):
            try:
                self._writer.append(NEWEST_DAYS)
            except Exception as error:  # noqa: BLE001 - raised again by stop(), in the main thread
                self._error = error
                return
