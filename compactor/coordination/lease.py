"""A lease per table, so that two services do not rewrite the same files: a courtesy. Nothing that is right rests on it; the log decides.

    free ──create generation 1──► held ──create the next generation, now and then──► held … ──delete──► free
                                   │
                                   └─ the same generation seen for `ttl_s` on the watcher's own clock, or its process is certainly gone
                                      ──create the next one──► held by another; the first finds it taken at its next renewal and stops

`lease/<generation>.json` is created and never overwritten, so of two that want a generation one gets it. No two machines' clocks are ever
compared: who waits for a lease to expire has watched one generation for all of that time. Taken only once there is something to do; that
costs two requests. A lease that is lost ends its run before the next commit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from compactor.ambient.ports import Ambient, Owners
from compactor.coordination.documents import create, decode, encode
from compactor.coordination.pulse import Pulse
from compactor.errors import CompactorError, ConflictGaveUp, ObjectMissing, StorageError, Superseded
from compactor.storage.base import ObjectStore

LEASE_FORMAT_VERSION = 1
_LOOK_EVERY_S = 5.0


class Lease(Protocol):
    """What a run needs of a lease."""

    @contextmanager
    def held(self, run_id: str) -> Iterator[bool]:
        """Hold the lease inside; whether its last holder never gave it back. Raises ConflictGaveUp when another holds it, StorageError."""
        ...

    def check(self) -> None:
        """Raises Superseded when the lease was lost. Costs a request at most now and then."""
        ...


class NoLease:
    """For runs that take none."""

    @contextmanager
    def held(self, run_id: str) -> Iterator[bool]:
        yield False

    def check(self) -> None:
        """Nothing can be lost."""


@dataclass(slots=True)
class Watch:
    """What this process has seen of leases: by their place, the generation and since when, on its own monotonic clock."""

    seen: dict[str, tuple[str, float]] = field(default_factory=dict)

    def unchanged_s(self, place: str, generation: str, now_s: float) -> float:
        """For how long this generation has been the newest, as far as this process has looked."""
        known, since_s = self.seen.get(place, ("", now_s))
        if known != generation:
            self.seen[place] = (generation, now_s)
            return 0.0
        return now_s - since_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """ttl_s: a generation that is unchanged for so long has expired; it is renewed three times as often. wait_s: how long a run waits for a
    lease that another holds. pulse: whether it is renewed beside the run too, not only at its commits. by: program and machine, for people.
    """

    ttl_s: float = 90.0
    wait_s: float = 0.0
    pulse: bool = True
    by: str | None = None


class TableLease:
    """The lease of one table. `store` and `prefix` are where its records are."""

    def __init__(self, *, store: ObjectStore, prefix: str, ambient: Ambient, owners: Owners, watch: Watch, terms: Terms) -> None:
        self._store, self._folder = store, f"{prefix}lease/"
        self._ambient, self._owners, self._watch, self._terms = ambient, owners, watch, terms
        self._lock = threading.Lock()
        self._generation = 0
        self._renewed_s = 0.0
        self._lost = False
        self._body = b""

    @contextmanager
    def held(self, run_id: str) -> Iterator[bool]:
        """See Lease."""
        words = {"run_id": run_id, "holder": self._ambient.ids.new(), "owner": self._owners.me(), "by": self._terms.by}
        self._body, self._lost = encode("lease", LEASE_FORMAT_VERSION, words), False
        inherited = self._acquire()
        pulse = Pulse(self._terms.ttl_s / 3, self._renew, "lease") if self._terms.pulse else None
        try:
            yield inherited
        finally:
            if pulse is not None:
                pulse.stop()
            self._release()

    def check(self) -> None:
        """See Lease."""
        if self._ambient.clock.monotonic_s() - self._renewed_s >= self._terms.ttl_s / 3:
            self._renew()
        if self._lost or self._ambient.clock.monotonic_s() - self._renewed_s >= self._terms.ttl_s:
            raise Superseded(f"The lease below {self._store.uri}/{self._folder} was lost: another run works on this table.")

    def _acquire(self) -> bool:
        """Whether another generation stood in the way, whose holder is gone."""
        clock = self._ambient.clock
        ends_s = clock.monotonic_s() + self._terms.wait_s
        while True:
            keys = [item.key for item in self._store.list(self._folder) if item.key.endswith(".json")]
            holder = self._holder(keys[-1]) if keys else None
            if holder is None:
                generation = _number(keys[-1]) + 1 if keys else 1
                if create(self._store, self._key(generation), self._body):
                    self._generation, self._renewed_s = generation, clock.monotonic_s()
                    if keys:
                        self._store.delete(keys)
                    return bool(keys)
            elif clock.monotonic_s() >= ends_s:
                raise ConflictGaveUp(f"Another run ({holder}) holds the lease below {self._store.uri}/{self._folder}; nothing was done.")
            clock.sleep(min(_LOOK_EVERY_S, self._terms.ttl_s / 3))

    def _holder(self, key: str) -> str | None:
        """Who holds the generation at `key`; None when it has expired or is gone. Raises StorageError, TableRefused (newer format)."""
        try:
            words = decode(self._store.get(key), "lease", LEASE_FORMAT_VERSION, f"{self._store.uri}/{key}")
        except ObjectMissing:
            return None
        now_s = self._ambient.clock.monotonic_s()
        unchanged_s = self._watch.unchanged_s(f"{self._store.uri}/{self._folder}", f"{key} {words.get('holder')}", now_s)
        if unchanged_s >= self._terms.ttl_s or self._owners.is_gone(str(words.get("owner", ""))):
            return None
        return f"{words.get('run_id')} by {words.get('by') or 'somebody'}"

    def _renew(self) -> None:
        """The next generation. Never raises: a store that fails is tried again, until the lease has run out."""
        with self._lock, suppress(CompactorError):
            if self._lost:
                return
            asked_s = self._ambient.clock.monotonic_s()
            if not create(self._store, self._key(self._generation + 1), self._body):
                self._lost = True
                return
            self._generation += 1
            self._renewed_s = asked_s
            newest = max((_number(item.key) for item in self._store.list(self._folder)), default=self._generation)
            self._lost = newest > self._generation
            self._store.delete([self._key(self._generation - 1)])

    def _release(self) -> None:
        with self._lock, suppress(StorageError):
            if not self._lost:
                self._store.delete([self._key(self._generation)])

    def _key(self, generation: int) -> str:
        return f"{self._folder}{generation:012d}.json"


def _number(key: str) -> int:
    name = key.rpartition("/")[2].removesuffix(".json")
    return int(name) if name.isdecimal() else 0
