"""The Ray executor: groups as plain remote tasks of a Ray cluster. Ray is imported only once it is used.

A task carries a description, never data: the job is put into the object store once, results are small, every worker opens the table's store
by itself. Ray's own retries are off; a lost worker, a dead node or an out-of-memory kill costs one of our attempts, and memory is
reserved per task after it was checked against the nodes (Ray would wait forever for memory that no node has). A task that was cut off
may go on writing for a while: each attempt has its own output names and only the driver commits.

How this process comes to a cluster is in ray_session.py. While one of the run's own starts, worker processes do what is to be done
(meanwhile.py): it is on the same machine, and has no more room than they have. On remote clusters this package must be installed in the
workers' image, in the driver's version.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from compactor.ambient.ports import Clock
from compactor.errors import ExecutionFailed
from compactor.execution.base import Capacity
from compactor.execution.batches import Batch, batches
from compactor.execution.machine import SAFE_SHARE
from compactor.execution.meanwhile import Meanwhile
from compactor.execution.processes import ProcessPool
from compactor.execution.ray_session import LOCAL, Connection, first_line, own_cluster
from compactor.execution.work import Attempt, Limits, Toolkit, deadline_drop, dropped_by, perform
from compactor.model.rewrite import GroupDropped, RewriteJob, RewriteTask, TaskOutcome
from compactor.units import format_bytes

_CANCEL_ROUNDS = 20
_CANCEL_ROUND_S = 0.5


@dataclass(slots=True, eq=False)
class _Flight:
    """A batch on its way. Its deadline starts when the cluster has room for it, as far as the driver can tell."""

    batch: Batch
    ends_s: float | None = None


@dataclass(slots=True)
class _Sortie:
    """The state of one run(). `remote`, `shared` and `largest` (bytes of memory of the largest node) are there once the cluster is."""

    waiting: Iterator[Batch]
    slots: int
    remote: Any = None
    shared: Any = None
    largest: int = 0
    again: list[Batch] = field(default_factory=list)
    flights: dict[Any, _Flight] = field(default_factory=dict)

    def next(self) -> Batch | None:
        return self.again.pop() if self.again else next(self.waiting, None)

    def at_an_end(self) -> bool:
        """Whether nothing is under way or to be done."""
        if not self.flights and (batch := self.next()) is not None:
            self.again.append(batch)
        return not self.flights and not self.again


class RayExecutor:
    """Tasks on a Ray cluster."""

    def __init__(
        self,
        *,
        clock: Clock,
        address: str | None = None,
        limits: Limits | None = None,
        auth_token_path: str | None = None,
        toolkit: Toolkit | None = None,
    ) -> None:
        """`address`: `host:port`, `auto` (RAY_ADDRESS or this machine's cluster), `ray://…`, or `local`/None for one of our own.

        `auth_token_path`: the file with the cluster's token; default Ray's own places (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray).
        """
        self._clock = clock
        self._address = address or LOCAL
        self._limits = limits or Limits()
        self._toolkit = toolkit or Toolkit()
        self._connection = Connection(self._address, self._limits, auth_token_path)

    @property
    def name(self) -> str:
        return "ray"

    def begin(self) -> None:
        self._connection.begin()

    def wait(self) -> None:
        """Until this process is in the cluster. Raises ExecutionFailed."""
        self._connection.wait()

    def capacity(self) -> Capacity:
        nodes = self._nodes()
        cpus = sum(int(node["CPU"]) for node in nodes)
        if not cpus:
            raise ExecutionFailed(f"The Ray cluster at {self._address} has no node with a free-standing CPU; start at least one worker.")
        largest = _largest(nodes)
        wanted = self._limits.memory_bytes
        if wanted and wanted > largest:
            raise ExecutionFailed(
                f"A task may use {format_bytes(wanted)}, but the largest node of the Ray cluster at {self._address} "
                f"offers {format_bytes(largest)}."
            )
        memory = wanted or int(min(node["memory"] / max(1, node["CPU"]) for node in nodes) * SAFE_SHARE)
        room = sum(min(int(node["CPU"]), int(node["memory"] // memory)) for node in nodes)
        return Capacity(parallelism=max(1, min(room, self._limits.parallelism or room)), memory_per_task_bytes=memory)

    def run(self, job: RewriteJob, tasks: Iterable[RewriteTask]) -> Generator[TaskOutcome]:
        if job.root_uri.startswith("memory:"):
            raise ExecutionFailed(f"{job.root_uri} lives in the memory of this process; a Ray cluster cannot reach it.")
        waiting = iter(tasks)
        sortie = _Sortie(waiting=batches(waiting), slots=self.capacity().parallelism)
        try:
            if self._connection.starting:
                yield from self._meanwhile(job, waiting, sortie)
            if not sortie.at_an_end():
                self._connection.wait()
                with self._connected(sortie):
                    yield from self._fly(job, sortie)
        finally:
            _cancel(list(sortie.flights))

    def _meanwhile(self, job: RewriteJob, waiting: Iterator[RewriteTask], sortie: _Sortie) -> Generator[TaskOutcome]:
        def hand_over(busy: int) -> None:
            if self._connection.there:
                with self._connected(sortie):
                    self._fill(job, sortie, sortie.slots - busy)

        pool = ProcessPool(size=sortie.slots, toolkit=self._toolkit, clock=self._clock, deadline_s=self._limits.deadline_s)
        yield from Meanwhile(pool, waiting, lambda: self._connection.starting, hand_over).run(job)

    def _fly(self, job: RewriteJob, sortie: _Sortie) -> Generator[TaskOutcome]:
        bound = self._limits.parallelism or 2 * sortie.slots
        while True:
            self._fill(job, sortie, bound)
            if not sortie.flights:
                return
            yield from self._completed(sortie)

    def _fill(self, job: RewriteJob, sortie: _Sortie, bound: int) -> None:
        """Send batches until so many are under way."""
        import ray

        if sortie.remote is None:
            sortie.largest = _largest(self._nodes())
            sortie.remote = ray.remote(perform_batch)
            sortie.shared = ray.put((self._toolkit, job))
        while len(sortie.flights) < bound and (batch := sortie.next()) is not None:
            self._send(sortie, batch)

    @contextmanager
    def _connected(self, sortie: _Sortie) -> Iterator[None]:
        """What the cluster's own failures are to a run. Raises ExecutionFailed."""
        import ray

        try:
            yield
        except ray.exceptions.ObjectStoreFullError as error:
            raise ExecutionFailed(f"The object store of the Ray cluster at {self._address} is full: {first_line(error)}") from error
        except (ray.exceptions.RaySystemError, ConnectionError) as error:
            sortie.flights.clear()  # nobody is left who could be told to stop
            self._connection.lost()
            raise ExecutionFailed(f"The Ray cluster at {self._address} was lost: {first_line(error)}") from error

    def close(self) -> bool:
        self._connection.close()
        return False  # a worker elsewhere may go on for a while

    def _send(self, sortie: _Sortie, batch: Batch) -> None:
        memory = batch.memory_bytes
        if memory > sortie.largest:
            raise ExecutionFailed(
                f"Group {batch.attempts[0].task.group_id} needs {format_bytes(memory)} of memory, but the largest node of the Ray "
                f"cluster at {self._address} offers {format_bytes(sortie.largest)}."
            )
        options = sortie.remote.options(num_cpus=1, memory=memory, max_retries=0, name=f"rewrite-{batch.attempts[0].task.group_id}")
        sortie.flights[options.remote(sortie.shared, [attempt.task for attempt in batch.attempts])] = _Flight(batch)

    def _completed(self, sortie: _Sortie) -> Generator[TaskOutcome]:
        """Waits for the next completion or deadline; yields what it brings, puts lost attempts into `again`."""
        import ray

        now_s = self._clock.monotonic_s()
        for flight in islice(sortie.flights.values(), sortie.slots):
            flight.ends_s = flight.ends_s or now_s + self._limits.deadline_s
        nearest = min(flight.ends_s for flight in sortie.flights.values() if flight.ends_s)
        with _not_ending_the_process():
            ready, _ = ray.wait(list(sortie.flights), timeout=max(0.01, nearest - now_s), fetch_local=True)
        outcomes = [outcome for reference in ready for outcome in self._landed(reference, sortie)]
        now_s = self._clock.monotonic_s()
        late = [reference for reference, flight in sortie.flights.items() if flight.ends_s and flight.ends_s <= now_s]
        _cancel(late)
        for reference in late:
            outcomes.extend(self._late(sortie, sortie.flights.pop(reference).batch))
        yield from outcomes

    def _landed(self, reference: Any, sortie: _Sortie) -> Generator[TaskOutcome]:
        import ray

        batch = sortie.flights.pop(reference).batch
        try:
            with _not_ending_the_process():
                outcomes: list[TaskOutcome] = ray.get(reference)
            yield from outcomes
        except ray.exceptions.RayTaskError as error:
            raise ExecutionFailed(
                f"A worker of the Ray cluster at {self._address} cannot run tasks ({_last_line(error)}); is this package installed "
                "there in the same version?"
            ) from error
        except ray.exceptions.RaySystemError:
            raise
        except ray.exceptions.OutOfMemoryError as error:
            if len(batch.attempts) == 1 and batch.memory_bytes >= sortie.largest:
                yield _too_large(batch.attempts[0].task, sortie.largest, error)  # whoever splits groups has other ways than the same again
            else:
                yield from self._lost(sortie, _with_more_memory(batch, sortie.largest), "out-of-memory", error)
        except ray.exceptions.RayError as error:
            yield from self._lost(sortie, batch, "worker-lost", error)

    def _lost(self, sortie: _Sortie, batch: Batch, reason: str, error: Exception) -> Iterator[GroupDropped]:
        """The next attempt of each group, alone, so that one bad group cannot take its neighbours along again."""
        for attempt in batch.attempts:
            follow = attempt.after_loss(reason, first_line(error))
            if isinstance(follow, Attempt):
                sortie.again.append(Batch(attempts=(follow,)))
            else:
                yield follow

    def _late(self, sortie: _Sortie, batch: Batch) -> Iterator[GroupDropped]:
        if len(batch.attempts) == 1:
            yield deadline_drop(batch.attempts[0].task, self._limits.deadline_s)
            return
        for attempt in batch.attempts:
            follow = attempt.after_loss("deadline", "its batch ran too long")
            if isinstance(follow, Attempt):
                sortie.again.append(Batch(attempts=(follow,)))
            else:
                yield follow

    def _nodes(self) -> list[dict[str, float]]:
        """Resources of the nodes that can run a task."""
        if self._connection.starting:
            here = own_cluster(self._limits)
            return [{"CPU": here.parallelism, "memory": here.parallelism * here.memory_per_task_bytes}]
        self._connection.wait()
        import ray

        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return [resources for resources in alive if resources.get("CPU", 0) >= 1 and resources.get("memory", 0) > 0]


@contextmanager
def _not_ending_the_process() -> Iterator[None]:
    """HAZARD: where its own node is gone, Ray raises SystemExit(0) in the driver, which would end a run half-way as if it had succeeded."""
    try:
        yield
    except SystemExit as error:
        raise ConnectionError("the node that this process was connected to is gone") from error


def perform_batch(shared: tuple[Toolkit, RewriteJob], tasks: Sequence[RewriteTask]) -> list[TaskOutcome]:
    """What runs on a worker of the cluster: the tasks of a batch one after the other, each with its own outcome."""
    from compactor.ambient.system import SystemClock

    load()
    toolkit, job = shared
    try:
        store = toolkit.open_store(job.root_uri, job.storage)
    except Exception as error:  # noqa: BLE001 - becomes the outcome of each group
        return [dropped_by(task, error) for task in tasks]
    clock = SystemClock()
    return [perform(toolkit, job, task, store, clock) for task in tasks]


def load() -> None:
    """Load in a worker what tasks need, and leave what they do without."""
    from compactor.ambient.lean import leave_pandas

    leave_pandas()
    import compactor.execution.worker  # noqa: F401


def _cancel(references: list[Any]) -> None:
    """Kill what runs and wait until it has ended, as far as the cluster answers.

    A cancel that meets a task on its way to a worker can get lost, so it is repeated; the latest go first, as they would start next.
    """
    if not references:
        return
    import ray

    left = references[::-1]
    try:
        for _ in range(_CANCEL_ROUNDS):
            for reference in left:
                ray.cancel(reference, force=True)
            _, left = ray.wait(left, num_returns=len(left), timeout=_CANCEL_ROUND_S)
            if not left:
                return
    except (ray.exceptions.RayError, ConnectionError) as error:
        logging.getLogger(__name__).warning("Ray tasks could not be cancelled: %s", first_line(error))


def _with_more_memory(batch: Batch, largest: int) -> Batch:
    """Twice the reservation, up to what the largest node has. The task's own bound, and so its output, stays as it was."""
    reserve = min(largest, 2 * batch.memory_bytes)
    return Batch(attempts=tuple(replace(attempt, reserve_bytes=reserve) for attempt in batch.attempts))


def _too_large(task: RewriteTask, largest: int, error: Exception) -> GroupDropped:
    detail = f"Group {task.group_id} was killed for its memory with {format_bytes(largest)} to itself: {first_line(error)}"
    return GroupDropped(group_id=task.group_id, reason="out-of-memory", detail=detail)


def _largest(nodes: list[dict[str, float]]) -> int:
    return max((int(node["memory"]) for node in nodes), default=0)


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
