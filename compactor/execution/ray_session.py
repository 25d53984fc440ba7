"""How this process comes to a Ray cluster, and how runs side by side share that: a process can be in one cluster only.

    nobody ──the first begins──► in a cluster ──others begin──► shared ──the last one closes──► nobody
                                      └─ it breaks: whoever begins next makes a new one; who is in the old one ends by himself

A cluster takes seconds to start or to join, so that can begin in the background while a run is still planned, and its workers load what
they will need as soon as it is there. A cluster that was not named is never joined: without an address one is started, in its own folder,
and ended with the last run. One that the program had joined itself is used, and left as it was.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from compactor.errors import ExecutionFailed
from compactor.execution.base import Capacity
from compactor.execution.machine import fit, memory_limit, processors, share_of_memory
from compactor.execution.signals import signals_kept
from compactor.execution.work import Limits

LOCAL = "local"
_OBJECT_STORE_BYTES = 128 * 1024 * 1024
_PATIENCE_S = 10.0
_MOST_PREPARED = 32
"""Workers of a cluster that load early what they will need."""


@dataclass(slots=True, eq=False)
class _Session:
    """This process's stay in a cluster. lost: it broke. over: set at its end."""

    address: str
    folder: str | None = None
    users: int = 0
    lost: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """For who holds the lock."""
        import ray

        with signals_kept():
            ray.shutdown()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.over.set()


_lock = threading.Lock()
_current: list[_Session] = []
"""The session that we have made, if any; changed under the lock."""
_door = threading.Lock()
_beginning: set[Connection] = set()
"""Who is on the way into a cluster; changed behind the door, which nobody holds for long."""


def own_cluster(limits: Limits) -> Capacity:
    """What a cluster of our own is given of this machine."""
    wanted = (limits.memory_bytes or memory_limit()) * (limits.parallelism or processors())
    return fit(min(wanted, share_of_memory()), limits.parallelism)


