"""Where the time of a run went: the stages of its tasks, added up as groups finish, and those of the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from compactor.model.events import Event, GroupFinished, Sink
from compactor.model.run import Run, Timings


class Stages:
    """A sink that adds up the stages of tasks, and passes events on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.seconds: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, GroupFinished):
            for stage, seconds in event.result.stages:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self._sink(event)


def timed(run: Run, driver: Mapping[str, float], tasks: Mapping[str, float]) -> Run:
    """The run, with where its time went."""
    return replace(run, timings=Timings(driver=tuple(driver.items()), tasks=tuple(tasks.items())))
