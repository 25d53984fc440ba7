"""What every executor must do, whatever runs its tasks: one outcome a task, failures kept apart, laziness, clean ends."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import tasks as t

from compactor.ambient import SystemClock
from compactor.errors import ExecutionFailed
from compactor.execution.base import Executor
from compactor.execution.local import LocalExecutor
from compactor.execution.serial import SerialExecutor
from compactor.execution.work import MAX_TRIES, Limits, Toolkit
from compactor.model.rewrite import GroupDropped, RewriteResult, RewriteTask, TaskOutcome

if TYPE_CHECKING:
    from compactor.execution.on_ray import RayExecutor

TOOLKIT = Toolkit(worker=t.behave, open_store=t.open_empty)
Make = Callable[..., Executor]


def serial(**limits: float) -> Executor:
    return SerialExecutor(clock=SystemClock(), toolkit=TOOLKIT)


def threads(**limits: float) -> Executor:
    return LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2, **limits), mode="threads", toolkit=TOOLKIT)  # type: ignore[arg-type]


def processes(**limits: float) -> Executor:
    return LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2, **limits), mode="processes", toolkit=TOOLKIT)  # type: ignore[arg-type]


def local(**limits: float) -> Executor:
    """As users get it: threads or processes, as the plan is."""
    return LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2, **limits), toolkit=TOOLKIT)  # type: ignore[arg-type]


def on_ray(**limits: float) -> Executor:
    """On the cluster of the session, which the fixture below starts."""
    from compactor.execution.on_ray import RayExecutor

    return RayExecutor(clock=SystemClock(), limits=Limits(**limits), toolkit=TOOLKIT)  # type: ignore[arg-type]


RAY = pytest.param(on_ray, marks=pytest.mark.ray)
ALL = [serial, threads, processes, local, RAY]
KILLABLE = [processes, RAY]
PARALLEL = [threads, processes, RAY]


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayExecutor]:
    """One local cluster for the session, in its own folder; executors without an address find this process connected and use it."""
    from compactor.execution.on_ray import RayExecutor

    owner = RayExecutor(clock=SystemClock(), limits=Limits(memory_bytes=512 * t.MIB, parallelism=2), toolkit=TOOLKIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(t.__file__).parents[1]))  # the workers load this file's tasks by name
        owner.capacity()
    yield owner
    owner.close()


@pytest.fixture(autouse=True)
def cluster_when_needed(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("ray"):
        request.getfixturevalue("ray_cluster")


@pytest.fixture(params=ALL, ids=lambda make: make.__name__)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made: Executor = request.param()
    yield made
    made.close()


def by_group(outcomes: list[TaskOutcome]) -> dict[int, TaskOutcome]:
    assert len({outcome.group_id for outcome in outcomes}) == len(outcomes), "a group has two outcomes"
    return {outcome.group_id: outcome for outcome in outcomes}


def run(executor: Executor, root: Path, *behaviours: str, size_bytes: int = 64 * t.MIB) -> dict[int, TaskOutcome]:
    return by_group(list(executor.run(t.job(root), t.tasks(behaviours, size_bytes))))


def test_one_outcome_for_each_task(executor: Executor, tmp_path: Path) -> None:
    """Every task has exactly one outcome, whatever the order of completion."""
    outcomes = run(executor, tmp_path, *["ok"] * 20)
    assert sorted(outcomes) == list(range(20))
    assert all(isinstance(outcome, RewriteResult) for outcome in outcomes.values())


def test_no_tasks(executor: Executor, tmp_path: Path) -> None:
    """Nothing to run is nothing done."""
    assert run(executor, tmp_path) == {}


def test_a_failure_stays_its_own(executor: Executor, tmp_path: Path) -> None:
    """A group that fails is dropped with its reason; the groups beside it are rewritten."""
    outcomes = run(executor, tmp_path, "ok", "raise", "corrupt", "ok", "storage", "memory", "drop", "ok")
    reasons = {group: outcome.reason for group, outcome in outcomes.items() if isinstance(outcome, GroupDropped)}
    assert reasons == {1: "failed", 2: "corrupt-file", 4: "storage", 5: "out-of-memory", 6: "unsupported-file"}
    assert sum(isinstance(outcome, RewriteResult) for outcome in outcomes.values()) == 3


def test_a_failed_group_is_not_tried_again(executor: Executor, tmp_path: Path) -> None:
    """An error of the work itself is final: only lost workers earn another attempt."""
    run(executor, tmp_path, "raise")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["g0.raise-a0.began"]


def test_tasks_are_taken_lazily(executor: Executor, tmp_path: Path) -> None:
    """A plan of a million groups is never held in memory: tasks are taken a bounded number ahead of outcomes."""
    taken = 0

    def endless() -> Iterator[RewriteTask]:
        nonlocal taken
        while True:
            taken += 1
            yield t.task(taken, size_bytes=64 * t.MIB)

    outcomes = executor.run(t.job(tmp_path), endless())
    try:
        for finished in range(1, 6):
            next(outcomes)
            assert taken <= finished + 16
    finally:
        outcomes.close()  # type: ignore[attr-defined]


def test_an_executor_serves_several_jobs(executor: Executor, tmp_path: Path) -> None:
    """A second run on the same executor uses the second job."""
    for name in ("first", "second"):
        root = tmp_path / name
        root.mkdir()
        run(executor, root, "ok", "ok")
        assert len(list(root.glob("*.done"))) == 2


def test_capacity_is_positive(executor: Executor) -> None:
    """An executor says how much it offers before anything is planned."""
    capacity = executor.capacity()
    assert capacity.parallelism >= 1
    assert capacity.memory_per_task_bytes >= 1


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_an_error_of_the_source_comes_through(make: Make, tmp_path: Path) -> None:
    """When the plan cannot be read on, the caller hears of it and nothing keeps running."""
    executor = make()

    def broken() -> Iterator[RewriteTask]:
        yield t.task(0)
        raise RuntimeError("the plan ends here")

    with pytest.raises(RuntimeError, match="plan ends"):
        list(executor.run(t.job(tmp_path), broken()))
    executor.close()


@pytest.mark.parametrize("make", PARALLEL, ids=lambda make: make.__name__)
def test_closing_early_leaves_nothing_running(make: Make, tmp_path: Path) -> None:
    """Closing the iterator ends the tasks that run, and nothing of them is written afterwards."""
    executor = make()
    outcomes = executor.run(t.job(tmp_path), t.tasks(["ok", "sleep", "sleep", "sleep"]))
    next(outcomes)
    wait_for(lambda: list(tmp_path.glob("*sleep*.began")))
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    executor.close()
    assert time.monotonic() - began < 40  # they would sleep for 60
    assert not list(tmp_path.glob("*sleep*.done"))
    if make is not threads:  # an idle worker of the cluster may live on, one that was cut off may not
        wait_for(lambda: not any(alive(int(file.read_text() or 0)) for file in tmp_path.glob("*sleep*.began")))


@pytest.mark.parametrize("make", PARALLEL, ids=lambda make: make.__name__)
def test_a_deadline_ends_a_task(make: Make, tmp_path: Path) -> None:
    """A task that runs too long is dropped as such; the others are not harmed."""
    executor = make(deadline_s=1.0 if make is threads else 15.0)  # a worker's start counts
    outcomes = run(executor, tmp_path, "sleep", "ok", "ok", "ok")
    executor.close()
    late = outcomes.pop(0)
    assert isinstance(late, GroupDropped)
    assert late.reason == "deadline"
    assert all(isinstance(outcome, RewriteResult) for outcome in outcomes.values())
    assert not list(tmp_path.glob("*sleep*.done"))


@pytest.mark.parametrize("make", KILLABLE, ids=lambda make: make.__name__)
def test_a_killed_worker_costs_one_attempt(make: Make, tmp_path: Path) -> None:
    """A worker killed in its task loses that attempt; the next runs under another number, and the other groups are untouched."""
    executor = make()
    outcomes = run(executor, tmp_path, "ok", "kill-once", "ok", "ok")
    executor.close()
    attempts = {group: outcome.attempt for group, outcome in outcomes.items() if isinstance(outcome, RewriteResult)}
    assert attempts == {0: 0, 1: 1, 2: 0, 3: 0}


@pytest.mark.parametrize("make", KILLABLE, ids=lambda make: make.__name__)
def test_a_group_that_kills_its_workers_is_dropped(make: Make, tmp_path: Path) -> None:
    """After the cap of attempts the group is dropped as lost; the run goes on."""
    executor = make()
    outcomes = run(executor, tmp_path, "kill", "ok", "ok", "exit")
    executor.close()
    reasons = {group: outcome.reason for group, outcome in outcomes.items() if isinstance(outcome, GroupDropped)}
    assert reasons == {0: "worker-lost", 3: "worker-lost"}
    begun = [file.read_text().splitlines() for file in tmp_path.glob("*.kill-a*.began")]
    assert [len(pids) for pids in begun] == [1] * MAX_TRIES, "an attempt was begun twice under one name"


@pytest.mark.parametrize("make", [processes], ids=lambda make: make.__name__)
def test_a_store_that_cannot_be_opened_drops_the_group(make: Make, tmp_path: Path) -> None:
    """A worker that cannot reach the store says so for each group instead of dying."""
    executor = LocalExecutor(
        clock=SystemClock(), limits=Limits(parallelism=1), mode="processes", toolkit=Toolkit(worker=t.behave, open_store=t.no_store)
    )
    outcomes = run(executor, tmp_path, "ok", "ok")
    executor.close()
    assert {o.reason for o in outcomes.values() if isinstance(o, GroupDropped)} == {"storage"}


def test_processes_cannot_reach_a_memory_store() -> None:
    """A root in memory is refused by processes in one sentence."""
    executor = LocalExecutor(clock=SystemClock(), mode="processes", toolkit=TOOLKIT)
    with pytest.raises(ExecutionFailed, match="memory of this process"):
        executor.run(t.job("memory://table"), t.tasks(["ok"]))


@pytest.mark.ray
def test_ray_says_at_once_what_no_node_can_hold(tmp_path: Path) -> None:
    """Memory beyond every node is an error with both numbers, never a task that waits forever."""
    from compactor.execution.on_ray import RayExecutor

    greedy = RayExecutor(clock=SystemClock(), limits=Limits(memory_bytes=64 * 1024**4), toolkit=TOOLKIT)
    with pytest.raises(ExecutionFailed, match=r"64\.0 TiB.*offers 1\.0 GiB"):
        greedy.capacity()
    with pytest.raises(ExecutionFailed, match=r"Group 7 needs 2\.0 TiB"):
        list(on_ray().run(t.job(tmp_path), [t.task(7, memory_bytes=2 * 1024**4)]))


@pytest.mark.ray
def test_ray_workers_load_little(ray_cluster: RayExecutor, tmp_path: Path) -> None:
    """A worker of the cluster starts fast and can harm little: none of the driver's heavy libraries is loaded in it."""
    (outcome,) = ray_cluster.run(t.job(tmp_path), [t.task(0, "modules")])
    assert isinstance(outcome, RewriteResult)
    loaded = set(outcome.outputs[0].key.split())
    assert "compactor.execution.work" in loaded
    assert not loaded & {"ray.data", "deltalake", "typer", "boto3", "pydantic_settings", "pandas"}


