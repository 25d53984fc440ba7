"""Who acts in a world, and what befalls them: drawn from a seed, then a value that can be written down, made smaller and played again."""

from __future__ import annotations

import dataclasses
import json
import random
from dataclasses import dataclass, replace
from typing import Any

from simulation.stepped_store import Cut

WRITERS = ("appender", "deleter", "changer", "evolver", "stale")
VACUUMS = ("vacuum", "foreign-vacuum")
COMPACTOR = "compactor"
FAULTS = (
    "create _delta_log/*.json {n} after lost",
    "create _delta_log/*.json {n} before lost",
    "create _delta_log/*.json {n} before error",
    "get */first-000{n}.parquet before error",
    "get _delta_log/0000000000000000000{n}.json before error",
    "list _delta_log/* {n} before error",
    "close *.parquet {n} before error",
    "close *.parquet {n} after error",
    "create _compactor/* {n} after lost",
    "delete * {n} before error",
)
"""Reads are hit by name and not by number: several threads of an actor read at once, in an order that no seed decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """What befalls the process of a compactor in its two or three runs. faults: how many calls of its store fail past all retries, each
    number as likely as the others; crash: how probable its death is; cut: how probable it is that the network is gone for a while."""

    faults: tuple[int, ...]
    crash: float
    cut: float


HOSTILE = Odds(faults=(0, 0, 1, 2), crash=0.25, cut=0.4)
SERVICE = Odds(faults=(0, 0, 0, 0, 0, 0, 0, 0, 0, 1), crash=0.1, cut=0.1)
"""Harsher than machines and stores are: about one run in 25 dies, one meets a failure that outlasts all retries, one loses the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One actor. kind: of WRITERS or VACUUMS, or COMPACTOR; steps: how often it acts; crash_at: the call at which its process dies."""

    name: str
    kind: str
    steps: int
    faults: tuple[str, ...] = ()
    crash_at: int | None = None
    cut: Cut | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A world before anything has happened in it.

    files: that the table has at first; change: how probable it is that another actor moves next; vectors: rows may be deleted by deletion
    vectors; evolving: columns are mapped and may be widened; lease: compactors take it; service: they are services of one machine.
    """

    seed: int
    files: int
    change: float
    roles: tuple[Role, ...]
    vectors: bool = False
    evolving: bool = False
    lease: bool = False
    service: bool = False

    def to_text(self) -> str:
        """As one line of JSON."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @staticmethod
    def parse(text: str) -> Cast:
        """What to_text wrote."""
        told = json.loads(text)
        return Cast(**{**told, "roles": tuple(map(_role, told["roles"]))})


def _role(told: dict[str, Any]) -> Role:
    cut = told["cut"]
    return Role(**{**told, "faults": tuple(told["faults"]), "cut": None if cut is None else Cut(**cut)})


def draw(seed: int, crashing: float, *, stale: bool = False, service: bool = False) -> Cast:
    """The world of a seed. crashing: how probable it is that a compactor's process dies.

    stale: a rival doubles rows; nobody deletes any then. service: what befalls processes is drawn at SERVICE's rates.
    """
    chance = random.Random(f"world-{seed}")
    vectors = seed % 2 == 1 and not stale
    evolving = chance.random() < 0.3 and not stale
    change = chance.choice([0.05, 0.2, 0.6])
    files = chance.randint(4, 10)
    second = "stale" if stale else "deleter" if seed % 4 == 2 else "changer"
    roles = [Role(name=kind, kind=kind, steps=chance.randint(2, 6)) for kind in ("appender", second)]
    odds = replace(SERVICE, crash=min(SERVICE.crash, crashing)) if service else replace(HOSTILE, crash=crashing)
    roles += [_compactor(chance, name, odds) for name in ("ours", "rival")]
    if evolving:
        roles.append(Role(name="evolver", kind="evolver", steps=chance.randint(1, 4)))
    for kind in VACUUMS:
        if chance.random() < 0.2 and not stale:
            roles.append(Role(name=kind, kind=kind, steps=chance.randint(1, 4)))
    lease = service or seed % 3 == 0
    return Cast(seed=seed, files=files, change=change, roles=tuple(roles), vectors=vectors, evolving=evolving, lease=lease, service=service)


def _compactor(chance: random.Random, name: str, odds: Odds) -> Role:
    """Two or three runs in a row, through a store that may fail once or twice, by a process that may crash."""
    faults = tuple(chance.choice(FAULTS).format(n=chance.randint(1, 3)) for _ in range(chance.choice(odds.faults)))
    return Role(
        name=name,
        kind=COMPACTOR,
        steps=chance.randint(2, 3),
        faults=faults,
        crash_at=chance.randint(5, 150) if chance.random() < odds.crash else None,
        cut=_cut(chance) if chance.random() < odds.cut else None,
    )


def _cut(chance: random.Random) -> Cut:
    """Anywhere, or, as that is where it matters most, just when an entry of the log is created."""
    calls = chance.choice([1, 2, 6, 6, 7, 10, 40])
    if chance.random() < 0.5:
        return Cut(of="create _delta_log/", at=chance.randint(1, 2), calls=calls)
    return Cut(of="", at=chance.randint(5, 120), calls=calls)
