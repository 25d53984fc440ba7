"""The story of one table, top to bottom: load, gate, assess, survey, plan, decide, rewrite, commit, checkpoint, record.

The only module that knows every stage; it knows none of their adapters, which it is handed as Ports. What it guarantees by its order:
intent before effect (nothing is written before the intent; a refused, skipped or nothing-to-do run writes nothing at all), outputs are
deleted only when it is known that they were not committed, and every group that was begun ends committed or dropped with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from compactor.ambient.ports import Ambient
from compactor.coordination.lease import Lease
from compactor.coordination.outputs import OutputFates
from compactor.coordination.records import RunRecords
from compactor.coordination.recovery import Recovery
from compactor.errors import CompactorError, StorageError, TableRefused
from compactor.execution.base import Executor
from compactor.model.commit import CommitRequest, Committed, Conflict, FinishedGroup, Unknown
from compactor.model.events import (
    Assessed,
    Checkpointed,
    CommitLanded,
    GroupFinished,
    GroupLost,
    Planned,
    RunEnded,
    RunStarted,
    Sink,
    SnapshotLoaded,
    Warned,
)
from compactor.model.fingerprint import ProofLevel
from compactor.model.health import Compact, Decision, Health, Skip
from compactor.model.plan import Plan, Resources, RewriteGroup, SavedPlan
from compactor.model.policy import Policy
from compactor.model.rewrite import GroupDropped, InputFile, RewriteJob, RewriteResult, RewriteTask, TaskOutcome
from compactor.model.run import Run, RunStatus
from compactor.model.snapshot import Snapshot
from compactor.model.storage import StorageOptions
from compactor.model.survey import Survey
from compactor.model.usage import Economy
from compactor.model.verification import ReadFiles
from compactor.planning.assess import assess
from compactor.planning.cost import Assumptions, assume
from compactor.planning.decide import confirm, decide
from compactor.planning.plan import plan
from compactor.planning.predict import spent
from compactor.planning.rebind import rebind
from compactor.planning.survey import to_survey
from compactor.planning.target import effective_target
from compactor.run_report import Tally, noting, report
from compactor.storage.base import ObjectStore
from compactor.tables.base import Checkpointer, Table
from compactor.takeover import settle, take_over

SurveyFiles = Callable[[Snapshot, Sequence[int]], Survey]

TOLD_FILES = 20
"""Warnings about single files that must be left alone before the plan's own account of them has to do."""
COMMIT_GROUPS = 1000
COMMIT_FILES = 50_000
COMMIT_INTERVAL_S = 900.0
"""Finished groups are committed once there are this many, or of this many files (about 40 MB of log), or the oldest has waited this long,
and at the end of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything a run touches. `resources` and `executor` are asked only when needed: nothing-to-do starts no workers."""

    table: Table
    store: ObjectStore
    storage: StorageOptions
    ambient: Ambient
    resources: Callable[[], Resources]
    executor: Callable[[], Executor]
    checkpointer: Checkpointer
    records: RunRecords
    recovery: Recovery
    lease: Lease
    survey: SurveyFiles
    sink: Sink
    economy: Callable[[Snapshot], Economy]
    proof: ProofLevel = "full"
    read_files: ReadFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known of a table before anything is written."""

    snapshot: Snapshot
    health: Health
    decision: Decision
    plan: Plan
    assumed: Assumptions
    drifted: tuple[GroupDropped, ...] = ()


def prepare(ports: Ports, policy: Policy, *, version: int | None = None) -> Prepared:
    """Load, gate, assess, survey, plan and decide. Reads only.

    Raises TableRefused for a table that may not be compacted, and what loading raises (NotATable, TableCorrupt, StorageError, UsageError).
    """
    snapshot = load(ports, policy, version=version)
    gate(ports, snapshot)
    return decided(ports, snapshot, policy)


def decided(ports: Ports, snapshot: Snapshot, policy: Policy) -> Prepared:
    """Assess, survey, plan and decide, on a snapshot that passed the gate. Raises UsageError (`--where`), StorageError."""
    target = effective_target(policy, ports.table.target_bytes(snapshot))
    health = assess(snapshot, policy, target)
    assumed = _assumed(ports, snapshot)
    every = policy.purge or ports.table.needs_footers(snapshot)
    wanted = to_survey(snapshot, policy, target, every=every, compression=assumed.compression)
    survey = ports.survey(snapshot, wanted.tolist())
    for why in list(survey.unreadable.values())[:TOLD_FILES]:
        ports.sink(Warned(code="left-out", message=why))
    planned = plan(snapshot, survey, policy, ports.resources(), target_bytes=target, assumptions=assumed)
    decision = confirm(decide(health, policy), planned)
    ports.sink(Assessed(health=health, decision=decision))
    return Prepared(snapshot=snapshot, health=health, decision=decision, plan=planned, assumed=assumed)


def reapplied(ports: Ports, saved: SavedPlan) -> Prepared:
    """Load, gate, and hold a stored plan against the table as it is now, file by file. Reads only. Raises as `prepare` does."""
    snapshot = load(ports, saved.plan.policy)
    gate(ports, snapshot)
    assumed = _assumed(ports, snapshot)
    rebound = rebind(saved, snapshot, ports.resources(), assumed)
    health = assess(snapshot, saved.plan.policy, saved.plan.target_bytes)
    name = f"plan {saved.plan_id} of version {saved.plan.version}"
    stands = f"{len(rebound.plan):,} of {len(saved.plan):,} groups of {name} still stand."
    decision = Compact(why=stands) if len(rebound.plan) else Skip(reason="drifted", why=stands)
    ports.sink(Assessed(health=health, decision=decision))
    return Prepared(snapshot=snapshot, health=health, decision=decision, plan=rebound.plan, assumed=assumed, drifted=rebound.drifted)


def _assumed(ports: Ports, snapshot: Snapshot) -> Assumptions:
    """What predictions for this table rest on."""
    schema = ports.table.read_spec(snapshot).schema
    return assume(schema, ports.table.compression(snapshot), ports.economy(snapshot), ports.proof)


def health_of(table: Table, snapshot: Snapshot, policy: Policy) -> Health:
    """What the snapshot looks like to a reader, under the target in force."""
    return assess(snapshot, policy, effective_target(policy, table.target_bytes(snapshot)))


def load(ports: Ports, policy: Policy, *, version: int | None = None) -> Snapshot:
    """The snapshot, dated by the store's own clock when the policy looks at ages."""
    started = ports.ambient.clock.monotonic_s()
    snapshot = ports.table.load(version)
    if policy.min_age_s > 0:
        snapshot = replace(snapshot, store_now_ms=ports.store.now_ms())
    seconds = ports.ambient.clock.monotonic_s() - started
    ports.sink(SnapshotLoaded(version=snapshot.version, files=snapshot.files.num_rows, seconds=seconds))
    return snapshot


