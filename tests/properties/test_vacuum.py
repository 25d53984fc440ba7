"""Random histories under a clock that moves by hand: vacuum deletes exactly what nobody can need, by a model that only keeps sets."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from support import delta_log as log

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.coordination.claims import Claims
from compactor.maintenance.vacuum import Ground, Terms, vacuum
from compactor.model.snapshot import TableRef
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.care import DeltaCare
from compactor.tables.delta.log import list_log
from compactor.tables.delta.options import DeltaOptions

HOUR_S = 3600.0


@dataclass
class World:
    """A table of files without rows, and what its history says by itself: when each version became the latest, and what was live in it."""

    seed: int
    clock: VirtualClock = field(default_factory=VirtualClock)
    born_s: list[float] = field(default_factory=list)
    live: list[frozenset[str]] = field(default_factory=list)
    written_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.store = MemoryStore(MemoryBucket("lake", self.clock), "t")
        self.ambient = Ambient(clock=self.clock, ids=SeededIds(self.seed), randomness=SeededRandomness(self.seed))
        self._commit([log.protocol(), log.metadata()], frozenset())

    def step(self) -> None:
        """One commit, or a file that is never committed, or only time."""
        self.clock.sleep(self.chance.choice([60.0, HOUR_S, 5 * HOUR_S]))
        now = self.live[-1]
        match self.chance.choice(["append", "append", "remove", "restore", "orphan", "rewrite"]):
            case "append":
                path = self.write()
                self._commit([log.add(path)], now | {path})
            case "remove" if now:
                gone = self.chance.choice(sorted(now))
                self._commit([log.remove(gone)], now - {gone})
            case "rewrite" if len(now) > 1:
                gone = set(self.chance.sample(sorted(now), 2))
                path = self.write()
                self._commit([*map(log.remove, sorted(gone)), log.add(path)], now - gone | {path})
            case "restore":
                self.restore(self.chance.randrange(len(self.live)))
            case "orphan":
                self.write()

    def write(self) -> str:
        path = f"f{len(self.written_s):04d}.parquet"
        self.store.put(path, b"x" * 100)
        self.written_s[path] = self.now_s
        return path

    def restore(self, version: int) -> None:
        """Back to an older version, as engines do: only when all its files are there."""
        now, then = self.live[-1], self.live[version]
        if all(self.store.head(path) for path in then):
            self._commit([*map(log.remove, sorted(now - then)), *map(log.add, sorted(then - now))], then)

    @property
    def now_s(self) -> float:
        return self.clock.now_ms() / 1000

    def _commit(self, actions: list[log.Action], live: frozenset[str]) -> None:
        log.write(self.store, len(self.live), [log.info(), *actions])
        self.born_s.append(self.now_s)
        self.live.append(live)

    def vacuum(self, retention_s: float) -> set[str]:
        """What a vacuum took. Its own entries change nothing."""
        care = DeltaCare(TableRef(uri=self.store.uri), self.store, self.ambient, DeltaOptions())
        ground = Ground(table=care, store=self.store, claims=lambda: Claims(stems=()))
        found = vacuum(ground, Terms(retention_s=retention_s, allow_short=True, dry_run=False))
        newest = list_log(self.store).newest
        assert newest is not None
        for _ in range(len(self.live), newest + 1):
            self.born_s.append(self.now_s)
            self.live.append(self.live[-1])
        return set(found.paths)

    def needed(self, since_s: float) -> set[str]:
        """Files of every version that was the latest at `since_s` or later."""
        ends = [*self.born_s[1:], float("inf")]
        return {path for end, files in zip(ends, self.live, strict=True) if end > since_s for path in files}


@pytest.mark.parametrize("seed", range(40))
def test_exactly_what_nobody_can_need_goes(seed: int) -> None:
    """Three vacuums in a random history, each with a random retention: what was the latest within it is whole, nothing else that is old
    enough is left."""
    world = World(seed)
    for _ in range(3):
        for _ in range(25):
            world.step()
        retention_s = world.chance.choice([0.0, HOUR_S, 20 * HOUR_S, 500 * HOUR_S])
        cutoff_s = world.now_s - retention_s
        there = {path for path in world.written_s if world.store.head(path)}
        needed = world.needed(cutoff_s)
        taken = world.vacuum(retention_s)
        assert taken == {path for path in there - needed if world.written_s[path] < cutoff_s}
        assert {path for path in world.written_s if world.store.head(path)} == there - taken
