"""Puts the adapters together: from a URI and Settings to the Ports of the pipeline. The one place that names concrete classes.

Adapters are imported when they are needed, so that reading a small table loads neither Ray nor deltalake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from compactor.ambient.owners import SystemOwners
from compactor.ambient.ports import Ambient, Owners
from compactor.ambient.system import system_ambient
from compactor.coordination.lease import Lease, NoLease, TableLease, Terms, Watch
from compactor.coordination.quarantine import Quarantine
from compactor.coordination.records import Care, RunRecords
from compactor.coordination.recovery import Recovery
from compactor.coordination.told_lease import ToldLease
from compactor.execution.base import Executor
from compactor.model.engine import EngineChoice
from compactor.model.events import Event, Sink
from compactor.model.plan import Resources
from compactor.model.rewrite import InputFile, ReadSpec
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.survey import Survey
from compactor.model.usage import Economy
from compactor.model.verification import ReadFiles, Reading
from compactor.ports import Ports
from compactor.settings import Settings
from compactor.storage import normalise_uri, open_store
from compactor.storage.base import ObjectStore
from compactor.storage.patient import PatientStore
from compactor.tables.base import Checkpointer, Table
from compactor.units import parse_seconds

if TYPE_CHECKING:
    from compactor.coordination.claims import Claims
    from compactor.execution.ray_pass import RayPass
    from compactor.execution.reading import Gaze, LocalPass
    from compactor.model.findings import ObserveFiles
    from compactor.tables.care import TableCare
    from compactor.tables.delta.options import DeltaOptions, DynamoDBOptions

RAY_TASK_BYTES = 2 * 1024**3
"""Memory asked of a cluster for one task when nobody said."""


def open_table(uri: str, settings: Settings, ambient: Ambient | None = None) -> tuple[Table, ObjectStore]:
    """The table at `uri` and the store at its root. Nothing is read yet. Raises UsageError, CredentialsMissing."""
    store = open_store(normalise_uri(uri), settings.storage())
    return _table(store, settings, ambient or system_ambient()), store


def open_ports(uri: str, settings: Settings, sink: Sink | None = None, ambient: Ambient | None = None) -> Ports:
    """Everything a run of the table at `uri` needs. Raises UsageError, CredentialsMissing."""
    return wire(open_store(normalise_uri(uri), settings.storage()), settings, sink=sink, ambient=ambient)


def wire(
    store: ObjectStore,
    settings: Settings,
    *,
    sink: Sink | None = None,
    ambient: Ambient | None = None,
    care: Care | None = None,
    owners: Owners | None = None,
) -> Ports:
    """Everything a run of the table at the root of `store` needs."""
    ambient, care, owners = ambient or system_ambient(), care or Care(), owners or SystemOwners()
    state, prefix = _place_of_records(store, settings)
    table = _table(store, settings, ambient)
    return Ports(
        table=table,
        store=store,
        storage=settings.storage(),
        ambient=ambient,
        resources=lambda: _resources(settings),
        executor=_executor(settings, ambient, store),
        checkpointer=_checkpointer(settings),
        records=RunRecords(store=PatientStore(state, ambient), prefix=prefix, clock=ambient.clock, by=_who(), care=care, owner=owners.me()),
        lease=_told(_lease(state, prefix, settings, ambient, (owners, care)), sink),
        recovery=Recovery(store=state, prefix=prefix, outputs=store, ambient=ambient, care=care, owners=owners),
        quarantine=Quarantine(store=state, prefix=prefix, ignored=settings.accept_damage),
        survey=_survey(table, _reading(store, settings)),
        sink=sink or _nobody,
        economy=_economy(store, settings),
        proof=settings.proof,
        proof_reader=settings.proof_reader,
        engine=settings.engine_choice,
        not_merged=_not_merged(table, settings.engine_choice),
        timed=settings.timings,
        bounds=settings.bounds(),
        read_files=_read_files(_reading(store, settings), settings),
    )


def _not_merged(table: Table, choice: EngineChoice) -> Callable[[Snapshot], str | None]:
    """Says why small files of a table are decoded."""

    def why(snapshot: Snapshot) -> str | None:
        from compactor.rewriting.merging import against_merging

        against = against_merging(table.read_spec(snapshot), table.write_spec(snapshot), choice)
        return None if against is None else against.code

    return why


def _read_files(store: ObjectStore, settings: Settings) -> ReadFiles:
    """Reads a few files here and now, within what the driver may use."""

    def read(spec: ReadSpec, files: Sequence[InputFile]) -> Iterator[tuple[int, Reading]]:
        from compactor.execution.reading import LocalPass

        return LocalPass(store=store, parallelism=1, memory_bytes=_driver_memory(settings))(spec, files)

    return read


def open_care(uri: str, settings: Settings, ambient: Ambient | None = None) -> tuple[TableCare, ObjectStore]:
    """The table at `uri` for maintenance, and the store at its root, which reads elsewhere too where that is allowed."""
    from compactor.tables.delta.care import DeltaCare

    store = open_store(normalise_uri(uri), settings.storage())
    reading = _reading(store, settings)
    return DeltaCare(TableRef(uri=store.uri), reading, ambient or system_ambient(), _options(settings)), reading


def claims_on(store: ObjectStore, settings: Settings) -> Claims:
    """What runs of the table at the root of `store` that have not ended may still need, by the intents here and where `state` says."""
    from compactor.coordination.claims import read_claims

    configured = _place_of_records(store, settings)
    return read_claims([(store, "_compactor/"), *([] if settings.state is None else [configured])])


@contextmanager
def open_observing(store: ObjectStore, settings: Settings, ambient: Ambient) -> Iterator[ObserveFiles]:
    """How files are read to be held against their statistics; as `open_reading`."""
    from compactor.execution.reading import observations

    with _open_pass(store, settings, ambient, observations) as observe:
        yield observe


@contextmanager
def open_reading(store: ObjectStore, settings: Settings, ambient: Ambient) -> Iterator[ReadFiles]:
    """How files of the table at the root of `store` are read to be verified: Ray Data where a cluster is configured, else threads here."""
    from compactor.execution.reading import fingerprints

    with _open_pass(store, settings, ambient, fingerprints) as read:
        yield read


@contextmanager
def _open_pass(store: ObjectStore, settings: Settings, ambient: Ambient, gaze: Gaze) -> Iterator[LocalPass | RayPass]:
    if not on_ray(settings):
        from compactor.execution.reading import LocalPass

        resources = _resources(settings)
        parallelism = resources.parallelism
        yield LocalPass(store=store, parallelism=parallelism, memory_bytes=resources.memory_bytes * parallelism, gaze=gaze)
        return
    from compactor.execution.on_ray import RayExecutor
    from compactor.execution.ray_pass import RayPass
    from compactor.execution.work import Limits

    limits = Limits(memory_bytes=settings.memory_bytes or RAY_TASK_BYTES, parallelism=settings.parallelism)
    executor = RayExecutor(clock=ambient.clock, address=settings.ray_address, limits=limits)
    try:
        yield RayPass(executor, store.uri, settings.storage(), gaze)
    finally:
        executor.close()


def _table(store: ObjectStore, settings: Settings, ambient: Ambient) -> Table:
    from compactor.tables.delta.table import DeltaTable

    return DeltaTable(TableRef(uri=store.uri), _reading(store, settings), ambient, _options(settings))


def _options(settings: Settings) -> DeltaOptions:
    from compactor.tables.delta.options import DeltaOptions

    return DeltaOptions(
        arbiter=settings.arbiter,
        rivals=settings.rivals,
        accept_damage=settings.accept_damage,
        memory_bytes=_driver_memory(settings),
        external_paths=settings.allow_external_paths,
        dynamodb=_dynamodb(settings),
    )


def _dynamodb(settings: Settings) -> DynamoDBOptions | None:
    """The DynamoDB table, where the settings name one or choose it as arbiter."""
    from compactor.tables.delta.options import DynamoDBOptions

    if settings.arbiter != "dynamodb" and settings.dynamodb_table is None:
        return None
    return DynamoDBOptions(
        table=settings.dynamodb_table or "delta_log",
        region=settings.dynamodb_region or "us-east-1",
        endpoint_url=settings.dynamodb_endpoint,
        storage=settings.storage(),
    )


def _reading(store: ObjectStore, settings: Settings) -> ObjectStore:
    """The store, reading also what lies elsewhere where the user allows it."""
    if not settings.allow_external_paths:
        return store
    from compactor.storage.external import ExternalReads

    return ExternalReads(store, settings.storage())


def _nobody(_event: Event) -> None:
    """The sink of a caller who does not listen."""


def on_ray(settings: Settings) -> bool:
    """Whether runs under these settings take place on a Ray cluster."""
    return settings.executor == "ray" or (settings.executor == "auto" and settings.ray_address is not None)


def _resources(settings: Settings) -> Resources:
    """What planning may count on. For a cluster from the settings alone: planning must not start one."""
    if on_ray(settings):
        return Resources(parallelism=settings.parallelism or 2, memory_bytes=settings.memory_bytes or RAY_TASK_BYTES)
    from compactor.execution.machine import fit

    capacity = fit(settings.memory_bytes, 1 if settings.executor == "serial" else settings.parallelism)
    return Resources(parallelism=capacity.parallelism, memory_bytes=capacity.memory_per_task_bytes)


def _driver_memory(settings: Settings) -> int:
    """What loading and planning may use: the run's own bound where it runs here, else a safe share of this machine."""
    from compactor.execution.machine import share_of_memory

    return share_of_memory() if on_ray(settings) or settings.memory_bytes is None else settings.memory_bytes