class Connection:
    """One run's part in it."""

    def __init__(self, address: str, limits: Limits, auth_token_path: str | None) -> None:
        """address, auth_token_path: see RayExecutor. limits: for a cluster that is started for the run."""
        self._address, self._limits, self._auth_token_path = address, limits, auth_token_path
        self._beginning: Future[None] | None = None
        self._session: _Session | None = None
        self._alone = False

    def begin(self) -> None:
        """Start or join, in the background."""
        if self._beginning is None:
            self._beginning = Future()
            with _door:
                self._alone = self._address == LOCAL and not _current and not _beginning and not _in_a_cluster()
                _beginning.add(self)
            threading.Thread(target=self._work, args=(self._beginning,), name="ray-start", daemon=True).start()

    def wait(self) -> None:
        """Until it is there. Raises ExecutionFailed."""
        self.begin()
        assert self._beginning is not None
        self._beginning.result()

    @property
    def starting(self) -> bool:
        """Whether a cluster of this run's own, so of the size that own_cluster says, has begun to start and is not there yet."""
        return self._alone and self._beginning is not None and not self._beginning.done()

    @property
    def there(self) -> bool:
        """Whether there is a cluster to send tasks to."""
        return self._beginning is not None and self._beginning.done() and self._beginning.exception() is None

    def lost(self) -> None:
        """The cluster does not answer any more."""
        if self._session is not None:
            self._session.lost = True

    def close(self) -> None:
        """Leave; the last one ends the session."""
        if self._beginning is None:
            return
        wait([self._beginning])
        self._beginning = None
        session, self._session = self._session, None
        if session is None:
            return
        with _lock:
            session.users -= 1
            if session.users == 0 and session in _current:
                _current.clear()
                session.end()

    def _work(self, beginning: Future[None]) -> None:
        """HAZARD: the kernel kills what Ray has started when the thread that started it ends, so that one stays until the session's end."""
        made = None
        try:
            with _lock:
                made = self._enter()
            if made is not None:
                _prepare_workers(self._limits.parallelism)
            beginning.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it is told to whoever needs the cluster first
            beginning.set_exception(error)
        finally:
            with _door:
                _beginning.discard(self)
        if made is not None:
            made.over.wait()

    def _enter(self) -> _Session | None:
        """The session, when this made it. Raises ExecutionFailed."""
        if self._auth_token_path is not None:
            # Ray turns token mode on by itself when it finds a token; RAY_AUTH_MODE set after Ray was imported would only half take effect.
            os.environ["RAY_AUTH_TOKEN_PATH"] = self._auth_token_path
        import ray

        if _current and _current[0].lost:
            _current.pop().end()
        made = None
        if ray.is_initialized():
            self._check_address()
        else:
            made = self._make()
            _current[:] = [made]
        if _current:
            self._session = _current[0]
            self._session.users += 1
        return made

    def _make(self) -> _Session:
        session = _Session(address=self._address)
        try:
            with signals_kept():
                self._join() if self._address != LOCAL else self._start(session)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            session.end()
            raise ExecutionFailed(f"No Ray cluster at {self._address}: {first_line(error)}") from error
        _keep_stdout_clean()
        return session

    def _check_address(self) -> None:
        """This process is in a cluster already (another run, or its program, brought it there): use it, unless another one was named."""
        import ray

        if _current and _current[0].address == self._address:
            return
        here = str(ray.get_runtime_context().gcs_address)
        if ":" in self._address and not self._address.startswith("ray://") and self._address != here:
            raise ExecutionFailed(f"This process is connected to the Ray cluster at {here} and cannot also use the one at {self._address}.")

    def _join(self) -> None:
        import ray

        _knock(self._address)
        logging.getLogger("ray").setLevel(logging.ERROR)
        ray.init(address=self._address, log_to_driver=False, configure_logging=False)

    def _start(self, session: _Session) -> None:
        """A cluster of our own on this machine, in its own folder; with a token where Ray has that by default."""
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        logging.getLogger("ray").setLevel(logging.ERROR)
        session.folder = tempfile.mkdtemp(prefix="compactor-ray-")
        here = own_cluster(self._limits)
        ray.init(
            address=LOCAL,
            num_cpus=here.parallelism,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=session.folder,
            _memory=here.parallelism * here.memory_per_task_bytes,
        )


def _knock(address: str) -> None:
    """Raises OSError when nobody listens at `host:port`, which Ray would go on to try for many minutes, with warnings of its own."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()


def _in_a_cluster() -> bool:
    """Whether the program had joined one itself."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(getattr(ray, "is_initialized", bool)())


def _prepare_workers(parallelism: int | None) -> None:
    """Have workers load what tasks need. Nobody waits for that, and where it fails the tasks will say why."""
    import ray

    def prepare() -> None:
        """HAZARD: travels by value, being local, so that it ends well on workers that lack this package."""
        with suppress(Exception):
            from compactor.execution.on_ray import load

            load()

    with suppress(ray.exceptions.RayError, ConnectionError):
        slots = int(ray.cluster_resources().get("CPU", 0))
        remote = ray.remote(num_cpus=1, max_retries=0)(prepare)
        for _ in range(min(slots, parallelism or slots, _MOST_PREPARED)):
            remote.remote()


def _keep_stdout_clean() -> None:
    """Ray prints what it has to say of dead workers to stdout, which belongs to the caller's data; send it to stderr.

    This reaches into Ray, as there is no setting for it; where Ray has changed, its messages stay where it puts them.
    """
    import ray._private.worker as inside

    show = getattr(inside, "print_to_stdstream", None)
    if callable(show) and not getattr(show, "to_stderr", False):

        def to_stderr(data: dict[str, Any], **options: Any) -> None:
            show({**data, "is_err": True}, **options)

        to_stderr.to_stderr = True  # type: ignore[attr-defined]
        inside.print_to_stdstream = to_stderr


def first_line(error: BaseException) -> str:
    """Of what it says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