def gate(ports: Ports, snapshot: Snapshot) -> None:
    """Refuse by name what cannot be honoured; pass on the format's warnings. Raises TableRefused."""
    answer = ports.table.gate(snapshot)
    for warning in answer.warnings:
        ports.sink(Warned(code=warning.code, message=warning.message))
    if answer.refusals:
        first = answer.refusals[0]
        more = f" (and {len(answer.refusals) - 1} more reasons)" if len(answer.refusals) > 1 else ""
        raise TableRefused(f"{first.why}{more}", reason=first.reason)


def run_table(ports: Ports, policy: Policy, *, run_id: str | None = None, dry_run: bool = False, saved: SavedPlan | None = None) -> Run:
    """One run, start to end. Never raises a CompactorError: every end is a Run, with its status, reason and exit code.

    saved: apply this plan instead of making one; its own policy holds, and it is applied once, as its run id says.
    """
    clock = ports.ambient.clock
    started = clock.monotonic_s()
    run_id = saved.run_id if saved else run_id
    tally = Tally(run_id=run_id or ports.ambient.ids.new(), table=ports.table.ref.uri, plan_id=saved.plan_id if saved else None)
    ports = replace(ports, sink=noting(tally, ports.sink))
    ports.sink(RunStarted(run_id=tally.run_id, table=tally.table))
    error: CompactorError | None = None
    try:
        if run_id is not None and (earlier := _earlier(ports, tally)) is not None:
            return earlier
        left = not dry_run and ports.recovery.look()
        if left:
            gate(ports, load(ports, policy))
            tally.took_over(take_over(ports.table, ports.recovery, tally.run_id, ports.sink))
        prepared = prepare(ports, policy) if saved is None else reapplied(ports, saved)
        _note(ports, tally, prepared)
        if isinstance(prepared.decision, Compact):
            ports.sink(Planned(plan=prepared.plan))
            if not dry_run:
                with ports.lease.held(tally.run_id):
                    _Act(ports, prepared, tally).run()
        if left:
            settle(ports.table, ports.recovery, ports.sink)
    except CompactorError as failure:
        error = failure
    run = report(tally, seconds=clock.monotonic_s() - started, error=error, dry_run=dry_run)
    if tally.acted and run.status in (RunStatus.COMMITTED, RunStatus.CONFLICT, RunStatus.FAILED):
        _record(ports, run)
    ports.sink(RunEnded(run=run))
    return run


