"""The service on real tables: finds, follows, runs, waits, tells, stops and goes on; with a runner that is ours where time would tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from support.delta_log import add, info, metadata, protocol, write

from compactor import verbs
from compactor.errors import StorageUnavailable
from compactor.model.run import Run, RunStatus
from compactor.service.config_file import read_config
from compactor.service.events import Problem, RoundEnded, RulesReloaded, RunBegun, RunFinished, ServiceEvent, Stopped, Vanished
from compactor.service.opening import open_service, open_shared
from compactor.service.service import Service
from compactor.service.shared import Report, Shared
from compactor.service.sqs import Taken
from compactor.settings import Settings
from compactor.storage import open_store
from compactor_cli.main import main

FILE = """
state = "{root}/state"
[service]
round = "1s"
discover = "1s"
parallel = 2
grace = "5s"
[[source]]
prefix = "{root}/lake"
[defaults]
target_size = "1MiB"
quiet_period = "0s"
"""


@dataclass
class World:
    """A lake, the service's file, and what it told."""

    root: Path
    told: list[ServiceEvent] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / "compactor.toml"

    def configure(self, more: str = "", text: str = FILE) -> None:
        self.file.write_text(text.format(root=self.root) + more)

    def table(self, name: str, files: int = 8) -> str:
        """A table that is a log alone: nobody reads its files."""
        uri = str(self.root / "lake" / name)
        write(open_store(uri), 0, [protocol(), metadata(), *(add(f"f{number}") for number in range(files)), info()])
        return uri

    def service(self, run: Callable[[str], Run | None] | None = None) -> Service:
        """A service whose runs are `run`'s (None: real ones)."""
        service = open_service(self.file, self.told.append)
        if run is not None:
            service.parts.dispatch.runner.run = lambda uri, _settings, run_id, _sink: replace(run(uri), run_id=run_id, table=uri)  # type: ignore[type-var]
        service.start()
        return service

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(root=tmp_path)
    (tmp_path / "lake").mkdir()
    world.configure()
    return world


def ended(status: RunStatus, **more: Any) -> Run:
    return Run(run_id="", table="", status=status, exit_code={RunStatus.FAILED: 7, RunStatus.CONFLICT: 4}.get(status, 0), **more)


def rounds(service: Service, until: Callable[[], bool], most: int = 60) -> None:
    """Rounds with waits between them, until something holds."""
    for _ in range(most):
        service.round()
        if until():
            return
        time.sleep(0.05)
    pytest.fail(str(service.overview))


def codes(service: Service) -> dict[str, str]:
    return {uri.rpartition("/")[2]: view.code for uri, view in service.overview.tables.items()}


def test_a_lake_is_kept_compacted(world: World) -> None:
    """Real tables, real runs: each is compacted once, then left alone; what others append is noticed from the log's tail."""
    for name in ("a", "b", "c"):
        for _ in range(8):
            write_deltalake(world.root / "lake" / name, pa.table({"v": list(range(10))}), mode="append")
    service = world.service()
    rounds(service, lambda: codes(service) == dict.fromkeys("abc", "healthy") and len(world.of(RunFinished)) >= 3)
    assert {event.run.status for event in world.of(RunFinished)} == {RunStatus.COMMITTED}
    assert all(len(DeltaTable(world.root / "lake" / name).file_uris()) == 1 for name in "abc")
    assert all(DeltaTable(world.root / "lake" / name).to_pyarrow_table().num_rows == 80 for name in "abc")
    runs, loads = len(world.of(RunFinished)), sum(event.loaded for event in world.of(RoundEnded))
    assert loads == 3
    service.round()
    assert len(world.of(RunBegun)) == runs
    for _ in range(9):
        write_deltalake(world.root / "lake" / "b", pa.table({"v": list(range(10))}), mode="append")
    rounds(service, lambda: len(world.of(RunFinished)) == runs + 1)
    assert sum(event.loaded for event in world.of(RoundEnded)) == loads
    assert sum(event.written_bytes for event in world.of(RoundEnded)) == appended_bytes(world.root / "lake/b", 9)
    assert service.overview.ledger.spent_today.gb_hours > 0
    service.stop()
    service.finish()


