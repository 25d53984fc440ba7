"""The story of one table, top to bottom: load, gate, assess, survey, plan, decide, rewrite, commit, checkpoint, record.

The only module that knows every stage; it knows none of their adapters, which it is handed as Ports. What it guarantees by its order:
intent before effect (nothing is written before the intent; a refused, skipped or nothing-to-do run writes nothing at all), outputs are
deleted only when it is known that they were not committed, and every group that was begun ends committed or dropped with a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compactor.acting import TAKEN_OVER, Act
from compactor.ambient.stopwatch import stage
from compactor.coordination.recovery import Rescue
from compactor.early import Early
from compactor.errors import CompactorError, TableRefused
from compactor.model.events import (
    Assessed,
    GroupLost,
    Planned,
    RunEnded,
    RunStarted,
    SnapshotLoaded,
    Warned,
)
from compactor.model.health import Compact, Health, Skip
from compactor.model.plan import LeftOut, SavedPlan
from compactor.model.policy import Policy
from compactor.model.run import Run, RunStatus
from compactor.model.snapshot import Snapshot
from compactor.planning.assess import assess
from compactor.planning.cost import Assumptions, assume
from compactor.planning.decide import confirm, decide
from compactor.planning.plan import plan
from compactor.planning.rebind import rebind
from compactor.planning.survey import to_survey
from compactor.planning.target import effective_target
from compactor.ports import Ports, Prepared
from compactor.run_report import Tally, cut_short, noting, report
from compactor.tables.base import Table
from compactor.takeover import settle, take_over

REPLANS = 5
"""How often a run plans again what others took from it."""
LOST_TO_OTHERS = frozenset({"input-vanished", "output-vanished", "table-changed", TAKEN_OVER})
TOLD_FILES = 20
"""Warnings about single files that must be left alone before the plan's own account of them has to do."""


def _nobody() -> None:
    """For whoever starts nothing."""


def prepare(ports: Ports, policy: Policy, *, version: int | None = None, expect: Callable[[], None] = _nobody) -> Prepared:
    """Load, gate, assess, survey, plan and decide. Reads only. `expect` is called once it is likely that groups will be rewritten.

    Raises TableRefused for a table that may not be compacted, and what loading raises (NotATable, TableCorrupt, StorageError, UsageError).
    """
    snapshot = load(ports, policy, version=version)
    gate(ports, snapshot)
    with stage("plan"):
        return decided(ports, snapshot, policy, expect)


def decided(ports: Ports, snapshot: Snapshot, policy: Policy, expect: Callable[[], None] = _nobody) -> Prepared:
    """Assess, survey, plan and decide, on a snapshot that passed the gate. Raises UsageError (`--where`), StorageError."""
    target = effective_target(policy, ports.table.target_bytes(snapshot))
    health = assess(snapshot, policy, target)
    likely = decide(health, policy)
    if isinstance(likely, Compact):
        expect()
        snapshot = _watched(ports, replace(snapshot, quarantined=ports.quarantine.files()), policy)
    assumed = _assumed(ports, snapshot)
    every = policy.purge or ports.table.needs_footers(snapshot)
    wanted = to_survey(snapshot, policy, target, every=every, assumed=assumed)
    survey = ports.survey(snapshot, wanted.tolist())
    for why in list(survey.unreadable.values())[:TOLD_FILES]:
        ports.sink(Warned(code="left-out", message=why))
    planned = plan(snapshot, survey, policy, ports.resources(), target_bytes=target, assumptions=assumed)
    damaged = dict(planned.left_out).get(LeftOut.QUARANTINED, 0)
    if damaged:
        told = f"{damaged} live {'file is' if damaged == 1 else 'files are'} left alone, because earlier runs found damage there"
        ports.sink(Warned(code="quarantined", message=f"{told}; `compactor explain` and `compactor doctor --data` say more."))
    decision = confirm(likely, planned)
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


def _watched(ports: Ports, snapshot: Snapshot, policy: Policy) -> Snapshot:
    """The snapshot, with the partitions that others write to when the policy leaves those alone. All dates are the store's."""
    if policy.quiet_s <= 0:
        return snapshot
    now_ms = snapshot.store_now_ms or ports.store.now_ms()
    return replace(snapshot, busy=ports.table.recent_writes(snapshot, now_ms - int(policy.quiet_s * 1000)))


def _assumed(ports: Ports, snapshot: Snapshot) -> Assumptions:
    """What predictions for this table rest on."""
    schema = ports.table.read_spec(snapshot).schema
    assumed = assume(schema, ports.table.compression(snapshot), ports.economy(snapshot), ports.proof)
    store_copies = ports.store.uri.startswith("s3:")
    return replace(assumed, engine=ports.engine, store_copies=store_copies, not_merged=ports.not_merged(snapshot))


def health_of(table: Table, snapshot: Snapshot, policy: Policy) -> Health:
    """What the snapshot looks like to a reader, under the target in force."""
    return assess(snapshot, policy, effective_target(policy, table.target_bytes(snapshot)))


