"""How often foreign writers have to begin anew because of us: `make simulate-aborts`.

A table partitioned by hour, under a virtual clock: two writers append to the newest hour; four change rows, nine times of ten in the two
newest hours, by rewriting files (copy-on-write) or by deletion vectors (merge-on-read), and take 5 to 60 seconds from what they read to
their commit. Each judges by its own rules (conflict_models.py). The same seed is played without us, with `compactor serve` at its defaults
(a round every 15 minutes), and with rounds that do not wait for busy partitions. A rewritten group takes half a minute, in which the others
go on.

The bar: with us, at the default settings, no writer's share of aborted changes grows by 2 points or more.
"""

from __future__ import annotations

import argparse
import heapq
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.owners import UnknownOwners
from compactor.coordination.records import Care
from compactor.model.events import Event, GroupFinished
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage.base import Created
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.wiring import wire
from compactor_cli.commands.serve import QUIET_PERIOD_S
from simulation.conflict_models import JUDGES, Judge, Transaction, Winner
from simulation.reader import actions, entry_key, replay, vector_for
from simulation.world import _NoCheckpointer

BAR_POINTS = 2.0
ROUND_S, GROUP_S, PARTITION_S = 900.0, 30.0, 3600.0
SERVE = Settings(executor="serial", memory="64MiB", lease="on", lease_wait=0.0, quiet_period=QUIET_PERIOD_S)
WAYS: Mapping[str, Settings | None] = {"without us": None, "serve": SERVE, "not waiting": SERVE.model_copy(update={"quiet_period": 0.0})}
SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("note", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """One foreign writer. judge: its model's name; vectors: whether it deletes by vectors; every_s: how often it begins, on average."""

    name: str
    judge: str
    vectors: bool
    every_s: float = 120.0


WRITERS = (
    Writer(name="Spark, copy-on-write", judge="spark", vectors=False),
    Writer(name="Spark, merge-on-read", judge="spark", vectors=True),
    Writer(name="Spark Serializable, copy-on-write", judge="serial", vectors=False),
    Writer(name="deltalake, copy-on-write", judge="deltalake", vectors=False),
)
APPEND_EVERY_S = 20.0
ROWS = 4
"""Of an appended file. Ids grow with time, so that files have narrow bounds, until they are merged."""


class Lake:
    """The table and everybody at work on it, under one seed. Events happen at their time; nobody moves between."""

    def __init__(self, seed: int, settings: Settings | None) -> None:
        self._chance = {name: random.Random(f"aborts-{seed}-{name}") for name in ("append", *(writer.name for writer in WRITERS))}
        self._seed, self._settings = seed, settings
        self.clock = VirtualClock()
        self._started_s = self.clock.monotonic_s()
        self._store = MemoryStore(MemoryBucket("aborts", self.clock), "t")
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = self._files = self._rounds = self._ids = 0
        self._winners: list[Winner] = []
        self._live: dict[str, Mapping[str, Any]] = {}
        self.began: Counter[str] = Counter()
        self.aborted: Counter[str] = Counter()
        self.commits = self.files_removed = 0

    def play(self, hours: float) -> None:
        """So many hours of everybody's work."""
        self._create()
        for _ in range(2):
            self._at(self._chance["append"].expovariate(1 / APPEND_EVERY_S), self._append)
        for writer in WRITERS:
            self._at(self._chance[writer.name].expovariate(1 / writer.every_s), lambda writer=writer: self._begin(writer))  # type: ignore[misc]
        if self._settings is not None:
            self._at(ROUND_S, self._round)
        self._until(self._started_s + hours * 3600)

    def _at(self, in_s: float, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.clock.monotonic_s() + in_s, self._order, act))

    def _until(self, end_s: float) -> None:
        while self._events and self._events[0][0] <= end_s:
            at_s, _, act = heapq.heappop(self._events)
            self.clock.sleep(max(0.0, at_s - self.clock.monotonic_s()))
            act()
        self.clock.sleep(max(0.0, end_s - self.clock.monotonic_s()))

    def _create(self) -> None:
        features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
        columns = (("id", "long"), ("note", "string"), ("p", "string"))
        schema = {"type": "struct", "fields": [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in columns]}
        metadata = {
            "id": "00000000-0000-4000-8000-000000000000",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(schema),
            "partitionColumns": ["p"],
            "configuration": {"delta.enableDeletionVectors": "true"},
            "createdTime": self.clock.now_ms(),
        }
        self._commit([{"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}, {"metaData": metadata}])

    def _commit(self, entry: list[dict[str, Any]], *, blind: bool = False) -> None:
        self._learn()
        info = {"commitInfo": {"timestamp": self.clock.now_ms(), "operation": "WRITE", "engineInfo": "writer", "isBlindAppend": blind}}
        body = "\n".join(json.dumps(action) for action in [info, *entry]).encode()
        assert isinstance(self._store.create(entry_key(len(self._winners)), body), Created)
        self._learn()

    def _learn(self) -> None:
        """Read the versions that came since."""
        while self._store.head(entry_key(len(self._winners))) is not None:
            entry = list(actions(self._store, len(self._winners)))
            replay(self._live, iter(entry))
            adds = tuple({**action["add"], "bounds": _bounds(action["add"])} for action in entry if "add" in action)
            removes = tuple(action["remove"] for action in entry if "remove" in action)
            blind = any(action.get("commitInfo", {}).get("isBlindAppend", False) for action in entry)
            self._winners.append(Winner(adds=adds, removes=removes, blind=blind))

    def _partition(self, hours_ago: int) -> str:
        return f"{max(0, int((self.clock.monotonic_s() - self._started_s) // PARTITION_S) - hours_ago):04d}"

    def _append(self) -> None:
        chance = self._chance["append"]
        self._commit([{"add": self._written(self._partition(0), range(self._ids, self._ids + ROWS))}], blind=True)
        self._ids += ROWS
        self._at(chance.expovariate(1 / APPEND_EVERY_S), self._append)

    def _begin(self, writer: Writer) -> None:
        """Read what is to be changed; the commit comes later."""
        chance = self._chance[writer.name]
        self._at(chance.expovariate(1 / writer.every_s), lambda: self._begin(writer))
        self._learn()
        hours_ago = chance.randint(0, 1) if chance.random() < 0.9 else chance.randint(0, int(self._partition(0)))
        place, takes_s = chance.random(), chance.uniform(5, 60)
        partition = self._partition(hours_ago)
        there = {path: add for path, add in self._live.items() if add["partitionValues"]["p"] == partition}
        if not there:
            return
        first, last = min(_bounds(add)[0] for add in there.values()), max(_bounds(add)[1] for add in there.values())
        low = int(first + place * (last - first))
        mine = Transaction(partition=partition, low=low, high=low + 2 * ROWS, read=frozenset())
        read = {path: add for path, add in there.items() if mine.matches({**add, "bounds": _bounds(add)})}
        seen = len(self._winners)
        if read:
            self._at(takes_s, lambda: self._end(writer, replace(mine, read=frozenset(read)), read, seen))

    def _end(self, writer: Writer, mine: Transaction, read: Mapping[str, Mapping[str, Any]], seen: int) -> None:
        self._learn()
        self.began[writer.name] += 1
        judge: Judge = JUDGES[writer.judge]
        if not judge(mine, self._winners[seen:]) or any(self._live.get(path) != add for path, add in read.items()):
            self.aborted[writer.name] += 1
            return
        chosen = dict(sorted(read.items())[:3])
        entry: list[dict[str, Any]] = [self._remove(add) for add in chosen.values()]
        for add in chosen.values():
            entry += self._masked(add) if writer.vectors else [{"add": self._written(mine.partition, range(*_span(add)))}]
        self._commit(entry)

    def _masked(self, add: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One more row of the file deleted; nothing when that was the last."""
        rows = int(json.loads(add["stats"])["numRecords"])
        gone = add.get("deletionVector", {}).get("cardinality", 0) + 1
        return [{"add": {**add, **vector_for(frozenset(range(gone))), "dataChange": True}}] if gone < rows else []

    def _remove(self, add: Mapping[str, Any]) -> dict[str, Any]:
        vector = {"deletionVector": add["deletionVector"]} if "deletionVector" in add else {}
        named = {"path": add["path"], "partitionValues": add["partitionValues"], "size": add["size"]}
        return {"remove": {**named, "deletionTimestamp": self.clock.now_ms(), "dataChange": True, **vector}}

    def _written(self, partition: str, ids: Any) -> dict[str, Any]:
        self._files += 1
        numbers, buffer = sorted(ids), io.BytesIO()
        notes = [f"{self._files}" for _ in numbers]
        pq.write_table(pa.table([pa.array(numbers, pa.int64()), pa.array(notes, pa.string())], schema=SCHEMA), buffer)
        key = f"p={partition}/w-{self._files:06d}.parquet"
        self._store.put(key, buffer.getvalue())
        stats = {"numRecords": len(numbers), "minValues": {"id": numbers[0]}, "maxValues": {"id": numbers[-1]}}
        return {
            "path": key,
            "partitionValues": {"p": partition},
            "size": len(buffer.getvalue()),
            "modificationTime": self.clock.now_ms(),
            "dataChange": True,
            "stats": json.dumps(stats),
        }

    def _round(self) -> None:
        """One round of a service; while it rewrites, the others go on."""
        assert self._settings is not None
        self._at(ROUND_S, self._round)
        self._rounds += 1
        number = self._seed * 100_000 + self._rounds
        ambient = Ambient(clock=self.clock, ids=SeededIds(number), randomness=SeededRandomness(number))
        wired = wire(self._store, self._settings, sink=self._meanwhile, ambient=ambient, care=Care(beat_s=None), owners=UnknownOwners())
        run = run_table(replace(wired, checkpointer=_NoCheckpointer()), self._settings.policy())
        self.commits += bool(run.groups_committed)
        self.files_removed += run.files_removed

    def _meanwhile(self, event: Event) -> None:
        if isinstance(event, GroupFinished):
            self._until(self.clock.monotonic_s() + GROUP_S)


def _span(add: Mapping[str, Any]) -> tuple[int, int]:
    first, last = _bounds(add)
    return first, last + 1


def _bounds(add: Mapping[str, Any]) -> tuple[int, int]:
    stats = json.loads(add["stats"])
    return stats["minValues"]["id"], stats["maxValues"]["id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One writer's aborts in one way of playing, over all seeds."""

    began: int
    aborted: int

    @property
    def rate(self) -> float:
        """Aborted changes of those begun, in percent."""
        return 100 * self.aborted / max(1, self.began)


def figures(seeds: range, hours: float) -> Iterator[tuple[str, dict[str, Shown], Counter[str]]]:
    """For each way of playing: each writer's aborts, and what we did."""
    for way, settings in WAYS.items():
        began: Counter[str] = Counter()
        aborted: Counter[str] = Counter()
        ours: Counter[str] = Counter()
        for seed in seeds:
            lake = Lake(seed, settings)
            lake.play(hours)
            began += lake.began
            aborted += lake.aborted
            ours += Counter({"commits": lake.commits, "files removed": lake.files_removed})
        yield way, {writer.name: Shown(began=began[writer.name], aborted=aborted[writer.name]) for writer in WRITERS}, ours


def main() -> int:
    """1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="make simulate-aborts")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--hours", type=float, default=8.0)
    arguments = parser.parse_args()
    found = {way: (rates, ours) for way, rates, ours in figures(range(arguments.seeds), arguments.hours)}
    alone, _ = found["without us"]
    missed = False
    print(f"{'aborted changes':36}{'without us':>20}{'with serve':>20}{'points':>8}{'not waiting':>20}{'points':>8}")
    for writer in WRITERS:
        cells = [f"{_cell(alone[writer.name]):>20}"]
        for way in ("serve", "not waiting"):
            with_us = found[way][0][writer.name]
            points = with_us.rate - alone[writer.name].rate
            missed |= way == "serve" and points >= BAR_POINTS
            cells += [f"{_cell(with_us):>20}", f"{points:>+8.2f}"]
        print(f"{writer.name:36}{''.join(cells)}")
    for way in ("serve", "not waiting"):
        ours = found[way][1]
        print(f"ours, {way}: {ours['commits']:,} runs committed, {ours['files removed']:,} files removed")
    print(f"bar: with serve at its defaults, below {BAR_POINTS:.0f} points more for each writer{': MISSED' if missed else ''}")
    return 1 if missed else 0


def _cell(shown: Shown) -> str:
    return f"{shown.rate:.2f}% of {shown.began:,}"


if __name__ == "__main__":
    sys.exit(main())