def appended_bytes(table: Path, files: int) -> int:
    """Of the newest appends that were made by somebody else."""
    adds = [json.loads(line).get("add") for path in sorted(table.glob("_delta_log/*.json")) for line in path.read_text().splitlines()]
    return sum(found["size"] for found in [found for found in adds if found and not found.get("tags")][-files:])


def test_a_table_that_fails_waits_and_is_told(world: World) -> None:
    """It backs off, with the reason, and hides no other; nothing is suspended in silence."""
    bad, good = world.table("bad"), world.table("good")
    service = world.service(lambda uri: ended(RunStatus.FAILED, reason="it burns.") if uri == bad else ended(RunStatus.NOTHING_TO_DO))
    rounds(service, lambda: set(codes(service).values()) == {"backing-off", "healthy"})
    view = service.overview.tables[bad]
    assert "it burns." in view.why
    assert "tried again in" in view.why
    assert service.overview.tables[good].state.bad == 0
    service.round()
    assert len(world.of(RunBegun)) == 2


def test_people_pause_and_ask(world: World) -> None:
    """A paused table is left alone, with the name of who paused it; one that is asked for is run though there is nothing to gain; once."""
    paused, idle = world.table("paused"), world.table("idle", files=1)
    shared = open_shared(read_config(world.file))
    shared.mark("paused", paused, "ann")
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"paused": "paused", "idle": "healthy"})
    assert service.overview.tables[paused].why == "Paused by ann."
    shared.mark("asked", idle, "ann")
    rounds(service, lambda: len(world.of(RunFinished)) == 1)
    assert [(event.table, event.why) for event in world.of(RunBegun)] == [(idle, "asked")]
    for _ in range(3):
        service.round()
    assert len(world.of(RunBegun)) == 1
    shared.unmark("paused", paused)
    rounds(service, lambda: any(event.table == paused for event in world.of(RunBegun)))


def test_people_pause_and_ask_at_the_command_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The marks that a service hears of; a table that it does not look after is said to be none, lest a mistyped pause be relied on."""

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--config", str(world.file)])
        assert not ended.value.code
        return capsys.readouterr().out

    uri = world.table("t", files=1)
    assert "spelled" not in call("pause", uri, "--by", "ann")
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"t": "paused"})
    service.stop()
    service.finish()
    assert "spelled" not in call("resume", uri)
    assert "spelled" in call("pause", f"{uri}x")
    assert json.loads(call("run-now", uri, "--json"))["known"] is True
    again = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(again, lambda: [event.why for event in world.of(RunBegun)] == ["asked"])


def test_a_restart_loads_nothing(world: World) -> None:
    """What an earlier process knew is in the state: the next one follows the logs from there."""
    for number in range(5):
        world.table(f"t{number}", files=1)
    first = world.service()
    rounds(first, lambda: len(codes(first)) == 5)
    first.stop()
    first.finish()
    loads = sum(event.loaded for event in world.of(RoundEnded))
    second = world.service()
    second.round()
    assert codes(second) == {f"t{number}": "healthy" for number in range(5)}
    assert sum(event.loaded for event in world.of(RoundEnded)) == loads == 5


def test_what_cannot_be_read_is_told(world: World) -> None:
    """A damaged table is one entry with its reason, tried again in every round; when it is mended it is known."""
    uri = world.table("t", files=1)
    entry = Path(uri) / "_delta_log/00000000000000000000.json"
    whole = entry.read_bytes()
    entry.write_bytes(b"{")
    service = world.service()
    rounds(service, lambda: codes(service) == {"t": "not-looked-at"})
    assert "not valid JSON" in service.overview.tables[uri].why
    entry.write_bytes(whole)
    rounds(service, lambda: codes(service) == {"t": "healthy"})


def test_owners_opt_out(world: World) -> None:
    """By a property of the table itself, and back in: the log's tail tells."""
    uri = world.table("t")
    store = open_store(uri)
    write(store, 1, [metadata({"compactor.enabled": "false"}), info()])
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"t": "disabled"})
    assert not world.of(RunBegun)
    write(store, 2, [metadata({}), info()])
    rounds(service, lambda: len(world.of(RunBegun)) == 1)