def _note(ports: Ports, tally: Tally, prepared: Prepared) -> None:
    """What is known before the first effect. A group that drifted is dropped before it begins."""
    tally.version = prepared.snapshot.version
    tally.economy = prepared.assumed.economy
    tally.dropped.extend(prepared.drifted)
    for drop in prepared.drifted:
        ports.sink(GroupLost(dropped=drop))
    tally.planned += len(prepared.drifted)
    tally.why = prepared.decision.why
    if isinstance(prepared.decision, Compact):
        tally.planned += len(prepared.plan)
        tally.predicted = prepared.plan.prediction


def _record(ports: Ports, run: Run) -> None:
    """Keep the result. The log has what was committed, so a state that cannot be written is a warning."""
    try:
        ports.records.record(run)
    except CompactorError as error:
        ports.sink(Warned(code="journal", message=f"The result of run {run.run_id} was not kept: {error}"))


def _earlier(ports: Ports, tally: Tally) -> Run | None:
    """The result of a run of this name that has landed before: from the journal, or from the log when the journal has none."""
    run = ports.records.find(tally.run_id)
    if run is not None:
        return run
    landed = ports.table.find_run(tally.run_id)
    if landed is None:
        return None
    return report(replace(tally, commits=[landed], planned=len(landed.groups)), seconds=0.0)