def load(ports: Ports, policy: Policy, *, version: int | None = None) -> Snapshot:
    """The snapshot, dated by the store's own clock when the policy looks at ages."""
    started = ports.ambient.clock.monotonic_s()
    with stage("load"):
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
    early = Early(ports.executor)
    ports = replace(ports, sink=noting(tally, ports.sink), executor=early)
    expect = _nobody if dry_run else early.expect
    ports.sink(RunStarted(run_id=tally.run_id, table=tally.table))
    error: CompactorError | None = None
    try:
        if run_id is not None and (earlier := _earlier(ports, tally)) is not None:
            return earlier
        left = not dry_run and ports.recovery.look()
        if left:
            gate(ports, load(ports, policy))
            _take_over(ports, policy, tally)
        prepared = prepare(ports, policy, expect=expect) if saved is None else reapplied(ports, saved)
        _note(ports, tally, prepared)
        if isinstance(prepared.decision, Compact):
            ports.sink(Planned(plan=prepared.plan))
            if not dry_run:
                with ports.lease.held(tally.run_id) as inherited:
                    if inherited and ports.recovery.look():  # of somebody who was alive when this run began
                        left = True
                        _take_over(ports, policy, tally)
                    Act(ports, prepared, tally).run()
                    if saved is None:
                        _replan(ports, policy, tally)
        if left:
            settle(ports.table, ports.recovery, ports.sink)
    except CompactorError as failure:
        error = failure
    except (KeyboardInterrupt, SystemExit) as end:
        if tally.acted:
            _record(ports, cut_short(tally, end, seconds=clock.monotonic_s() - started))
        raise
    finally:
        early.close()
    if tally.acted:
        _quarantine(ports, tally)
    run = report(tally, seconds=clock.monotonic_s() - started, error=error, dry_run=dry_run)
    if tally.acted and (tally.overtaken is not None or run.status in (RunStatus.COMMITTED, RunStatus.CONFLICT, RunStatus.FAILED)):
        _record(ports, run)
    ports.sink(RunEnded(run=run))
    return run


def _take_over(ports: Ports, policy: Policy, tally: Tally) -> None:
    """Commit what dead runs had finished, before anything of it is made again."""
    tally.took_over(take_over(ports.table, ports.recovery, tally.run_id, _rescue(ports, policy), ports.sink))


def _rescue(ports: Ports, policy: Policy) -> Rescue:
    """How groups that a dead run had finished are saved when they have lost rows since: as our own are, and never while purging."""
    return Rescue(max_deleted_ratio=None if policy.purge else policy.max_deleted_ratio, prove=ports.read_files)


def _replan(ports: Ports, policy: Policy, tally: Tally) -> None:
    """Plan again, on the table as it is now, what other writers took from this run, so that it need not wait for the next.

    Where that is not possible any more, what was done stands as it is, and the next run says the same as its own end.
    """
    known = 0
    for _ in range(REPLANS):
        lost = any(drop.reason in LOST_TO_OTHERS for drop in tally.dropped[known:])
        known = len(tally.dropped)
        if not lost or not ports.records.free(tally.run_id):
            return
        try:
            prepared = prepare(ports, policy)
        except CompactorError as error:
            ports.sink(Warned(code="replan", message=f"What others took from this run was not planned again: {error}"))
            return
        if not isinstance(prepared.decision, Compact):
            tally.overtaken, tally.not_yet = prepared.decision.why, prepared.plan.not_yet
            return
        prepared = replace(prepared, plan=prepared.plan.renumbered(tally.planned))
        ports.sink(Planned(plan=prepared.plan))
        tally.planned += len(prepared.plan)
        tally.predicted = tally.predicted.and_then(prepared.plan.prediction) if tally.predicted else prepared.plan.prediction
        Act(ports, prepared, tally).run()


def _note(ports: Ports, tally: Tally, prepared: Prepared) -> None:
    """What is known before the first effect. A group that drifted is dropped before it begins."""
    tally.version = prepared.snapshot.version
    tally.economy = prepared.assumed.economy
    tally.dropped.extend(prepared.drifted)
    for drop in prepared.drifted:
        ports.sink(GroupLost(dropped=drop))
    tally.planned += len(prepared.drifted)
    tally.why, tally.not_yet = prepared.decision.why, prepared.plan.not_yet
    if isinstance(prepared.decision, Compact):
        tally.planned += len(prepared.plan)
        tally.predicted = prepared.plan.prediction


def _quarantine(ports: Ports, tally: Tally) -> None:
    """Remember the files that were found damaged, so that they do not keep their neighbours from being compacted by the next run."""
    found = {drop.file: drop.detail for drop in tally.dropped if drop.reason == "corrupt-file" and drop.file is not None}
    if not found:
        return
    try:
        # A file that is not there at all may come back whole, so only what is there counts as damaged.
        there = {path: why for path, why in found.items() if ports.store.head(ports.table.object_key(path)) is not None}
        ports.quarantine.add(there)
    except CompactorError as error:
        ports.sink(Warned(code="quarantined", message=f"Damaged files were not noted for the next run: {error}"))


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
