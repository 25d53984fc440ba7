"""What replicas share: reports with beats, marks of people, notices, and the cache of the fleet, also of other releases."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from compactor.ambient.deterministic import SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.ports import Ambient
from compactor.model.run import RunStatus
from compactor.service.config_file import parse_config
from compactor.service.fleet_file import fleet_bytes, read_fleet
from compactor.service.ledger import DAY_MS, Ledger, Spend, merged
from compactor.service.policies import policy_of
from compactor.service.shared import Report, Shared, name_of
from compactor.service.standing import Standing, Tally, terms_of
from compactor.service.table_state import LastRun, TableState
from compactor.storage.counting import CountingStore
from compactor.storage.memory import MemoryBucket, MemoryStore

CONFIG = parse_config('state = "s3://state"\n[[source]]\ntables = ["s3://lake/t"]\n', "f.toml")


@pytest.fixture
def ambient() -> Ambient:
    return Ambient(clock=VirtualClock(), ids=SeededIds(1), randomness=SeededRandomness(1))


@pytest.fixture
def store(ambient: Ambient) -> MemoryStore:
    return MemoryStore(MemoryBucket("s", ambient.clock))


def test_replicas_hear_of_each_other(store: MemoryStore, ambient: Ambient) -> None:
    """What another runs and has spent is known; its own report is not another's."""
    one, two = Shared(store, ambient), Shared(store, ambient)
    ledger = Ledger(day=3).with_spent("raw", Spend(gb_hours=2, money=1), ("nights", 9 * DAY_MS))
    one.report(Report(replica="one", beat=1, running={"t": "r"}, ledger=ledger))
    two.report(Report(replica="two", beat=1))
    alive, gone = two.others("two")
    assert [(report.replica, report.running, report.ledger) for report in alive] == [("one", {"t": "r"}, ledger)]
    assert gone == []


def test_a_replica_that_does_not_beat_is_gone(store: MemoryStore, ambient: Ambient) -> None:
    """By the watcher's own clock; what it had spent counts on, and when it beats again it lives."""
    shared = Shared(store, ambient)
    shared.report(Report(replica="one", beat=1, running={"t": "r"}))
    assert len(shared.others("me")[0]) == 1
    ambient.clock.sleep(209)
    assert len(shared.others("me")[0]) == 1
    ambient.clock.sleep(2)
    alive, gone = shared.others("me")
    assert (alive, [report.replica for report in gone]) == ([], ["one"])
    shared.report(Report(replica="one", beat=2))
    assert len(shared.others("me")[0]) == 1
    shared.forget("one")
    assert shared.others("me") == ([], [])


def test_reports_that_do_not_change_are_not_read_again(store: MemoryStore, ambient: Ambient) -> None:
    """A day of crashes leaves many replicas that are gone: each round lists them, and reads only who has beaten since."""
    counting = CountingStore(store)
    shared = Shared(counting, ambient)
    for number in range(20):
        shared.report(Report(replica=f"gone-{number}", beat=1))
    shared.report(Report(replica="lives", beat=1))
    assert len(shared.others("me")[0]) == 21
    read = counting.counts()["get"].calls
    ambient.clock.sleep(300)
    shared.report(Report(replica="lives", beat=2))
    alive, gone = shared.others("me")
    assert ([report.replica for report in alive], len(gone)) == (["lives"], 20)
    assert counting.counts()["get"].calls == read + 1


def test_marks(store: MemoryStore, ambient: Ambient) -> None:
    """A pause is seen by all and taken back by anybody; tables with long names have marks too."""
    long = "s3://lake/" + "x" * 900
    one, two = Shared(store, ambient), Shared(store, ambient)
    one.mark("paused", "s3://lake/t", "ann")
    one.mark("paused", "s3://lake/t", "ben")
    one.mark("asked", long, "ann")
    assert two.marked("paused") == {"s3://lake/t": "ben"}
    assert two.marked("asked") == {long: "ann"}
    assert len(name_of(long)) < 200
    two.unmark("paused", "s3://lake/t")
    two.unmark("paused", "s3://lake/never")
    assert one.marked("paused") == {}


