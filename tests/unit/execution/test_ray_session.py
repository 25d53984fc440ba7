"""Runs side by side share this process's one connection to Ray. Ray itself is a stand-in here, which counts."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from compactor.errors import ExecutionFailed
from compactor.execution.ray_session import Connection
from compactor.execution.work import Limits


class Ray:
    """In a cluster or not, since when, and by which thread."""

    def __init__(self) -> None:
        self.joined: list[str] = []
        self.inside = False
        self.down = False
        self.may_start = threading.Event()
        self.may_start.set()
        self.thread = threading.current_thread()

    def init(self, address: str, **_: Any) -> None:
        self.may_start.wait(10)
        if self.down:
            raise ConnectionError("nobody there")
        assert not self.inside
        self.inside, self.thread = True, threading.current_thread()
        self.joined.append(address)

    def shutdown(self) -> None:
        self.inside = False


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    found = Ray()
    module: Any = ModuleType("ray")
    module.init, module.shutdown, module.is_initialized = found.init, found.shutdown, lambda: found.inside
    module.get_runtime_context = lambda: SimpleNamespace(gcs_address="10.0.0.1:6379")
    module.cluster_resources, module.exceptions = dict, SimpleNamespace(RayError=OSError)
    module.remote = lambda **_: lambda work: work
    for name, stand_in in (("ray", module), ("ray._private", ModuleType("ray._private")), ("ray._private.worker", ModuleType("worker"))):
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: socket.socket())
    yield found


def joined(address: str = "ray://head:10001") -> Connection:
    connection = Connection(address, Limits(), None)
    connection.wait()
    return connection


def test_the_last_one_ends_it(ray: Ray) -> None:
    """Two runs make one connection; who ends first leaves the other's alone, and the last one ends it, and the thread that made it."""
    first, second = joined(), joined()
    assert ray.joined == ["ray://head:10001"]
    first.close()
    first.close()
    assert ray.inside and ray.thread.is_alive()
    second.close()
    ray.thread.join(5)
    assert not ray.inside and not ray.thread.is_alive()
    joined().close()
    assert len(ray.joined) == 2


def test_a_lost_cluster_is_joined_anew(ray: Ray) -> None:
    """After a loss the next run makes a new connection, which the end of a run in the old one does not end."""
    old = joined()
    old.lost()
    new = joined()
    assert len(ray.joined) == 2
    old.close()
    assert ray.inside
    new.close()
    assert not ray.inside


def test_a_cluster_that_is_not_there(ray: Ray) -> None:
    """A failure names the address, and is no one's connection: the next run tries again."""
    ray.down = True
    connection = Connection("ray://head:10001", Limits(), None)
    with pytest.raises(ExecutionFailed, match="No Ray cluster at ray://head:10001: nobody there"):
        connection.wait()
    connection.close()
    ray.down = False
    joined().close()
    assert ray.joined == ["ray://head:10001"]


def test_the_program_s_own_cluster_is_left(ray: Ray) -> None:
    """A cluster that the program is in already is used and left as it was; another one cannot be used beside it."""
    ray.inside = True
    joined("auto").close()
    assert ray.inside and not ray.joined
    other = Connection("10.0.0.2:6379", Limits(), None)
    with pytest.raises(ExecutionFailed, match="cannot also use the one at 10"):
        other.wait()
    other.close()


def test_only_the_first_one_knows_its_cluster_before_it_is_there(ray: Ray) -> None:
    """Whose own cluster starts may begin elsewhere meanwhile; who will share one, or joins one that was named, has to wait for it."""
    ray.may_start.clear()
    first, second, named = Connection("local", Limits(), None), Connection("local", Limits(), None), Connection("auto", Limits(), None)
    assert not first.starting
    for connection in (first, second, named):
        connection.begin()
    assert first.starting and not first.there
    assert not second.starting and not named.starting
    ray.may_start.set()
    for connection in (first, second, named):
        connection.wait()
        assert connection.there and not connection.starting
    again = Connection("local", Limits(), None)
    again.begin()
    assert not again.starting
    for connection in (first, second, named, again):
        connection.close()


def test_a_cluster_that_does_not_start_is_not_there(ray: Ray) -> None:
    """A start that failed is neither under way nor there; whoever needs the cluster is told why."""
    ray.down = True
    connection = Connection("local", Limits(), None)
    with pytest.raises(ExecutionFailed, match="No Ray cluster at local: nobody there"):
        connection.wait()
    assert not connection.starting and not connection.there
    connection.close()


def test_an_address_where_nobody_listens_is_told_at_once(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the address; Ray itself, which would try for minutes, is not asked."""

    def refused(place: tuple[str, int], timeout: float) -> None:
        assert (place, timeout < 60) == (("head", 10001), True)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refused)
    for address in ("head:10001", "ray://head:10001", "[head]:10001"):
        connection = Connection(address, Limits(), None)
        with pytest.raises(ExecutionFailed, match=r"No Ray cluster at .*head\]?:10001: .*Connection refused"):
            connection.wait()
        connection.close()
    assert not ray.joined
