"""Begins and takes in runs: what each may use, what it is predicted to spend while it is at work, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass, field

from compactor.ambient.ports import Ambient
from compactor.model.run import Run
from compactor.service.candidates import Now, text_of
from compactor.service.events import RunBegun, RunFinished, ServiceSink
from compactor.service.ledger import Ledger, Spend
from compactor.service.rates import rates_of
from compactor.service.runner import Job, Runner
from compactor.service.schedule import Action
from compactor.service.table_state import TableState, ran
from compactor.settings import Settings

_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What each run may use. task_bytes: memory of a task, by which spend is counted. run_bytes, tasks: of a run on this machine, None
    where a cluster decides."""

    task_bytes: int
    run_bytes: int | None = None
    tasks: int | None = None


@dataclass(slots=True, kw_only=True)
class Dispatch:
    """`ledger`: what this replica has spent."""

    runner: Runner
    room: Room
    ambient: Ambient
    sink: ServiceSink
    ledger: Ledger = field(default_factory=Ledger)

    def running(self) -> dict[str, str]:
        """Tables at work, and their runs' ids."""
        return {uri: job.run_id for uri, job in self.runner.running().items()}

    def reserved(self, now_ms: int) -> Ledger:
        """What the runs at work are predicted to spend."""
        together = Ledger().at(now_ms)
        for job in self.runner.running().values():
            together = together.with_spent(job.group, job.spend, job.window)
        return together

    def collect(self, states: dict[str, TableState], now: Now) -> None:
        """Take in what has ended."""
        for job, run in self.runner.collect():
            spend = self._spent(job, run)
            self.ledger = self.ledger.at(now.ms).with_spent(job.group, spend, job.window)
            if job.uri in states:
                states[job.uri] = ran(states[job.uri], run, now.s, now.ms)
            self.sink(RunFinished(run=run, spend=spend))

    def begin(self, state: TableState, action: Action, now: Now, closes_ms: float) -> None:
        """Begin a run. closes_ms: when the table's windows close."""
        policy = state.policy
        assert policy is not None
        job = Job(
            uri=state.uri,
            run_id=self.ambient.ids.new(),
            settings=self._settings(state, policy.settings, action.part),
            group=policy.group,
            spend=action.spend,
            window=(text_of(policy.windows), int(closes_ms)) if policy.windows else None,
        )
        self.sink(
            RunBegun(
                table=state.uri,
                run_id=job.run_id,
                why=action.why,
                part=action.part,
                spend=action.spend,
                predicted_s=state.takes.task_s * action.part if state.takes else 0.0,
                waited_s=0.0 if state.worth_since_s is None else now.s - state.worth_since_s,
            )
        )
        self.runner.begin(job)

    def _settings(self, state: TableState, settings: Settings, part: float) -> Settings:
        cap = settings.policy().max_bytes
        if part < 1:
            affordable = max(1, int(part * state.work.input_bytes))
            cap = affordable if cap is None else min(cap, affordable)
        room = {"memory": settings.memory or self.room.run_bytes, "parallelism": settings.parallelism or self.room.tasks}
        return settings.model_copy(update={"max_bytes": cap, **room})

    def _spent(self, job: Job, run: Run) -> Spend:
        """By what the run counted, as its prediction was made; what a run itself does not price are requests for keys."""
        used = run.actual
        if used is None:
            return Spend()
        keys = rates_of(job.settings, self.room.task_bytes).kms_money(used.read_requests + used.proof_requests + used.write_requests)
        return Spend(gb_hours=self.room.task_bytes / _GIB * used.task_s / 3600, money=keys + (used.cost.total if used.cost else 0.0))