def test_notices_reach_everybody_once(store: MemoryStore, ambient: Ambient) -> None:
    """The newest version of each table, to each replica once, and to one that starts later; old ones go."""
    shared, seen = Shared(store, ambient), set[str]()
    shared.note("one", {"a": 3, "b": 1})
    shared.note("two", {"a": 2})
    assert shared.noted(seen) == {"a": 3, "b": 1}
    assert shared.noted(seen) == {}
    assert Shared(store, ambient).noted(set()) == {"a": 3, "b": 1}
    ambient.clock.sleep(100)
    shared.clear_notices(50_000)
    assert Shared(store, ambient).noted(set()) == {}


OTHERS = [b'{"format_version": 2, "kind": "paused", "shape": "new"}', b"{", b'{"format_version": 1, "kind": "other"}']
USELESS = [b"", b"{", b'{"format_version": 2, "kind": "fleet"}\n{}', b'{"format_version": 1, "kind": "fleet"}\n{"uri": 3}']


@pytest.mark.parametrize("data", OTHERS)
def test_what_another_release_wrote_is_passed_over(store: MemoryStore, ambient: Ambient, data: bytes) -> None:
    """A newer or damaged object of somebody else stops nothing."""
    for folder in ("paused", "replicas", "notices"):
        store.put(f"service/{folder}/x.json", data)
    shared = Shared(store, ambient)
    shared.mark("paused", "t", "ann")
    assert (shared.marked("paused"), shared.others("me"), shared.noted(set())) == ({"t": "ann"}, ([], []), {})


def state() -> TableState:
    policy = policy_of(CONFIG, "s3://lake/t", {"compactor.min_age": "5m"})
    standing = Standing(
        version=7,
        entry="e 1 2",
        terms=terms_of(policy.settings.policy(), 1000, False),
        partition_names=("p",),
        files=9,
        bytes=99,
        partitions={"p\x1e=x": Tally(small=5, small_bytes=50, written_ms=3)},
    )
    last = LastRun(run_id="r", status=RunStatus.CONFLICT, why="others were faster", version=6, ended_ms=5)
    return TableState(
        uri="s3://lake/t", policy=policy, standing=standing, loaded_s=40, worth_since_s=60, looked_s=90, suffered=3.0, bad=2, retry_s=130,
        last=last, owner={"compactor.min_age": "5m"},
    )  # fmt: skip


def test_a_restart_goes_on(store: MemoryStore, ambient: Ambient) -> None:
    """What was known comes back with its ages, on a clock with another zero, under the rules in force, and is to be looked at."""
    Shared(store, ambient).save_fleet(fleet_bytes([state(), TableState(uri="s3://lake/new")], now_s=100))
    kept = Shared(store, ambient).load_fleet()
    assert kept is not None
    [found] = read_fleet(kept, CONFIG, now_s=1000).values()
    assert (found.standing, found.policy, found.owner, found.last) == (state().standing, state().policy, state().owner, state().last)
    assert (found.loaded_s, found.worth_since_s, found.retry_s, found.bad, found.suffered) == (940, 960, 1030, 2, 3.0)
    assert found.changed


@pytest.mark.parametrize("data", USELESS)
def test_a_cache_of_no_use_is_none(data: bytes) -> None:
    """Then tables are loaded."""
    assert read_fleet(data, CONFIG, 0.0) == {}


def test_the_cache_is_lines_of_json() -> None:
    """With a format version first."""
    header, line = fleet_bytes([state()], 100).splitlines()
    assert orjson.loads(header) == {"format_version": 1, "kind": "fleet"}
    assert orjson.loads(line)["uri"] == "s3://lake/t"


def test_ledgers_together() -> None:
    """Groups and windows add up; what is over does not count."""
    today = Ledger(day=1).with_spent("a", Spend(gb_hours=1, money=2), ("w", 2 * DAY_MS))
    yesterday = replace(today, day=0, windows={})
    both = merged([today, today, yesterday], now_ms=DAY_MS + 5)
    assert both.groups == {"a": Spend(gb_hours=2, money=4)}
    assert both.windows["w"].spent == Spend(gb_hours=2, money=4)
