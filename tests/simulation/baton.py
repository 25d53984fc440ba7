"""Actors that take turns: each in a thread of its own, but only the one that holds the baton moves. Who gets it next is drawn from a seed.

An actor offers the baton at every call of its store, so that two pipelines are interleaved as finely as stores can tell. Threads that an
actor starts itself (prefetching, parallel reads of a log) do not hold the baton and are no points of change: they only read.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable


class Actor:
    """Something that acts. `error` is what ended it, if anything did."""

    def __init__(self, name: str, story: Callable[[], None]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.finished = False
        self._story = story
        self.turn = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._run, name=f"actor-{name}", daemon=True)
        self.ended: Callable[[], None] = lambda: None

    def _run(self) -> None:
        self.turn.acquire()
        try:
            self._story()
        except BaseException as error:  # noqa: BLE001 - looked at by the world when all have ended
            self.error = error
        self.finished = True
        self.ended()


class Baton:
    """Runs actors until all have ended. `change` is how probable a change of turns is at a point where one is possible."""

    def __init__(self, seed: int, change: float = 0.2) -> None:
        self._random = random.Random(f"baton-{seed}")
        self._change = change
        self._actors: list[Actor] = []
        self._over = threading.Semaphore(0)

    def run(self, actors: list[Actor]) -> None:
        """Returns when the last actor has ended."""
        self._actors = list(actors)
        for actor in actors:
            actor.ended = self._pass_on
            actor.thread.start()
        self._pass_on()
        self._over.acquire()

    def offer(self, actor: Actor) -> None:
        """Called by the actor that holds the baton: perhaps others move now. Calls from an actor's helper threads do nothing."""
        if threading.current_thread() is not actor.thread or self._random.random() >= self._change:
            return
        chosen = self._draw()
        if chosen is not None and chosen is not actor:
            chosen.turn.release()
            actor.turn.acquire()

    def _pass_on(self) -> None:
        chosen = self._draw()
        (self._over if chosen is None else chosen.turn).release()

    def _draw(self) -> Actor | None:
        able = [actor for actor in self._actors if not actor.finished]
        return self._random.choice(able) if able else None
