"""One world: a table in memory, writers that append, delete, change rows and columns, two compactors and vacuums, all under one seed. Who
they are and what befalls them is drawn in cast.py.

The seed decides who moves when, what fails and who crashes. Everything an actor takes from its surroundings is virtual, so the same seed
gives the same trace, call by call.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.owners import UnknownOwners
from compactor.coordination.records import Care
from compactor.errors import StorageUnavailable
from compactor.model.events import CommitLanded, Event, GroupFinished, Recovered, Warned
from compactor.model.run import Run
from compactor.model.snapshot import TableRef
from compactor.pipeline import run_table
from compactor.settings import Settings
from compactor.storage.base import ObjectStore
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.wiring import wire
from simulation.appender import Appender, History
from simulation.auditor import Auditor
from simulation.baton import Actor, Baton
from simulation.cast import COMPACTOR, VACUUMS, Cast, Role, draw
from simulation.changer import Changer
from simulation.evolver import Evolver
from simulation.figures import Attempt, Written
from simulation.promises import Promises
from simulation.reader import newest_version
from simulation.stale import StaleRival
from simulation.stepped_store import Crash, SteppedStore, Trace
from simulation.vacuums import Forbearing, ForeignVacuum, OurVacuum, Promising

_CHANGES = frozenset({"create", "put", "close", "delete"})
KEPT = ("_compactor/runs/", "_compactor/lease/")
"""What stays of runs that have ended."""
SETTINGS = Settings(executor="serial", target_size="4KiB", min_input_files=2, memory="64MiB", max_write_amplification=3)
CARE = Care(keep_bytes=0, beat_s=None, silent_s=3.0, late_s=60.0)
"""Every result is kept, and a run is soon taken for dead: often enough while it is not, which must do no harm."""
SERVICE_CARE = Care(keep_bytes=0, beat_s=None)
"""As by default, but that files here are too small for their results to be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a world. `digest` is that of its trace; equal seeds have equal reports.

    written_bytes, committed_bytes: of outputs, of all runs; masked_rows: deleted by others meanwhile, and deleted in outputs.
    """

    seed: int
    digest: str
    calls: int
    versions: int
    audits: int
    endings: tuple[tuple[str, int], ...]
    written_bytes: int
    committed_bytes: int
    masked_rows: int


class World:
    """The world of one seed."""

    def __init__(self, seed: int, crashing: float = 0.25, *, stale: bool = False, service: bool = False, cast: Cast | None = None) -> None:
        """crashing: how probable it is that a compactor's process dies. stale: a rival doubles rows; nobody deletes any then.

        service: compactors are two services of one machine with default settings: they take the lease, and see whose process is gone.
        cast: this very world, whatever the seed would have drawn.
        """
        self.seed = seed
        self.cast = cast or draw(seed, crashing, stale=stale, service=service)
        self.trace = Trace()
        self.clock = VirtualClock()
        self.runs: list[Run] = []
        self.crashes = self.written_bytes = self.committed_bytes = 0
        self.seen: Counter[str] = Counter()
        self._bucket = MemoryBucket("simulation", self.clock)
        self._bare = MemoryStore(self._bucket, "table")
        self._history = History()
        self._auditor = Auditor(self._bare, self._history)
        self._baton = Baton(seed, change=self.cast.change)
        self._broken: AssertionError | None = None
        self.vectors, self._service, self._accepted = self.cast.vectors, self.cast.service, False
        self._care = SERVICE_CARE if self._service else CARE
        self._promises = {role.name: Promises() for role in self.cast.roles if role.kind == COMPACTOR}
        """What compactors are about to commit."""
        self._dead: set[str] = set()
        self._stores: list[SteppedStore] = []
        self.vacuums: list[Forbearing] = []
        self.attempts: list[Attempt] = []

    def play(self) -> Report:
        """Let everyone act until all have ended, then see that the table comes to rest. Raises AssertionError, with the seed in it."""
        try:
            self._prepare()
            self._act([self._actor_of(role) for role in self.cast.roles])
            self._auditor.look()
            self._auditor.check_accounts(self.runs)
            if self.damaged:
                self._names_the_damage()
            assert self._auditor.leftovers() == [], "outputs were left over"
            self._comes_to_rest()
            self._recovers()
        except AssertionError as error:
            raise AssertionError(f"seed {self.seed}: {error}") from error
        endings = Counter(str(run.status) for run in self.runs)
        endings["crash"] += self.crashes
        return Report(
            seed=self.seed,
            digest=self.trace.digest(),
            calls=len(self.trace.lines),
            versions=len(self._history.rows),
            audits=self._auditor.audits,
            endings=tuple(sorted(endings.items())),
            written_bytes=self.written_bytes,
            committed_bytes=self.committed_bytes,
            masked_rows=self.seen["rows masked"],
        )

    def _prepare(self) -> None:
        first = self._appender("first")
        first.create_table(vectors=self.vectors, evolving=self.cast.evolving)
        for _ in range(self.cast.files):
            first.append()

    def _appender(self, name: str) -> Appender:
        """A writer that nobody disturbs."""
        return Appender(name=name, store=self._bare, clock=self.clock, seed=self.seed, history=self._history, evolving=self.cast.evolving)

    def _act(self, actors: list[Actor]) -> None:
        self._baton.run(actors)
        for actor in actors:
            if self._broken is not None:
                raise self._broken
            assert actor.error is None, f"{actor.name} ended with {actor.error!r}"

    @property
    def damaged(self) -> bool:
        """Whether a rival has broken the table."""
        return bool(self._history.damage)

    def _names_the_damage(self) -> None:
        """The next run refuses the table, naming each broken version, and writes nothing; told to accept that, it goes on."""
        versions = newest_version(self._bare)
        run = self._run("after-damage", self._bare)
        assert run.status == "refused", f"a broken table was not refused, but {run.status}"
        assert f"Version {min(self._history.damage)} " in (run.reason or ""), f"the broken version is not named: {run.reason}"
        assert newest_version(self._bare) == versions, "a broken table was written to"
        self._accepted = True

    def _actor_of(self, role: Role) -> Actor:
        if role.kind == COMPACTOR:
            return self._compactor(role)
        return self._vacuum(role) if role.kind in VACUUMS else self._writer(role)

    def _writer(self, role: Role) -> Actor:
        def story(store: ObjectStore) -> None:
            common = {"name": role.name, "store": store, "clock": self.clock, "seed": self.seed, "history": self._history}
            writer: Appender
            match role.kind:
                case "stale":
                    writer = StaleRival(self._bare, **common)
                case "changer":
                    writer = Changer(**common, evolving=self.cast.evolving, vectors=self.vectors)
                case "evolver" if self.cast.evolving:
                    writer = Evolver(**common, evolving=True)
                case _:
                    writer = Appender(**common, evolving=self.cast.evolving)
            writer.story(role.steps, 0.0 if role.kind == "appender" else 0.5)

        store = SteppedStore(role.name, self._bare, self.trace, lambda: self._step(actor))
        actor = self._actor(role.name, store, story)
        return actor

    def _vacuum(self, role: Role) -> Actor:
        ours = role.kind == "vacuum"
        bare = Forbearing(self._bare, self._history.promises, *([] if ours else self._promises.values()), heeds_intents=ours)
        self.vacuums.append(bare)

        def story(store: ObjectStore) -> None:
            make = OurVacuum if ours else ForeignVacuum
            make(store=store, bare=bare, clock=self.clock, seed=self.seed, name=role.name).story(role.steps)

        store = SteppedStore(role.name, bare, self.trace, lambda: self._step(actor))
        actor = self._actor(role.name, store, story)
        return actor

    def _compactor(self, role: Role) -> Actor:
        """Some runs in a row, through a store that may fail, by a process that may crash."""
        name, crash_at = role.name, role.crash_at

        def story(store: ObjectStore) -> None:
            for number in range(role.steps):
                failures = stepped.failures
                try:
                    run = self._run(f"{name}-{number}", store, name)
                except Crash:
                    self.attempts.append(Attempt(run=None))
                    self._dead.add(name)
                    raise
                self.runs.append(run)
                self.attempts.append(Attempt(run=run, failures=stepped.failures - failures, broken=self.damaged))

        bare = FaultyStore(Promising(self._bare, self._promises[name]), role.faults)
        stepped = SteppedStore(name, bare, self.trace, lambda: self._step(actor), crash_at=crash_at, cut=role.cut)
        self._stores.append(stepped)
        actor = self._actor(name, stepped, story)
        return actor

    def _actor(self, name: str, store: SteppedStore, story: Callable[[ObjectStore], None]) -> Actor:

        def act() -> None:
            try:
                story(store)
            except Crash:
                self.crashes += 1

        actor = Actor(name, act)
        store.owner = actor.thread
        return actor

    def _step(self, actor: Actor) -> None:
        """Before every call: look at what the call before it has changed, then perhaps let others move."""
        if self.trace.lines and self.trace.lines[-1].split(" ", 2)[1] in _CHANGES:
            try:
                self._auditor.look()
            except AssertionError as error:
                self._broken = self._broken or error
                raise Crash from error
        self._baton.offer(actor)

    def _run(self, run_id: str, store: ObjectStore, process: str = "last") -> Run:
        number = zlib.crc32(f"{self.seed}-{run_id}".encode())
        ambient = Ambient(clock=self.clock, ids=SeededIds(number), randomness=SeededRandomness(number))
        lease = "on" if self.cast.lease else "off"
        settings = SETTINGS.model_copy(update={"lease": lease, "max_deleted_ratio": 0.5, "accept_damage": self._accepted})
        if self._service:
            settings = settings.model_copy(update={"lease_wait": 0.0})
        owners = Processes(process, self._dead) if self._service else UnknownOwners()
        wired = wire(store, settings, sink=self._note, ambient=ambient, care=self._care, owners=owners)
        ports = replace(wired, checkpointer=_NoCheckpointer())
        return run_table(ports, settings.policy(), run_id=run_id)

    def _note(self, event: Event) -> None:
        if isinstance(event, GroupFinished):
            self.written_bytes += sum(output.size_bytes for output in event.result.outputs)
        if isinstance(event, CommitLanded):
            self.committed_bytes += event.outcome.bytes_added
            self.seen["rows masked"] += event.outcome.masked_rows
        if isinstance(event, Recovered):
            self.seen[f"recovery {event.left.state}"] += 1
        if isinstance(event, Warned) and event.code == "recovery":
            self.seen["recovery problem"] += 1

    def left_bytes(self) -> int:
        """Of files that neither a version nor an intent accounts for, and of records that only a run at work would need."""
        records = [item for item in self._bare.list("_compactor/") if not item.key.startswith(KEPT)]
        files = [meta for key in self._auditor.leftovers() if (meta := self._bare.head(key)) is not None]
        return sum(item.size_bytes for item in (*records, *files))

    def outputs(self) -> tuple[list[Written], frozenset[str]]:
        """What compactors have written, and the keys of all files that versions name."""
        kinds = [("crashed" if s.crashed else "faulted" if s.failures else "undisturbed", s.outputs) for s in self._stores]
        return [Written(how=how, files=files) for how, files in kinds], frozenset(self._auditor.named())

    def _recovers(self) -> None:
        """Once the table has another version and workers have had their time, nothing of any run is left but what versions name."""
        for number in range(4):  # taken for dead, waited for, swept, and looked at once more
            self._appender(f"late{number}").append()
            self.clock.sleep(2 * self._care.late_s)
            self._run(f"recovery-{number}", self._bare)
            self._auditor.look()
        left = [item.key for item in self._bare.list("_compactor/") if not item.key.startswith(KEPT)]
        assert not left, f"recovery leaves {left}"
        assert self._auditor.leftovers() == [], "recovery leaves outputs"

    def _comes_to_rest(self) -> None:
        """Left alone, the table needs finitely many runs, and then nothing more: zero bytes are rewritten."""
        for number in range(5):
            self.clock.sleep(100.0 if self._service else 0.0)  # a lease whose holder could not give it back runs out
            run = self._run(f"last-{number}", self._bare)
            self._auditor.look()
            if run.status == "nothing-to-do":
                return
        raise AssertionError("the table does not come to rest")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one machine, as Owners: one is gone when its actor has crashed."""

    name: str
    dead: set[str]

    def me(self) -> str:
        return self.name

    def is_gone(self, owner: str) -> bool:
        return owner in self.dead


class _NoCheckpointer:
    """Simulated tables have no checkpoints: the reader of the auditor starts at version 0."""

    def checkpoint(self, ref: TableRef, version: int, files: int = 0) -> None:
        raise StorageUnavailable("Checkpoints are not simulated.")
