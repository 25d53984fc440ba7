"""The drain of notifications: kept before they are deleted, whatever fails beside; and at the pace at which they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from compactor.ambient.system import SystemClock
from compactor.errors import StorageUnavailable
from compactor.service.drain import Drain, Heard, Ways
from compactor.service.sqs import Taken


@dataclass
class Queue:
    """Messages by receipt, each with a table's version; in the order of what happens `log` has what was taken, kept and done."""

    messages: dict[str, tuple[str, int]]
    log: list[tuple[str, object]] = field(default_factory=list)
    fails_after: int | None = None
    guard: threading.Lock = field(default_factory=threading.Lock)

    def take(self, *, wait_s: int = 0) -> Taken:
        with self.guard:
            if self.fails_after is not None and len(self.log) >= self.fails_after:
                raise StorageUnavailable("the queue is away.")
            receipts = list(self.messages)[:10]
            found = {receipt: self.messages.pop(receipt) for receipt in receipts}
            self.log.append(("taken", tuple(receipts)))
        if not receipts:
            time.sleep(min(wait_s, 0.02))
        newest: dict[str, int] = {}
        for table, version in found.values():
            newest[table] = max(version, newest.get(table, -1))
        return Taken(notices=newest, receipts=tuple(receipts))

    def done(self, receipts: Sequence[str]) -> None:
        with self.guard:
            self.log.append(("done", tuple(receipts)))

    def keep(self, newest: Mapping[str, int]) -> str:
        with self.guard:
            self.log.append(("kept", dict(newest)))
        return f"kept-{len(self.log)}"

    def deleted(self) -> set[str]:
        return {receipt for what, receipts in self.log if what == "done" for receipt in receipts}  # type: ignore[attr-defined]


def queue_of(messages: int, tables: int = 7) -> Queue:
    return Queue({f"m{number}": (f"t{number % tables}", number) for number in range(messages)})


@pytest.fixture
def draining() -> Iterator[Callable[..., Drain]]:
    made: list[Drain] = []

    def make(queue: Queue, fresh: Callable[[str, int], bool] = lambda _table, _version: True) -> Drain:
        made.append(Drain(Ways(queue=lambda: queue, keep=queue.keep, fresh=fresh), SystemClock()))  # type: ignore[arg-type, return-value]
        return made[-1]

    yield make
    for drain in made:
        drain.stop()


def test_everything_is_kept_and_then_deleted(draining: Callable[..., Drain]) -> None:
    """However many there are; the newest version of each table is heard once, and no message goes before it was kept."""
    queue = queue_of(1234)
    heard = draining(queue).heard()
    assert heard.newest == {f"t{table}": max(number for number in range(1234) if number % 7 == table) for table in range(7)}
    assert len(queue.deleted()) == 1234
    kept = False
    for what, _ in queue.log:
        assert kept or what != "done"
        kept = kept or what == "kept"
    assert heard.problem is None


def test_what_is_no_news_is_deleted_and_not_kept(draining: Callable[..., Drain]) -> None:
    """As notices of our own commits, which are known by then."""
    queue = queue_of(50)
    heard = draining(queue, lambda _table, version: version > 48).heard()
    assert (heard.newest, len(heard.kept), len(queue.deleted())) == ({"t0": 49}, 1, 50)


def test_a_state_that_is_away_deletes_nothing(draining: Callable[..., Drain]) -> None:
    """The messages come again when their time is over; it is told, and taken back when it goes well."""
    queue = queue_of(30)
    drain = draining(queue)
    keep, away = queue.keep, [True]

    def fails(newest: Mapping[str, int]) -> str:
        if away:
            raise StorageUnavailable("the state is away.")
        return keep(newest)

    drain._ways = Ways(queue=drain._ways.queue, keep=fails, fresh=drain._ways.fresh)
    assert drain.heard() == Heard(problem="the state is away.")
    assert not queue.deleted()
    away.clear()
    queue.messages["again"] = ("t1", 5)
    assert (drain.heard().newest, drain.heard().problem) == ({"t1": 5}, None)


def test_what_was_taken_is_kept_though_other_requests_fail(draining: Callable[..., Drain]) -> None:
    """One lane's failure loses no other lane's messages, nor those that it had itself."""
    queue = queue_of(500)
    queue.fails_after = 12
    heard = draining(queue).heard()
    assert heard.problem == "the queue is away."
    taken = {receipt for what, receipts in queue.log if what == "taken" for receipt in receipts}  # type: ignore[attr-defined]
    assert queue.deleted() == taken
    assert 0 < len(taken) <= 120
    assert heard.newest


def test_a_thread_drains_while_nobody_asks(draining: Callable[..., Drain]) -> None:
    """A round may take long: the queue does not grow meanwhile, and the round hears of all of it."""
    queue = queue_of(900)
    drain = draining(queue)
    drain.start()
    ends_s = time.monotonic() + 30
    while len(queue.deleted()) < 900 and time.monotonic() < ends_s:
        time.sleep(0.02)
    assert len(queue.deleted()) == 900
    heard = drain.heard()
    assert max(heard.newest.values()) == 899
    assert heard.kept
    assert not drain.heard().newest