def _executor(settings: Settings, ambient: Ambient, store: ObjectStore) -> Callable[[], Executor]:
    def make() -> Executor:
        from compactor.execution.choose import open_executor
        from compactor.execution.splitting import SplittingExecutor
        from compactor.execution.work import Limits

        memory_bytes = settings.memory_bytes or (RAY_TASK_BYTES if on_ray(settings) else None)
        limits = Limits(memory_bytes=memory_bytes, parallelism=settings.parallelism)
        inner = open_executor(settings.executor, clock=ambient.clock, ray_address=settings.ray_address, limits=limits, store=store)
        return SplittingExecutor(inner)

    return make


def _survey(table: Table, store: ObjectStore) -> Callable[[Snapshot, Sequence[int]], Survey]:
    def survey(snapshot: Snapshot, rows: Sequence[int]) -> Survey:
        lost = table.unnameable(snapshot)
        if not rows:
            return Survey(unreadable=lost)
        from compactor.rewriting.footer import survey_files

        chosen = snapshot.files.select(["path", "size_bytes"]).take(list(rows)).to_pydict()
        sizes = zip(chosen["path"], chosen["size_bytes"], strict=True)
        files = [(path, table.object_key(path), size) for path, size in sizes if path not in lost]
        found = survey_files(store, files, table.read_spec(snapshot), table.write_spec(snapshot))
        return replace(found, unreadable={**lost, **found.unreadable})

    return survey