@pytest.mark.ray
def test_ray_runs_tiny_groups_together(ray_cluster: RayExecutor, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Tiny groups share a remote task; one that kills its worker does not take the others along, nor does Ray speak on stdout of it."""
    outcomes = run(ray_cluster, tmp_path, *["ok"] * 10, "kill", *["ok"] * 10, size_bytes=t.MIB)
    assert {group for group, outcome in outcomes.items() if isinstance(outcome, GroupDropped)} == {10}
    assert len(outcomes) == 21
    assert len({file.read_text() for file in tmp_path.glob("g?.ok-a0.began")}) == 1
    assert "(raylet)" not in capfd.readouterr().out


@pytest.mark.ray
def test_ray_does_not_join_two_clusters(ray_cluster: RayExecutor) -> None:
    """A process that is in one cluster is not silently used for another that was named."""
    from compactor.execution.on_ray import RayExecutor

    other = RayExecutor(clock=SystemClock(), address="192.0.2.99:6379", toolkit=TOOLKIT)
    with pytest.raises(ExecutionFailed, match=r"192\.0\.2\.99:6379"):
        other.capacity()


@pytest.mark.ray
def test_ray_that_began_in_the_background_is_as_any_other(ray_cluster: RayExecutor, tmp_path: Path) -> None:
    """What was begun early runs tasks; what went wrong meanwhile is said by whoever needs the cluster, and closing after it is quiet."""
    from compactor.execution.on_ray import RayExecutor

    begun = on_ray()
    begun.begin()
    begun.begin()
    assert isinstance(next(iter(begun.run(t.job(tmp_path), [t.task(0)]))), RewriteResult)
    other = RayExecutor(clock=SystemClock(), address="192.0.2.99:6379", toolkit=TOOLKIT)
    other.begin()
    with pytest.raises(ExecutionFailed, match=r"192\.0\.2\.99:6379"):
        other.capacity()
    other.close()


_EARLY = """
import sys
from pathlib import Path
from support import tasks as t
from compactor.ambient import SystemClock
from compactor.execution.on_ray import RayExecutor
from compactor.execution.work import Limits, Toolkit

toolkit = Toolkit(worker=t.behave, open_store=t.open_empty)
executor = RayExecutor(clock=SystemClock(), limits=Limits(memory_bytes=256 * t.MIB, parallelism=2), toolkit=toolkit)
executor.begin()
assert executor.capacity().parallelism == 2
assert executor._connection.starting

def tasks():
    number = later = 0
    while later < 30:
        later += executor._connection.there
        yield t.task(number, "doze", size_bytes=64 * t.MIB)
        number += 1

for outcome in executor.run(t.job(Path(sys.argv[1])), tasks()):
    print(outcome.group_id, type(outcome).__name__)
executor.close()
"""


@pytest.mark.ray
def test_work_begins_before_a_cluster_of_the_run_s_own_is_there(tmp_path: Path) -> None:
    """Worker processes take groups while the cluster starts, which takes the rest: each group is done once, never more at once than there
    is room for."""
    support = Path(t.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{support}:{support.parent}"}
    command = [sys.executable, "-c", _EARLY, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    began = {file.stem: file for file in tmp_path.glob("*.began")}
    assert len(began) > 30, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(f"{i} RewriteResult" for i in range(len(began)))
    assert sorted(began) == sorted(f"g{i}.doze-a0" for i in range(len(began)))
    workers = {name: file.read_text().split() for name, file in began.items()}
    assert workers["g0.doze-a0"] != workers[f"g{len(began) - 1}.doze-a0"]
    spans = [(file.stat().st_mtime_ns, file.with_suffix(".done").stat().st_mtime_ns) for file in began.values()]
    assert max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) == 2


_BEGUN = """
import sys, time
from pathlib import Path
from support import tasks as t
from compactor.ambient import SystemClock
from compactor.execution.on_ray import RayExecutor
from compactor.execution.work import Limits, Toolkit

toolkit = Toolkit(worker=t.behave, open_store=t.open_empty)
executor = RayExecutor(clock=SystemClock(), limits=Limits(memory_bytes=256 * t.MIB, parallelism=1), toolkit=toolkit)
executor.begin()
executor.capacity()
time.sleep(1)
(outcome,) = executor.run(t.job(Path(sys.argv[1])), [t.task(0)])
executor.close()
print(type(outcome).__name__)
"""


@pytest.mark.ray
def test_a_cluster_that_began_in_the_background_lives_until_it_is_closed(tmp_path: Path) -> None:
    """What Ray starts is tied to the thread that starts it; the cluster is there for tasks long after that thread has done its work."""
    support = Path(t.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{support}:{support.parent}"}
    command = [sys.executable, "-c", _BEGUN, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["RewriteResult"], done.stderr


@pytest.mark.ray
def test_ray_asks_for_more_memory_after_a_kill_for_it(ray_cluster: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose worker Ray killed for its memory is tried again with twice as much asked for; with a whole node to itself it is not
    tried again as it was, but handed back as out of memory, for whoever can split it."""
    import ray

    killed = kills(monkeypatch, times=3)
    (outcome,) = on_ray().run(t.job(tmp_path), [t.task(0, memory_bytes=300 * t.MIB)])
    assert isinstance(outcome, GroupDropped)
    assert outcome.reason == "out-of-memory"
    assert "1.0 GiB to itself" in outcome.detail
    assert len(killed) == 3, "300 MiB, 600 MiB, 1 GiB"
    assert len(list(tmp_path.glob("*.began"))) == 3
    assert ray.is_initialized()


@pytest.mark.ray
def test_ray_that_says_its_object_store_is_full(ray_cluster: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store without room ends the run with one sentence."""
    import ray

    def full(_value: object) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room")

    monkeypatch.setattr(ray, "put", full)
    with pytest.raises(ExecutionFailed, match="object store of the Ray cluster at local is full"):
        list(on_ray().run(t.job(tmp_path), [t.task(0)]))


@pytest.mark.ray
def test_ray_that_is_gone_ends_the_run_and_not_the_process(
    ray_cluster: RayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the driver's own node is gone, Ray raises SystemExit(0): that ends the run with one sentence, never the process as if all were
    well."""
    import ray

    def gone(*_arguments: object, **_options: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(ray, "wait", gone)
    with pytest.raises(ExecutionFailed, match="was lost: the node that this process was connected to is gone"):
        list(on_ray().run(t.job(tmp_path), [t.task(0)]))


def kills(monkeypatch: pytest.MonkeyPatch, times: int) -> list[object]:
    """Ray says of the next so many tasks that they were killed for their memory, once they have ended."""
    import ray

    get, killed = ray.get, []

    def told(reference: object) -> object:
        result = get(reference)
        if len(killed) == times:
            return result
        killed.append(reference)
        raise ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory.")

    monkeypatch.setattr(ray, "get", told)
    return killed


@pytest.mark.parametrize("make", [threads, processes, RAY], ids=lambda make: make.__name__)
def test_the_same_bytes_everywhere(make: Make, tmp_path: Path) -> None:
    """For the same tasks with the same memory bound, every executor writes the very bytes that the serial one writes."""
    wanted = rewritten(SerialExecutor(clock=SystemClock()), tmp_path / "serial")
    executor = {
        "threads": lambda: LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2), mode="threads"),
        "processes": lambda: LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2), mode="processes"),
        "on_ray": on_ray_for_real,
    }[make.__name__]()
    assert rewritten(executor, tmp_path / make.__name__) == wanted
    assert len(wanted) == 4