def test_refused_tables_are_told(world: World) -> None:
    """A feature that cannot be honoured is named before its turn comes; nothing is run."""
    uri = world.table("t")
    write(open_store(uri), 1, [protocol(["icebergCompatV3"]), info()])
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"t": "refused"})
    assert "iceberg" in service.overview.tables[uri].why.lower()
    assert not world.of(RunBegun)


def test_tables_come_and_go(world: World) -> None:
    """A new table is found while the service runs; one that is gone is forgotten."""
    world.table("a", files=1)
    service = world.service()
    rounds(service, lambda: codes(service) == {"a": "healthy"})
    world.table("b", files=1)
    time.sleep(1.0)
    rounds(service, lambda: codes(service) == {"a": "healthy", "b": "healthy"})
    for path in sorted((world.root / "lake/a").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    time.sleep(1.0)
    rounds(service, lambda: bool(world.of(Vanished)))
    assert codes(service) == {"b": "healthy"}


def test_rules_change_while_it_runs(world: World) -> None:
    """A right file holds at once, and tables are counted by it; a wrong one is told once and changes nothing."""
    world.table("t")
    world.configure('[[match]]\nglob = "**/t"\nenabled = false\n')
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"t": "disabled"})
    world.configure("windows = 3\n")
    service.round()
    service.round()
    assert [problem.code for problem in world.of(Problem)] == ["config"]
    assert codes(service) == {"t": "disabled"}
    assert service.overview.problems
    world.configure()
    rounds(service, lambda: bool(world.of(RunBegun)))
    assert world.of(RulesReloaded)
    assert not service.overview.problems


def test_the_budget_holds(world: World) -> None:
    """When a day's money is spent, by this or another replica, tables wait for it and say so."""
    world.table("t")
    world.configure("[budget]\nmoney_per_day = 1e-9\n")
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service).get("t") in ("running", "healthy", "budget-of-the-day"))
    begun = world.of(RunBegun)
    assert all(event.part < 1 for event in begun)
    assert sum(event.spend.money for event in begun) <= 1e-9


def test_two_replicas_share(world: World) -> None:
    """What one is running the other leaves alone, and knows where it runs."""
    uri = world.table("t")
    going: list[str] = []

    def slow(_: str) -> Run:
        going.append("x")
        time.sleep(2.0)
        return ended(RunStatus.COMMITTED)

    one = world.service(slow)
    rounds(one, lambda: len(going) == 1)
    one.round()
    two = world.service(slow)
    rounds(two, lambda: codes(two) == {"t": "running"})
    assert "in another replica" in two.overview.tables[uri].why
    assert two.overview.replicas == (one.replica,)
    assert len(going) == 1
    one.stop()
    one.finish()


def test_a_stop_waits_and_then_leaves(world: World) -> None:
    """What ends within the grace is taken in; what does not is interrupted at its next event, or left and named."""
    world.configure(text=FILE.replace('grace = "5s"', 'grace = "1s"'))
    world.table("quick")
    service = world.service(lambda _: (time.sleep(0.4), ended(RunStatus.COMMITTED))[1])
    rounds(service, lambda: len(world.of(RunBegun)) == 1)
    service.stop()
    service.step()
    service.finish()
    assert len(world.of(RunFinished)) == 1
    assert world.of(Stopped) == [Stopped()]


def test_a_run_that_is_interrupted(world: World) -> None:
    """It ends at its next event, with 143."""
    world.configure(text=FILE.replace('grace = "5s"', 'grace = "0s"'))
    uri = world.table("slow")
    service = world.service(lambda _: ended(RunStatus.COMMITTED))

    def tells(_uri: str, _settings: Any, run_id: str, sink: Any) -> Run:
        for _ in range(200):
            time.sleep(0.02)
            sink(None)
        return ended(RunStatus.COMMITTED)

    runner = service.parts.dispatch.runner
    runner.run = tells
    rounds(service, lambda: uri in runner.running())
    service.stop()
    service.finish()
    [event] = world.of(RunFinished)
    assert (event.run.status, event.run.exit_code) == (RunStatus.FAILED, 143)


def test_a_bug_in_a_run_is_a_failed_run(world: World) -> None:
    """The service goes on, and the table backs off."""
    world.table("t")
    service = world.service(lambda _: 1 / 0)  # type: ignore[return-value, arg-type]
    rounds(service, lambda: codes(service) == {"t": "backing-off"})
    [event] = world.of(RunFinished)
    assert "This is a bug in compactor (ZeroDivisionError" in str(event.run.reason)