def _economy(store: ObjectStore, settings: Settings) -> Callable[[Snapshot], Economy]:
    def economy(snapshot: Snapshot) -> Economy:
        from compactor.prices import load_prices
        from compactor.tables.delta.retention import retention_s

        bucket = getattr(getattr(store, "options", None), "region", None) or settings.region
        crosses = None not in (bucket, settings.compute_region) and bucket != settings.compute_region
        return Economy(prices=load_prices(settings.prices), crosses_regions=crosses, retention_s=retention_s(snapshot.properties))

    return economy


def _checkpointer(settings: Settings) -> Checkpointer:
    from compactor.tables.delta.checkpoint import DeltaLakeCheckpointer

    def available() -> int:
        from compactor.execution.machine import available_memory

        return available_memory()

    return DeltaLakeCheckpointer(settings.storage(), available=available)


def _place_of_records(store: ObjectStore, settings: Settings) -> tuple[ObjectStore, str]:
    """Where intents and journals of the table at the root of `store` are kept."""
    if settings.state is None:
        return store, "_compactor/"
    return open_store(normalise_uri(settings.state), settings.storage()), f"{_folder_of(store.uri)}/"


def _lease(state: ObjectStore, prefix: str, settings: Settings, ambient: Ambient, beside: tuple[Owners, Care]) -> Lease:
    if settings.lease != "on":
        return NoLease()
    owners, care = beside
    terms = Terms(wait_s=parse_seconds(settings.lease_wait), pulse=care.beat_s is not None, by=_who())
    return TableLease(store=state, prefix=prefix, ambient=ambient, owners=owners, watch=_watch(), terms=terms)


def _told(lease: Lease, sink: Sink | None) -> Lease:
    return lease if sink is None or isinstance(lease, NoLease) else ToldLease(lease, sink)


@cache
def _watch() -> Watch:
    """One memory of leases a process: a service sees a table again only in its next round."""
    return Watch()


def _who() -> str:
    """This program and the machine that it runs on."""
    import platform

    from compactor import __version__

    return f"lakehouse-compactor/{__version__} on {platform.node() or 'unknown'}"


def _folder_of(uri: str) -> str:
    """A folder name for a table inside a shared state: its URI with everything but letters, digits, dots and dashes made safe."""
    from urllib.parse import quote

    return quote(uri, safe="")
