"""Vacuums with a short retention: ours, and one of another engine that knows nothing of our intents.

The other one deletes what its snapshot does not need and is older than its retention, outputs of runs at work included, and does not look
again. Neither may delete what is about to be named at that very moment (promises.py): no program could prevent that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from compactor.ambient import Ambient, Clock, SeededIds, SeededRandomness
from compactor.coordination import claims as standing
from compactor.coordination.claims import read_claims
from compactor.errors import ConflictGaveUp
from compactor.maintenance.vacuum import Ground, Terms, vacuum
from compactor.model.snapshot import TableRef
from compactor.storage.base import CreateOutcome, ObjectMeta, ObjectStore
from compactor.tables.delta.care import DeltaCare
from compactor.tables.delta.options import DeltaOptions
from simulation.promises import Promises
from simulation.reader import LOG, actions, keys_of, newest_version, replay

RETENTIONS_S = (0.0, 0.0, 1.0, 5.0)


class OurVacuum:
    """`compactor vacuum`, again and again. bare: what lies below the store, to be told when it begins to look."""

    def __init__(self, *, store: ObjectStore, bare: Forbearing, clock: Clock, seed: int, name: str) -> None:
        self._store, self._bare, self._clock = store, bare, clock
        self._random = random.Random(f"{name}-{seed}")
        self._ambient = Ambient(clock=clock, ids=SeededIds(self._random.getrandbits(32)), randomness=SeededRandomness(seed))

    def story(self, steps: int) -> None:
        """`steps` vacuums."""
        care = DeltaCare(TableRef(uri=self._store.uri), self._store, self._ambient, DeltaOptions())
        ground = Ground(table=care, store=self._store, claims=lambda: read_claims([(self._store, "_compactor/")]))
        for _ in range(steps):
            self._clock.sleep(self._random.uniform(0.1, 5))
            self._bare.begin()
            terms = Terms(retention_s=self._random.choice(RETENTIONS_S), allow_short=True, dry_run=False)
            with suppress(ConflictGaveUp):
                vacuum(ground, terms)


class ForeignVacuum:
    """A vacuum of another engine, as plainly as the protocol allows."""

    def __init__(self, *, store: ObjectStore, bare: Forbearing, clock: Clock, seed: int, name: str) -> None:
        self._store, self._bare, self._clock = store, bare, clock
        self._random = random.Random(f"{name}-{seed}")

    def story(self, steps: int) -> None:
        """`steps` vacuums."""
        for _ in range(steps):
            self._clock.sleep(self._random.uniform(0.1, 5))
            self._bare.begin()
            before_ms = self._clock.now_ms() - int(self._random.choice(RETENTIONS_S) * 1000)
            needed = self._needed(before_ms)
            old = [item.key for item in self._store.list("") if item.modified_ms < before_ms]
            files = [key for key in old if key.endswith((".parquet", ".bin")) and not key.startswith(("_", "."))]
            self._store.delete([key for key in files if key not in needed])

    def _needed(self, before_ms: int) -> set[str]:
        """Files of the newest version, and those that were removed later than the retention allows."""
        live: dict[str, Mapping[str, Any]] = {}
        young: set[str] = set()
        for version in range(newest_version(self._store) + 1):
            entry = list(actions(self._store, version))
            replay(live, iter(entry))
            removed = [action["remove"] for action in entry if "remove" in action]
            young |= {key for remove in removed if remove["deletionTimestamp"] >= before_ms for key in keys_of(remove)}
        return young | {key for add in live.values() for key in keys_of(add)}


class Forbearing:
    """A store whose user deletes nothing that is promised, or was when it began to look. deleted: what it has."""

    def __init__(self, inner: ObjectStore, *promises: Promises, heeds_intents: bool = False) -> None:
        """heeds_intents: its user must never delete what a standing intent claims."""
        self._inner, self._promises, self._heeds_intents = inner, promises, heeds_intents
        self._since = [0] * len(promises)
        self.deleted: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def begin(self) -> None:
        """From here on its user looks for what to delete."""
        self._since = [promises.now() for promises in self._promises]

    def delete(self, keys: Iterable[str]) -> None:
        """Those that nobody needs at this moment."""
        free = [key for key in keys if not any(p.bind(key, since) for p, since in zip(self._promises, self._since, strict=True))]
        if self._heeds_intents:
            claims = standing.read_claims([(self._inner, "_compactor/")])
            assert not any(key in claims for key in free), f"a vacuum of ours deletes what a run at work claims: {free}"
        self._inner.delete(free)
        self.deleted += free


class Promising:
    """A store whose user is about to name what it asks for, or writes as a vector, until it has tried to commit."""

    def __init__(self, inner: ObjectStore, promises: Promises) -> None:
        self._inner, self._promises = inner, promises

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def head(self, key: str) -> ObjectMeta | None:
        self._promises.make([key])
        return self._inner.head(key)

    def put(self, key: str, data: bytes) -> None:
        if key.endswith(".bin"):
            self._promises.make([key])
        self._inner.put(key, data)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        try:
            return self._inner.create(key, data)
        finally:
            if key.startswith(LOG):
                self._promises.release_all()
