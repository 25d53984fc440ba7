"""The long-running form: finds tables, follows their logs, and spends the budget where readers gain most.

    round ── rules reloaded ─ tables looked for (beside, now and then) ─ what was asked ─ notices ─ logs followed
      └─► step ── ended runs taken in ─ schedule ─ runs begun ─ told
    a run that ends wakes a step at once; a stop begins nothing more, waits for what runs, and leaves it safely when the time is over

Two replicas share tables by their reports and the tables' leases; what is right rests on neither. Must never: hold anything that the state
and the tables do not have, or stop for what one table, source or request brings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from compactor.ambient.ports import Ambient
from compactor.errors import CompactorError
from compactor.service.candidates import Marks, Now, candidates
from compactor.service.config import ServiceConfig
from compactor.service.dispatch import Dispatch, Room
from compactor.service.drain import Drain, Ways
from compactor.service.events import (
    Appeared,
    Problem,
    RoundEnded,
    RulesReloaded,
    ServiceSink,
    Started,
    Stopped,
    Vanished,
)
from compactor.service.fleet_file import fleet_bytes, read_fleet
from compactor.service.ledger import Ledger, merged
from compactor.service.look import Looker
from compactor.service.overview import Overview, TableView, counted, views_of
from compactor.service.policies import policy_of
from compactor.service.reload import ConfigFile
from compactor.service.roster import KEPT, Reading, Roster, renewed
from compactor.service.schedule import Action, Means, schedule
from compactor.service.shared import Report, Shared
from compactor.service.sqs import Queue
from compactor.service.table_state import TableState, heard, ruled

_LOOKS_AT_ONCE = 32
_SAVE_EVERY_S = 300.0
_KEPT_S = 600.0
"""For how long, or ten rounds, notices are kept, and how often old ones are removed: who starts later looks at every table anyway."""
_LEAVE_S = 10.0
"""After the grace: how long interrupted runs may take to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a service is made of."""

    file: ConfigFile
    shared: Shared
    dispatch: Dispatch
    ambient: Ambient
    read_sources: Callable[[ServiceConfig], Iterator[Reading]]
    sink: ServiceSink
    queue: Callable[[ServiceConfig], Queue | None]
    room: Callable[[ServiceConfig], Room]


@dataclass(slots=True)
class _Counts:
    looked: int = 0
    loaded: int = 0
    written: int = 0


@dataclass(slots=True)
class Service:
    """One replica. `overview` may be read by any thread; everything else is for the one that runs it."""

    parts: Parts
    replica: str = ""
    overview: Overview = field(default_factory=lambda: Overview(replica="", state_uri=""))
    _states: dict[str, TableState] = field(default_factory=dict)
    _roster: Roster = field(default_factory=Roster)
    _others: Ledger = field(default_factory=Ledger)
    _elsewhere: dict[str, str] = field(default_factory=dict)
    _replicas: tuple[str, ...] = ()
    _marks: Marks = field(default_factory=Marks)
    _problems: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _finding: Future[list[Reading]] | None = None
    _found_s: float = float("-inf")
    _swept_s: float = float("-inf")
    _saved_s: float = float("-inf")
    _cleared_s: float = float("-inf")
    _beat: int = 0
    _rounds: int = 0
    _ended_s: float = 0.0
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="look"))
    _finder: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="find"))
    _stop: threading.Event = field(default_factory=threading.Event)
    _drain: Drain = field(init=False)
    _sizes: tuple[int, Mapping[str, object]] | None = None

    def __post_init__(self) -> None:
        ways = Ways(
            queue=lambda: self.parts.queue(self._config),
            keep=lambda newest: self.parts.shared.note(self.replica, newest),
            fresh=self._unknown,
        )
        self._drain = Drain(ways, self.parts.ambient.clock)

    def start(self) -> None:
        """Begin with what an earlier process knew. Raises StorageError when the state cannot be read: nothing goes without it."""
        self.replica = self.parts.ambient.ids.new()
        self.parts.sink(Started(replica=self.replica, state=self.parts.shared.uri))
        kept = self.parts.shared.load_fleet()
        if kept is not None:
            self._states = read_fleet(kept, self._config, self._now().s)
            self._roster = Roster(tables=dict.fromkeys(self._states, KEPT))
        self._saved_s = self._ended_s = self._now().s
        self._find(wait=False)

    def round(self) -> None:
        """Look for changes, then a step. Never raises for what stores, tables or files bring."""
        began = self._now().s
        counts = _Counts()
        with self._told("config"):
            self._reload()
        with self._told("state"):
            self._share()
            self._take_notices()
            self._find(wait=False)
            self._follow(counts)
            seconds = self._now().s - began
            self.step(RoundEnded(seconds=seconds, looked=counts.looked, loaded=counts.loaded, written_bytes=counts.written))
            self._save()
        self._ended_s = self._now().s

    def silent_s(self) -> float:
        """Since a round ended, however it did. From any thread."""
        return self._now().s - self._ended_s

    def step(self, ended: RoundEnded | None = None) -> None:
        """Take in runs that have ended, and begin others."""
        now, dispatch = self._now(), self.parts.dispatch
        dispatch.collect(self._states, now)
        states, running = list(self._states.values()), dispatch.running()
        marks = replace(self._marks, running={**self._elsewhere, **running})
        ledger = merged([dispatch.ledger, self._others, dispatch.reserved(now.ms)], now.ms)
        slots = 0 if self._stop.is_set() or not self._roomy(running) else self._config.pace.parallel - len(running)
        columns = candidates(states, marks, now)
        found = schedule(columns, Means(budget=self._config.budget, ledger=ledger, slots=slots), now.ms)
        for action in found.actions:
            self._begin(states[action.index], action, now, float(columns.closes_ms[action.index]))
        marks = replace(marks, running={**self._elsewhere, **dispatch.running()})
        self._rounds += ended is not None
        self._show(views_of(states, found, marks, now), ledger)
        if ended is not None:
            self.parts.sink(self._summed(ended, ledger))

    def _roomy(self, running: Mapping[str, str]) -> bool:
        """Whether runs may begin in the room that the file gives each: not while some are at work that have more of the machine."""
        sizes = (self._config.pace.parallel, self._config.run)
        if self._sizes is not None and sizes != self._sizes and running:
            return False
        if self._sizes is not None and sizes != self._sizes:
            self.parts.dispatch.room = self.parts.room(self._config)
        self._sizes = sizes
        return True

    def stop(self) -> None:
        """Begin nothing more. From any thread, or a signal's handler."""
        self._stop.set()
        self.parts.dispatch.runner.wake.set()

    def finish(self) -> None:
        """Wait for what runs, for the time of grace; then interrupt it safely. What is known is kept for the next process."""
        clock = self.parts.ambient.clock
        ends_s = clock.monotonic_s() + self._config.pace.grace_s
        for until in (ends_s, ends_s + _LEAVE_S):
            while self.parts.dispatch.runner.busy() and clock.monotonic_s() < until:
                clock.sleep(0.05)
            self.parts.dispatch.runner.cancel()
        self.parts.dispatch.collect(self._states, self._now())
        left = tuple(self.parts.dispatch.running())
        self._drain.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._finder.shutdown(wait=False, cancel_futures=True)
        with suppress(CompactorError):
            self._saved_s = float("-inf")
            self._save()
            self.parts.shared.report(self._report(running={}))
        self.parts.sink(Stopped(left=left))

    def serve(self) -> None:
        """Rounds until `stop`, then `finish`."""
        clock = self.parts.ambient.clock
        self._drain.start()
        while not self._stop.is_set():
            due_s = clock.monotonic_s() + self._config.pace.round_s
            self.round()
            while not self._stop.is_set() and (left_s := due_s - clock.monotonic_s()) > 0:
                if self._finding is not None and self._finding.done():
                    break
                if self.parts.dispatch.runner.wake.wait(min(0.2, left_s)):
                    self.parts.dispatch.runner.wake.clear()
                    with self._told("state"):
                        self.step()
        self.finish()

    @property
    def _config(self) -> ServiceConfig:
        return self.parts.file.current

    def _now(self) -> Now:
        clock = self.parts.ambient.clock
        return Now(s=clock.monotonic_s(), ms=clock.now_ms())

    @contextmanager
    def _told(self, code: str) -> Iterator[None]:
        """What goes wrong inside is told once, and taken back when it goes well again."""
        try:
            yield
        except CompactorError as error:
            self._problem(code, str(error))
        except Exception as error:  # noqa: BLE001 - the service outlives its own bugs, and tells them
            self._problem("bug", f"This is a bug in compactor ({type(error).__name__}: {error}); please report it.")
        else:
            if code != "config":
                self._problems.pop(code, None)
                self._problems.pop("bug", None)
        if self.overview.problems != self._problems:
            self.overview = replace(self.overview, problems=dict(self._problems))

    def _problem(self, code: str, message: str) -> None:
        if self._problems.get(code) != message:
            self._problems[code] = message
            self.parts.sink(Problem(code=code, message=message))

    def _stands(self, code: str, message: str | None) -> None:
        """This problem stands now, or none of its code does."""
        if message is None:
            self._problems.pop(code, None)
        else:
            self._problem(code, message)

    def _reload(self) -> None:
        changed = self.parts.file.look()
        if self.parts.file.problem is not None:
            self._problem("config", self.parts.file.problem)
            return
        self._problems.pop("config", None)
        if changed:
            config = self._config
            self._states = {uri: ruled(state, policy_of(config, uri, state.owner)) for uri, state in self._states.items()}
            self._found_s = float("-inf")
            self.parts.sink(RulesReloaded())

    def _share(self) -> None:
        """Tell the other replicas of this one, and hear of them and of what people asked."""
        self._beat += 1
        shared = self.parts.shared
        shared.report(self._report(self.parts.dispatch.running()))
        alive, gone = shared.others(self.replica)
        today = Ledger().at(self._now().ms).day
        for report in gone:
            if report.ledger.day != today:
                shared.forget(report.replica)
        self._others = merged([report.ledger for report in (*alive, *gone)], self._now().ms)
        self._elsewhere = {uri: f"{run_id} in another replica" for report in alive for uri, run_id in report.running.items()}
        self._replicas = tuple(sorted(report.replica for report in alive))
        self._marks = Marks(paused=shared.marked("paused"), asked=frozenset(shared.marked("asked")))

    def _report(self, running: dict[str, str]) -> Report:
        ledger = self.parts.dispatch.ledger.at(self._now().ms)
        return Report(replica=self.replica, beat=self._beat, round_s=self._config.pace.round_s, running=running, ledger=ledger)

    def _find(self, *, wait: bool) -> None:
        """Look for tables, beside everything else; take in what an earlier look found."""
        if self._finding is not None and (wait or self._finding.done()):
            readings, self._finding = self._finding.result(), None
            self._roster, changes = renewed(self._roster, readings)
            for uri in changes.appeared:
                self._states.setdefault(uri, TableState(uri=uri))
                self.parts.sink(Appeared(table=uri))
            for uri in changes.vanished:
                self._states.pop(uri, None)
                self.parts.sink(Vanished(table=uri))
            for reading in readings:
                self._stands(f"source {reading.source}", reading.problem)
        if self._finding is None and self._now().s - self._found_s >= self._config.pace.discover_s:
            self._found_s = self._now().s
            config = self._config
            self._finding = self._finder.submit(lambda: list(self.parts.read_sources(config)))

    def _take_notices(self) -> None:
        """Hear what came through the queue since, here and in other replicas. A queue that fails is told, and stops nothing."""
        if self._config.events is None:
            return
        told = self._drain.heard()
        self._stands("queue", told.problem)
        self._stands("message", told.puzzling[-1] if told.puzzling else None)
        self._seen |= told.kept
        for newest in (told.newest, self.parts.shared.noted(self._seen)):
            for table, version in newest.items():
                if table in self._states:
                    self._states[table] = heard(self._states[table], version)

    def _unknown(self, table: str, version: int) -> bool:
        state = self._states.get(table)
        return state is None or state.standing is None or version > state.standing.version

    def _follow(self, counts: _Counts) -> None:
        """Look at the tables that may have changed: all of them, or those that were told of, and all of them now and then."""
        now = self._now()
        events = self._config.events
        sweep = events is None or now.s - self._swept_s >= events.sweep_s
        kept_s = max(_KEPT_S, 10 * self._config.pace.round_s)
        if events is not None and now.s - self._cleared_s >= kept_s:
            self._cleared_s = now.s
            self.parts.shared.clear_notices(1000 * kept_s)
        self._swept_s = now.s if sweep else self._swept_s
        running = self.parts.dispatch.running()
        due = [state for state in self._states.values() if state.uri not in running and (sweep or _wants_a_look(state))]
        looker = Looker(config=self._config, memory_bytes=self.parts.dispatch.room.task_bytes)
        for state in self._pool.map(lambda state: self._look(looker, state), due):
            counts.looked += 1
            counts.loaded += state.loaded_s != self._states[state.uri].loaded_s
            counts.written += state.written_bytes - self._states[state.uri].written_bytes
            self._states[state.uri] = state

    def _look(self, looker: Looker, state: TableState) -> TableState:
        return state if self._stop.is_set() else looker.look(state, self._now().s)

    def _begin(self, state: TableState, action: Action, now: Now, closes_ms: float) -> None:
        if state.uri in self._marks.asked:
            self.parts.shared.unmark("asked", state.uri)
            self._marks = replace(self._marks, asked=frozenset(self._marks.asked) - {state.uri})
        self.parts.dispatch.begin(state, action, now, closes_ms)

    def _show(self, views: Mapping[str, TableView], ledger: Ledger) -> None:
        self.overview = Overview(
            replica=self.replica,
            state_uri=self.parts.shared.uri,
            tables=views,
            neighbours=self._roster.neighbours,
            faults=self._roster.faults,
            problems=dict(self._problems),
            running=self.parts.dispatch.running(),
            replicas=self._replicas,
            budget=self._config.budget,
            ledger=ledger,
            rounds=self._rounds,
            ready=self._rounds > 0,
        )

    def _summed(self, ended: RoundEnded, ledger: Ledger) -> RoundEnded:
        views = self.overview.tables.values()
        return replace(
            ended,
            tables=len(views),
            running=len(self.overview.running),
            excess_files=sum(view.state.work.saves_files for view in views),
            longest_wait_s=max((view.waited_s for view in views), default=0.0),
            holds=counted(views),
            spent=ledger.spent_today,
        )

    def _save(self) -> None:
        now_s = self._now().s
        if now_s - self._saved_s >= _SAVE_EVERY_S:
            self._saved_s = now_s
            self.parts.shared.save_fleet(fleet_bytes(self._states.values(), now_s))


def _wants_a_look(state: TableState) -> bool:
    return state.changed or state.problem is not None or bool(state.work.hot_files)
