"""Which executor a run gets, from plain values of the settings. Starts nothing: executors start what they need when first asked."""

from __future__ import annotations

from typing import Literal

from compactor.ambient.ports import Clock
from compactor.execution.base import Executor
from compactor.execution.work import Limits
from compactor.storage.base import ObjectStore

Kind = Literal["auto", "local", "ray", "serial"]


def open_executor(
    kind: Kind, *, clock: Clock, ray_address: str | None = None, limits: Limits | None = None, store: ObjectStore | None = None
) -> Executor:
    """The executor of that kind; `auto` is Ray when an address is configured, else local.

    `ray_address`: None or `local` starts a cluster for the run. `store`: for tables in memory, which only this process can reach.
    """
    limits = limits or Limits()
    if kind == "ray" or (kind == "auto" and ray_address is not None):
        from compactor.execution.on_ray import RayExecutor

        return RayExecutor(clock=clock, address=ray_address, limits=limits)
    if kind == "serial":
        from compactor.execution.serial import SerialExecutor

        return SerialExecutor(clock=clock, store=store, memory_bytes=limits.memory_bytes)
    from compactor.execution.local import LocalExecutor

    return LocalExecutor(clock=clock, limits=limits, store=store)
