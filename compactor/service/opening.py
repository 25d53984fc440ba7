"""Puts a service together: from its file to its parts. The one place in this package that names what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from compactor import verbs
from compactor.ambient.system import system_ambient
from compactor.execution.machine import fit, share_of_memory
from compactor.model.events import Event, Sink
from compactor.model.run import Run
from compactor.service.config import Events, ServiceConfig
from compactor.service.dispatch import Dispatch, Room
from compactor.service.events import ServiceSink
from compactor.service.policies import policy_of
from compactor.service.reload import ConfigFile
from compactor.service.runner import Runner
from compactor.service.service import Parts, Service
from compactor.service.shared import Shared
from compactor.service.sources import read_sources
from compactor.service.sqs import Queue
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.units import parse_bytes
from compactor.wiring import RAY_TASK_BYTES, on_ray

RunSink = Callable[[str, Event], None]
"""Hears of the events of each run, with its table's URI."""


def open_service(path: Path | str, sink: ServiceSink, run_sink: RunSink | None = None) -> Service:
    """The service that the file describes, not begun. Raises SettingsError, CredentialsMissing."""
    file = ConfigFile(path)
    config, ambient = file.current, system_ambient()
    runner = Runner(run=_run, sink=run_sink or _nobody)
    dispatch = Dispatch(runner=runner, room=room_of(config), ambient=ambient, sink=sink)
    return Service(
        parts=Parts(
            file=file,
            shared=open_shared(config),
            dispatch=dispatch,
            ambient=ambient,
            read_sources=lambda now: read_sources(now),
            sink=sink,
            queue=lambda now: None if now.events is None else _queue(now.events),
            room=room_of,
        )
    )


def open_shared(config: ServiceConfig) -> Shared:
    """What the replicas of the service share. Raises UsageError, CredentialsMissing."""
    storage = policy_of(config, config.state, {}).settings.storage()
    return Shared(open_store(config.state, storage), system_ambient())


def room_of(config: ServiceConfig) -> Room:
    """What each of the runs at once may use: an even part of this machine, or what a task may have of the cluster."""
    settings = Settings.model_validate(dict(config.run))
    if on_ray(settings):
        return Room(task_bytes=settings.memory_bytes or RAY_TASK_BYTES)
    total = parse_bytes(settings.memory) if settings.memory is not None else share_of_memory()
    each = max(1, total // config.pace.parallel)
    whole = fit(total, settings.parallelism)
    tasks = max(1, whole.parallelism // config.pace.parallel)
    return Room(task_bytes=max(1, each // tasks), run_bytes=each, tasks=tasks)


def _run(uri: str, settings: Settings, run_id: str, sink: Sink) -> Run:
    return verbs.run(uri, settings, run_id=run_id, dry_run=False, sink=sink)


def _nobody(_uri: str, _event: Event) -> None:
    """The sink of a service whose runs nobody listens to."""


@cache
def _queue(events: Events) -> Queue:
    """One queue, opened once."""
    return Queue(events)