def test_a_run_gets_its_part_of_the_machine(world: World) -> None:
    """Two at once have half of the memory each, and take the lease."""
    world.table("t")
    given: list[Settings] = []
    service = world.service(lambda _: ended(RunStatus.COMMITTED))

    def noted(_uri: str, settings: Settings, run_id: str, _sink: Any) -> Run:
        given.append(settings)
        return ended(RunStatus.COMMITTED)

    service.parts.dispatch.runner.run = noted
    rounds(service, lambda: bool(given))
    room = service.parts.dispatch.room
    assert given[0].memory == room.run_bytes
    assert given[0].parallelism == room.tasks
    assert given[0].lease == "on"


def test_more_runs_at_once_have_less_each(world: World) -> None:
    """A changed file gives runs their new part of the machine only when none is at work that has more: never too much together."""
    first, going, given = threading.Event(), threading.Event(), list[Settings]()
    world.table("a")
    service = world.service(lambda _: ended(RunStatus.COMMITTED))

    def noted(_uri: str, settings: Settings, run_id: str, _sink: Any) -> Run:
        given.append(settings)
        going.set()
        first.wait(30)
        return ended(RunStatus.COMMITTED)

    service.parts.dispatch.runner.run = noted
    rounds(service, going.is_set)
    world.table("b")
    world.configure(text=FILE.replace("parallel = 2", "parallel = 4"))
    rounds(service, lambda: codes(service).get("b") == "queued")
    service.round()
    assert len(given) == 1
    first.set()
    rounds(service, lambda: len(given) == 2)
    assert given[1].memory is not None and given[0].memory is not None
    assert given[1].memory <= given[0].memory * 0.6  # type: ignore[operator]


def test_what_a_process_is_bound_to_does_not_change(world: World) -> None:
    """Another state would part replicas, and people's pauses, from what runs: the file is refused as a whole until a restart."""
    world.table("t", files=1)
    service = world.service()
    rounds(service, lambda: codes(service) == {"t": "healthy"})
    world.configure(text=FILE.replace("{root}/state", "{root}/elsewhere").replace("quiet_period", "min_input_files = 9\nquiet_period"))
    service.round()
    assert "state: it cannot change while the service runs" in service.overview.problems["config"]
    assert service.parts.file.current.state == str(world.root / "state")
    world.configure()
    service.round()
    assert not service.overview.problems


