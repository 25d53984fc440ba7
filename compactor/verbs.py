"""The façade's verbs with everything imported: `compactor/__init__.py` stays cheap to import and hands over to this module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace

from compactor import plan_files
from compactor.ambient.stopwatch import running, stage
from compactor.ambient.system import system_ambient
from compactor.errors import CompactorError, TableRefused, UsageError
from compactor.maintenance import verify as verification
from compactor.maintenance.installation import Installation
from compactor.maintenance.vacuum import Terms
from compactor.model.events import Sink
from compactor.model.findings import Diagnosis, Finding
from compactor.model.health import Health, Skip
from compactor.model.plan import Plan, SavedPlan
from compactor.model.recovery import Cleaned
from compactor.model.run import Run, RunRecord
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.vacuum import OnSwept, Vacuumed
from compactor.model.verification import CommitVerdict, Verification
from compactor.pipeline import decided, gate, health_of, prepare, run_table
from compactor.planning.artefact import save
from compactor.planning.diff import PlanDiff, diff
from compactor.planning.explain import FileExplanation, PartitionExplanation, explain_file, explain_partitions, of_partition
from compactor.run_report import Tally, report
from compactor.service.discovery import FailedTable, ScanEntry, ScannedTable, discover
from compactor.settings import Settings
from compactor.storage import normalise_uri, open_store
from compactor.tables.base import HistoryEntry
from compactor.timings import Stages, timed
from compactor.wiring import claims_on, open_care, open_observing, open_ports, open_reading, open_table

Versions = tuple[int | None, int | None, int | None]
"""One version, or the first and the last of a range."""


def load(uri: str, settings: Settings | None, version: int | None) -> Snapshot:
    """See compactor.load."""
    table, _ = open_table(uri, settings or Settings())
    return table.load(version)


def assess_table(table: str | Snapshot, settings: Settings | None) -> Health:
    """See compactor.assess."""
    settings = settings or Settings()
    snapshot = load(table, settings, None) if isinstance(table, str) else table
    opened, _ = open_table(snapshot.table.uri, settings)
    return health_of(opened, snapshot, settings.policy())


def plan_table(uri: str, settings: Settings | None) -> Plan:
    """See compactor.plan."""
    settings = settings or Settings()
    return prepare(open_ports(uri, settings), settings.policy()).plan


def run(
    uri: str, settings: Settings | None, *, run_id: str | None, dry_run: bool, sink: Sink | None, saved: SavedPlan | str | None = None
) -> Run:
    """See compactor.run."""
    settings = settings or Settings()
    ambient = system_ambient()
    try:
        saved = plan_files.read(saved) if isinstance(saved, str) else saved
        if saved is not None and run_id is not None:
            raise UsageError("A stored plan names its own run, so that it is applied once; leave the run id out.")
        ports = open_ports(uri, settings, sink, ambient)
        policy = settings.policy()
    except CompactorError as error:
        return report(Tally(run_id=run_id or ambient.ids.new(), table=uri), seconds=0.0, error=error)
    if not ports.timed:
        return run_table(ports, policy, run_id=run_id, dry_run=dry_run, saved=saved)
    stages = Stages(ports.sink)
    with running(ambient.clock) as watch, stage("other"):
        done = run_table(replace(ports, sink=stages), policy, run_id=run_id, dry_run=dry_run, saved=saved)
    return timed(done, watch.seconds(), stages.seconds)


def write_plan(uri: str, path: str, settings: Settings | None) -> SavedPlan:
    """See compactor.write_plan."""
    settings = settings or Settings()
    prepared = prepare(open_ports(uri, settings), settings.policy())
    saved = save(prepared.plan, prepared.snapshot)
    plan_files.write(saved, path)
    return saved


def read_plan(path: str) -> SavedPlan:
    """See compactor.read_plan."""
    return plan_files.read(path)


def diff_plans(old: SavedPlan | str, new: SavedPlan | str) -> PlanDiff:
    """See compactor.diff_plans."""
    both = [plan_files.read(plan) if isinstance(plan, str) else plan for plan in (old, new)]
    return diff(*both)


def clean(uri: str, settings: Settings | None, *, dry_run: bool) -> Cleaned:
    """See compactor.clean."""
    ports = open_ports(uri, settings or Settings())
    table, recovery = ports.table, ports.recovery
    table.load()  # a table it must be: nothing is deleted anywhere else
    left = recovery.look()
    in_flight = recovery.in_flight()
    if left and not dry_run:
        recovery.fence(table)
    ends = recovery.settle(table, dry_run=dry_run) if left else []
    return Cleaned(runs=(*ends, *in_flight), problems=tuple(recovery.problems))


def runs(uri: str, settings: Settings | None, limit: int | None) -> list[RunRecord]:
    """See compactor.runs."""
    ports = open_ports(uri, settings or Settings())
    found = ports.records.runs(limit)
    if not found:
        ports.table.history(1)  # says so when there is no table at all
    return found


def explain(uri: str, settings: Settings | None, file: str | None, partition: str | None) -> FileExplanation | PartitionExplanation:
    """See compactor.explain."""
    settings = settings or Settings()
    if file is not None and partition is not None:
        raise UsageError("Explain either a file or a partition.")
    prepared = prepare(open_ports(uri, settings), settings.policy())
    if file is not None:
        return explain_file(prepared.snapshot, prepared.plan, file)
    columns = [column.name for column in prepared.snapshot.partition_columns]
    selected = None if partition is None else of_partition(partition, columns)
    return explain_partitions(prepared.snapshot, prepared.plan, selected)


def verify(uri: str, settings: Settings | None, versions: Versions, on_commit: Callable[[CommitVerdict], None] | None) -> Verification:
    """See compactor.verify."""
    settings = settings or Settings()
    ambient = system_ambient()
    table, store = open_table(uri, settings, ambient)
    version, first, last = versions
    rewrites = table.rewrites(first, last) if version is None else iter([table.rewrite_at(version)])
    found = []
    with open_reading(store, settings, ambient) as read:
        for verdict in verification.verify(rewrites, read):
            found.append(verdict)
            if on_commit is not None:
                on_commit(verdict)
    return Verification(table=table.ref.uri, commits=tuple(found))


def doctor(uri: str, settings: Settings | None, *, data: bool, on_finding: Callable[[Finding], None] | None) -> Diagnosis:
    """See compactor.doctor."""
    from compactor.maintenance.doctor import Patient, examine

    settings = settings or Settings()
    ambient = system_ambient()
    table, store = open_care(uri, settings, ambient)
    with open_observing(store, settings, ambient) if data else nullcontext(None) as observe:
        return examine(Patient(table=table, store=store, claims=lambda: claims_on(store, settings), observe=observe), on_finding)


def vacuum(uri: str, settings: Settings | None, terms: Terms, on_swept: OnSwept | None) -> Vacuumed:
    """See compactor.vacuum."""
    from compactor.maintenance import vacuum as vacuuming

    settings = settings or Settings()
    table, store = open_care(uri, settings)
    return vacuuming.vacuum(vacuuming.Ground(table=table, store=store, claims=lambda: claims_on(store, settings)), terms, on_swept)


def installation(settings: Settings | None) -> Installation:
    """See compactor.installation."""
    from compactor.maintenance.installation import look

    return look(settings or Settings())


def history(uri: str, settings: Settings | None, limit: int | None) -> list[HistoryEntry]:
    """See compactor.history."""
    table, _ = open_table(uri, settings or Settings())
    return list(table.history(limit))


def scan(uri: str, settings: Settings | None) -> Iterator[ScanEntry]:
    """See compactor.scan."""
    settings = settings or Settings()
    store = open_store(normalise_uri(uri), settings.storage())
    empty = True
    for found in discover(store):
        empty = False
        yield _look_at(found, settings) if isinstance(found, TableRef) else found
    if empty:
        raise UsageError(f"There is no table at or below {store.uri}.")


def _look_at(ref: TableRef, settings: Settings) -> ScanEntry:
    """One table of a scan: its health and what a run would decide, or why it could not be looked at."""
    try:
        ports = open_ports(ref.uri, settings)
        snapshot = ports.table.load()
        try:
            gate(ports, snapshot)
        except TableRefused as refusal:
            health = health_of(ports.table, snapshot, settings.policy())
            decision = Skip(reason=refusal.reason, why=str(refusal))
            return ScannedTable(table=ref, version=snapshot.version, health=health, decision=decision)
        prepared = decided(ports, snapshot, settings.policy())
        return ScannedTable(table=ref, version=snapshot.version, health=prepared.health, decision=prepared.decision)
    except CompactorError as error:
        return FailedTable(table=ref, exit_code=error.exit_code, why=str(error))