def on_ray_for_real() -> Executor:
    from compactor.execution.on_ray import RayExecutor

    return RayExecutor(clock=SystemClock())


def rewritten(executor: Executor, root: Path) -> dict[str, str]:
    """Digests of the outputs, by name, of four groups of three files each."""
    job, tasks = t.real_work(root, groups=4, files=3)
    outcomes = by_group(list(executor.run(job, tasks)))
    executor.close()
    assert all(isinstance(outcome, RewriteResult) for outcome in outcomes.values()), outcomes
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (root / "out").iterdir()}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_a_driver_that_dies_leaves_no_workers(how: signal.Signals, tmp_path: Path) -> None:
    """However the driver ends, its worker processes end too, in the middle of their tasks."""
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(Path(t.__file__).parents[1]), str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: sum(bool(file.read_text()) for file in tmp_path.glob("*.began")) == 2)
        driver.send_signal(how)
        driver.wait(timeout=60)
        workers = [int(file.read_text()) for file in tmp_path.glob("*.began")]
        wait_for(lambda: not any(map(alive, workers)))
    finally:
        driver.kill()
        driver.wait()
    assert not list(tmp_path.glob("*.done"))


DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from support import tasks as t
from compactor.ambient import SystemClock
from compactor.execution.local import LocalExecutor
from compactor.execution.work import Limits, Toolkit

toolkit = Toolkit(worker=t.behave, open_store=t.open_empty)
executor = LocalExecutor(clock=SystemClock(), limits=Limits(parallelism=2), mode="processes", toolkit=toolkit)
list(executor.run(t.job(sys.argv[2]), t.tasks(["sleep"] * 4)))
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.01)