class _Act:
    """The writing half of a run: from a plan to commits."""

    def __init__(self, ports: Ports, prepared: Prepared, tally: Tally) -> None:
        self._ports = ports
        self._clock = ports.ambient.clock
        self._plan = prepared.plan
        self._snapshot = self._latest = prepared.snapshot
        self._tally = tally
        self._waiting: list[FinishedGroup] = []
        self._waiting_since_s = 0.0
        self._assumed = prepared.assumed
        self._fates = OutputFates(1 + max(prepared.plan.groups["group_id"].to_pylist()), ports.ambient.ids.new)

    def run(self) -> None:
        """Intent, rewrite, commit, record. Raises CompactorError; what was committed by then stands and is in the tally."""
        table, records = self._ports.table, self._ports.records
        read, write = table.read_spec(self._snapshot), table.write_spec(self._snapshot)
        proof = self._ports.proof
        job = RewriteJob(root_uri=table.ref.uri, storage=self._ports.storage, read=read, write=write, proof=proof)
        inputs_of = table.inputs(self._snapshot, self._plan)
        executor = self._ports.executor()
        try:
            share = executor.capacity().memory_per_task_bytes  # says now if the place cannot do it, before anything is written
            records.intend(self._tally.run_id, self._plan, self._fates.stem, self._beside)
            self._tally.acted, self._tally.proof = True, proof
            self._rewrite(executor.run(job, self._tasks(inputs_of, share)))
        finally:
            if executor.close():
                self._fates.abandoned()
            self._fates.sweep(self._ports.store, lambda: records.may_dispose(self._tally.run_id))
            records.close_intent(self._tally.run_id, settled=self._fates.settled)

    def _beside(self, first: str, stem: str) -> str:
        return self._ports.table.beside(self._snapshot, first, stem)

    def _prefix(self, group: RewriteGroup) -> str:
        """The folder of a group's outputs, as the intent says it."""
        place = self._beside(group.inputs[0].path, self._fates.stem(group.group_id))
        folder = self._ports.table.object_key(place).rpartition("/")[0]
        return f"{folder}/" if folder else ""

    def _rewrite(self, outcomes: Generator[TaskOutcome]) -> None:
        try:
            with closing(outcomes):
                for outcome in outcomes:
                    self._take(outcome)
        finally:
            self._commit()  # after a failure or a signal too: what is finished is worth keeping

    def _tasks(self, inputs_of: Callable[[RewriteGroup], tuple[InputFile, ...]], share_bytes: int) -> Iterator[RewriteTask]:
        for group in self._plan:
            inputs, prefix = inputs_of(group), self._prefix(group)
            self._fates.started(group.group_id, prefix)
            yield RewriteTask(
                group_id=group.group_id,
                attempt=0,
                inputs=inputs,
                output_prefix=prefix,
                stem=self._fates.stem(group.group_id),
                output_files=group.output_files,
                memory_bytes=min(group.memory_bytes, share_bytes),
                budget_bytes=share_bytes,
            )

    def _take(self, outcome: TaskOutcome) -> None:
        if isinstance(outcome, GroupDropped):
            self._drop((outcome,))
            return
        group = self._plan.by_id(outcome.group_id)
        self._tally.rewritten(outcome)
        self._tally.spent = spent(self._tally.spent, group, outcome, self._assumed)
        for left in outcome.left_out:
            self._ports.sink(Warned(code="left-out", message=left.why))
        self._fates.written(outcome)
        self._ports.sink(GroupFinished(result=outcome, input_files=len(group.inputs), input_bytes=group.input_bytes))
        if not self._waiting:
            self._waiting_since_s = self._clock.monotonic_s()
        self._waiting.append(_finished(group, outcome, self._plan.target_bytes))
        self._ports.records.keep(self._tally.run_id, self._waiting[-1])
        waited_s = self._clock.monotonic_s() - self._waiting_since_s
        if (
            len(self._waiting) >= COMMIT_GROUPS
            or sum(len(g.inputs) for g in self._waiting) >= COMMIT_FILES
            or waited_s >= COMMIT_INTERVAL_S
        ):
            self._commit()

    def _commit(self) -> None:
        groups, self._waiting = tuple(self._waiting), []
        if not groups:
            return
        ids = [group.result.group_id for group in groups]
        transaction = self._ports.ambient.ids.new()
        purge = self._plan.policy.purge
        request = CommitRequest(
            run_id=self._tally.run_id,
            transaction_id=transaction,
            groups=groups,
            purge=purge,
            compression=self._plan.compression,
            planned=len(self._plan),
            max_deleted_ratio=self._plan.policy.max_deleted_ratio,
        )
        self._fates.offered(ids)
        try:
            # Always judged from the version that was read: a schema that changed since must be seen.
            outcome = self._ports.table.publish(self._snapshot, request, self._permit, self._ports.read_files)
        except CompactorError:
            self._fates.discarded(ids)  # by contract: it is known that nothing landed
            raise
        match outcome:
            case Committed():
                self._fates.committed(outcome.groups)
                self._drop(outcome.dropped)
                self._tally.commits.append(outcome)
                self._ports.sink(CommitLanded(outcome=outcome))
                self._after_commit(outcome.version)
            case Conflict():
                self._drop(outcome.dropped)
            case Unknown():
                raise StorageError(f"It is not known whether version {outcome.version} of {self._tally.table} landed: {outcome.why}")

    def _permit(self) -> None:
        """Raises Superseded when the run may commit no more."""
        self._ports.lease.check()
        self._ports.records.check(self._tally.run_id)

    def _after_commit(self, version: int) -> None:
        """Look for damage by others, and checkpoint when due. Failures here are events, never a failed commit."""
        table, sink = self._ports.table, self._ports.sink
        try:
            for warning in table.rivals(version - 1):
                sink(Warned(code=warning.code, message=warning.message))
            self._latest = table.refresh(self._latest)
            if table.checkpoint_due(self._latest, version):
                self._ports.checkpointer.checkpoint(table.ref, version, self._latest.files.num_rows)
                sink(Checkpointed(version=version))
        except CompactorError as error:
            sink(Checkpointed(version=version, error=str(error)))

    def _drop(self, dropped: tuple[GroupDropped, ...]) -> None:
        for drop in dropped:
            self._fates.dropped(drop)
            self._tally.dropped.append(drop)
            self._ports.sink(GroupLost(dropped=drop))


def _finished(group: RewriteGroup, result: RewriteResult, target_bytes: int) -> FinishedGroup:
    finished_for = target_bytes if group.finishes and not result.left_out else None
    left_out = {left.file for left in result.left_out}
    inputs = tuple(key for key in group.inputs if key not in left_out)
    return FinishedGroup(inputs=inputs, result=result, generation=group.generation, finished_for_bytes=finished_for)
