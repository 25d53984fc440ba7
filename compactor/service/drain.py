"""Drains the queue of notifications beside the rounds, so that it does not grow while a round looks at many tables.

    take (requests side by side, for about a second) ─► keep: one object in the state ─► done: the messages are deleted
      └─► heard: what the next round of this replica takes in; others read what was kept

What was taken is kept even where a part of the requests failed. Must never: delete a message before what it says is kept, or stop for what
the queue or the state brings: it is told, and tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from compactor.ambient.ports import Clock
from compactor.errors import CompactorError
from compactor.service.sqs import BATCH, Queue, Taken

_LANES, _TAKES = 16, 25
"""Requests beside each other, and how many each lane makes in a turn at most."""
_TURNS = 100
"""In a row at most, where no thread drains."""
_GATHER_S = 1.0
"""For so long at most messages are gathered before they are kept: well below what queues hide them for."""
_LONG_POLL_S = 20
_AGAIN_S, _AGAIN_LONGEST_S = 2.0, 60.0
"""After a turn that failed: waits that double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Where messages come from and where what they say goes. queue: None while there is none. keep: durable when it returns, and answers
    under which name. fresh: whether a version of a table is news."""

    queue: Callable[[], Queue | None]
    keep: Callable[[Mapping[str, int]], str]
    fresh: Callable[[str, int], bool]


@dataclass(slots=True)
class Heard:
    """What came since it was asked last. kept: names under which it was kept. problem: why the newest turn failed, None when it did not."""

    newest: dict[str, int] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    puzzling: list[str] = field(default_factory=list)
    problem: str | None = None

    def hear(self, newest: Mapping[str, int]) -> None:
        """Take in versions; the newest of each table counts."""
        for table, version in newest.items():
            self.newest[table] = max(self.newest.get(table, -1), version)


class Drain:
    """`turn` is for one thread at a time: the caller's, or after `start` the drain's own. `heard` is for any."""

    def __init__(self, ways: Ways, clock: Clock) -> None:
        self._ways, self._clock = ways, clock
        self._lanes = ThreadPoolExecutor(_LANES, thread_name_prefix="drain")
        self._heard = Heard()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Turns in a thread of its own, until `stop`. It ends with the process: messages that it holds then come again."""
        self._thread = threading.Thread(target=self._go_on, name="drain-turns", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages. Does not wait for a request that is under way."""
        self._stop.set()
        self._lanes.shutdown(wait=False, cancel_futures=True)

    def heard(self) -> Heard:
        """What came since; where no thread drains, after a turn."""
        if self._thread is None:
            for _ in range(_TURNS):
                if not self._guarded_turn(0):
                    break
        with self._guard:
            heard, self._heard = self._heard, Heard(problem=self._heard.problem)
        return heard

    def turn(self, wait_s: int) -> int:
        """How many messages were taken; with `wait_s` the first is waited for. Raises StorageError, CredentialsMissing."""
        queue = self._ways.queue()
        first = Taken() if queue is None else queue.take(wait_s=wait_s)
        if queue is None or not first.messages:
            return 0
        ends_s = self._clock.monotonic_s() + _GATHER_S
        lanes = self._lanes.map(lambda _: _lane(queue, self._clock, ends_s), range(_LANES))
        taken = [first]
        failures: list[CompactorError] = []
        for found, failure in lanes:
            taken += found
            failures += [failure] if failure is not None else []
        self._keep(taken)
        receipts = [receipt for each in taken for receipt in each.receipts]
        list(self._lanes.map(queue.done, _batches(receipts)))
        if failures:
            raise failures[0]
        return sum(each.messages for each in taken)

    def _keep(self, taken: Sequence[Taken]) -> None:
        heard = Heard(puzzling=[sentence for each in taken for sentence in each.puzzling])
        for each in taken:
            heard.hear({table: version for table, version in each.notices.items() if self._ways.fresh(table, version)})
        kept = {self._ways.keep(heard.newest)} if heard.newest else set()
        with self._guard:
            self._heard.hear(heard.newest)
            self._heard.kept |= kept
            self._heard.puzzling += heard.puzzling

    def _guarded_turn(self, wait_s: int) -> int:
        problem: str | None = None
        taken = 0
        try:
            taken = self.turn(wait_s)
        except CompactorError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - the drain outlives its own bugs, and tells them
            problem = f"This is a bug in compactor ({type(error).__name__}: {error}); please report it."
        with self._guard:
            self._heard.problem = problem
        return taken

    def _go_on(self) -> None:
        again_s = _AGAIN_S
        while not self._stop.is_set():
            began_s = self._clock.monotonic_s()
            taken = self._guarded_turn(_LONG_POLL_S)
            if self._heard.problem is not None:
                self._stop.wait(again_s)
                again_s = min(2 * again_s, _AGAIN_LONGEST_S)
                continue
            again_s = _AGAIN_S
            if taken < _LANES * BATCH:  # little is coming: an object a second in the state suffices
                self._stop.wait(max(0.0, began_s + _GATHER_S - self._clock.monotonic_s()))


def _lane(queue: Queue, clock: Clock, ends_s: float) -> tuple[list[Taken], CompactorError | None]:
    """Messages as long as there are any; with what went wrong after those that are there."""
    taken: list[Taken] = []
    try:
        while len(taken) < _TAKES and clock.monotonic_s() < ends_s:
            found = queue.take()
            if not found.messages:
                break
            taken.append(found)
    except CompactorError as error:
        return taken, error
    return taken, None


def _batches(receipts: Sequence[str]) -> Iterator[Iterable[str]]:
    return (receipts[start : start + BATCH] for start in range(0, len(receipts), BATCH))