def test_as_a_process(world: World) -> None:
    """`compactor serve --config FILE`: JSON lines on stdout, a real run, exit code 0 after SIGTERM."""
    for _ in range(8):
        write_deltalake(world.root / "lake/a", pa.table({"v": list(range(10))}), mode="append")
    code = "from compactor_cli.main import main\nmain()"
    command = [sys.executable, "-c", code, "serve", "--config", str(world.file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "RunFinished":
                process.send_signal(signal.SIGTERM)
                break
        lines += [json.loads(line) for line in process.stdout]
        assert process.wait(timeout=60) == 0
    finished = next(line for line in lines if line["event"] == "RunFinished")
    assert (finished["status"], finished["files_removed"], finished["level"]) == ("committed", 8, "info")
    assert lines[-1]["event"] == "Stopped"
    assert verbs.runs(str(world.root / "lake/a"), read_settings(world), None)[0].run.run_id == finished["run_id"]


def read_settings(world: World) -> Any:
    from compactor.service.policies import policy_of

    return policy_of(read_config(world.file), str(world.root / "lake/a"), {}).settings


class FakeQueue:
    """A queue that gives each message until it is done with, and remembers what the state held by then."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.waiting: dict[str, dict[str, int]] = {}
        self.hidden: set[str] = set()
        self.kept_before_done: list[dict[str, int]] = []
        self.fails = False
        self.guard = threading.Lock()

    def take(self, *, wait_s: int = 0) -> Taken:
        """Messages that were taken are hidden until they are done with, or that failed."""
        with self.guard:
            shown = {name: notices for name, notices in self.waiting.items() if name not in self.hidden}
            self.hidden |= shown.keys()
        return Taken(notices=merged_notices(shown), receipts=tuple(shown))

    def done(self, receipts: list[str]) -> None:
        if self.fails:
            self.hidden -= set(receipts)
            raise StorageUnavailable("the queue is away.")
        self.kept_before_done.append(open_shared(read_config(self.world.file)).noted(set()))
        for receipt in receipts:
            self.waiting.pop(receipt)


def merged_notices(waiting: dict[str, dict[str, int]]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for notices in waiting.values():
        newest.update({table: max(version, newest.get(table, -1)) for table, version in notices.items()})
    return newest


def test_notices_are_kept_before_messages_go(world: World) -> None:
    """With a queue only tables that were told of are looked at; a message is deleted when the state has what it says, and not before."""
    world.configure('[events]\nqueue_url = "https://sqs.example/q"\nsweep = "1h"\n')
    told, quiet = world.table("told", files=1), world.table("quiet", files=1)
    queue = FakeQueue(world)
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    service.parts = replace(service.parts, queue=lambda _config: queue)  # type: ignore[arg-type, return-value]
    rounds(service, lambda: codes(service) == {"told": "healthy", "quiet": "healthy"})
    looked = sum(event.looked for event in world.of(RoundEnded))
    service.round()
    assert sum(event.looked for event in world.of(RoundEnded)) == looked
    for uri in (told, quiet):
        write(open_store(uri), 1, [*(add(f"g{number}") for number in range(9)), info()])
    queue.waiting = {"m1": {told: 1, "s3://elsewhere/t": 4}, "m2": {told: 0}}
    queue.fails = True
    service.round()
    assert queue.waiting
    assert [problem.code for problem in world.of(Problem)] == ["queue"]
    assert service.overview.problems
    queue.fails = False
    rounds(service, lambda: any(event.table == told for event in world.of(RunBegun)))
    assert not queue.waiting
    assert queue.kept_before_done[0][told] == 1
    assert not any(event.table == quiet for event in world.of(RunBegun))
    kept = len(queue.kept_before_done)
    service.round()
    queue.waiting = {"m3": {told: 1}}
    before = open_shared(read_config(world.file)).noted(set())
    service.round()
    assert len(queue.kept_before_done) == kept + 1
    assert open_shared(read_config(world.file)).noted(set()) == before


def test_a_state_that_is_away_begins_nothing(world: World) -> None:
    """Nothing is run without a place for its records; it is told once, and goes on when the state is back."""
    world.table("t")
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    shared = service.parts.shared
    report, away = shared.report, [True]

    class Away(Shared):
        def report(self, given: Report) -> None:
            if away:
                raise StorageUnavailable("the state is away.")
            report(given)

    service.parts = replace(service.parts, shared=Away(shared._store, service.parts.ambient))
    for _ in range(3):
        service.round()
    assert not world.of(RunBegun)
    assert [problem.message for problem in world.of(Problem)] == ["the state is away."]
    away.clear()
    rounds(service, lambda: bool(world.of(RunBegun)))
    assert not service.overview.problems


def test_only_partitions_that_are_meant_count(world: World) -> None:
    """Rules with a predicate: other partitions are no reason for a run; an unchanged table is not loaded again for it."""
    uri = world.table("t", files=1)
    world.configure('[[match]]\nglob = "**/t"\nwhere = "p = \'y\'"\n')
    store = open_store(uri)
    write(store, 1, [*(add(f"x{number}", partition="x") for number in range(9)), info()])
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"t": "healthy"})
    loads = sum(event.loaded for event in world.of(RoundEnded))
    service.round()
    assert sum(event.loaded for event in world.of(RoundEnded)) == loads == 1
    write(store, 2, [*(add(f"y{number}", partition="y") for number in range(9)), info()])
    rounds(service, lambda: bool(world.of(RunBegun)))
    assert service.overview.tables[uri].state.standing.files == 9  # type: ignore[union-attr]


def test_a_predicate_that_does_not_fit_is_told(world: World) -> None:
    """The table is named with what is wrong, and nothing else suffers."""
    world.table("t")
    world.table("u", files=1)
    world.configure('[[match]]\nglob = "**/t"\nwhere = "q = 1"\n')
    service = world.service(lambda _: ended(RunStatus.COMMITTED))
    rounds(service, lambda: codes(service) == {"t": "not-looked-at", "u": "healthy"})
    assert not world.of(RunBegun)
