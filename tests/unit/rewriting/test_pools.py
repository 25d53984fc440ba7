"""Threads beside a task's own: only while a processor idles, and never with another outcome."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.rewriting import job_of, put, rewritten, run

import compactor.ambient.cores as cores
from compactor.ambient.cores import PipeCores, ThreadCores, offer, threads_for
from compactor.rewriting.pools import beside
from compactor.storage import open_store
from compactor.storage.memory import MemoryStore


@pytest.fixture(autouse=True)
def nothing_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test offers its own processors."""
    monkeypatch.setattr(cores, "_offered", cores._NoCores())


@pytest.fixture(params=["threads", "pipe"])
def two(request: pytest.FixtureRequest) -> Iterator[ThreadCores | PipeCores]:
    """Two processors, counted within a process or across processes."""
    made = ThreadCores(2) if request.param == "threads" else PipeCores.fresh(2)
    yield made
    if isinstance(made, PipeCores):
        made.close()


def test_a_processor_is_taken_once(two: ThreadCores | PipeCores) -> None:
    """No more are given out than there are, and what is given back can be taken again."""
    assert [two.take() for _ in range(3)] == [True, True, False]
    two.give()
    assert [two.take(), two.take()] == [True, False]


def test_a_closed_pipe_gives_nothing() -> None:
    """A worker whose driver took the pipe away goes on by itself."""
    pipe = PipeCores.fresh(1)
    pipe.close()
    assert not pipe.take()
    pipe.give()


def test_a_task_works_in_two_threads_only_while_a_processor_idles(tmp_path: Path, two: ThreadCores | PipeCores) -> None:
    """What a task submits runs beside it while one of two processors idles, in its own thread when another task holds it."""
    offer(two)
    store, here = open_store(str(tmp_path)), threading.get_ident()
    with beside(store) as alone:
        assert alone.submit(threading.get_ident).result() != here
        with beside(store) as second:
            assert alone.submit(threading.get_ident).result() == here
            assert second.submit(threading.get_ident).result() == here
        assert alone.submit(threading.get_ident).result() != here
    assert [two.take() for _ in range(3)] == [True, True, False]


def test_a_task_that_is_helped_may_use_the_processor_of_its_helper(tmp_path: Path, two: ThreadCores | PipeCores) -> None:
    """Two threads may merge although what was merged before is still being written beside them; another task's helper changes nothing."""
    offer(two)
    go_on = threading.Event()
    with beside(open_store(str(tmp_path))) as helper, ThreadPoolExecutor(1) as other_task:
        written = helper.submit(go_on.wait)

        def threads() -> int:
            with threads_for(4) as found:
                return found

        found = (threads(), other_task.submit(threads).result())
        go_on.set()
        assert found == (2, 1)
        written.result()
        assert threads() == 2
    assert [two.take() for _ in range(3)] == [True, True, False]


def test_without_an_offer_nothing_runs_beside_a_task(tmp_path: Path) -> None:
    """A task of the serial executor, or on a cluster that gave it one processor, keeps to its thread."""
    with beside(open_store(str(tmp_path))) as helper:
        assert helper.submit(threading.get_ident).result() == threading.get_ident()


def test_tasks_on_a_store_in_memory_keep_to_one_thread() -> None:
    """Simulations make their calls in one order, whatever is offered."""
    offer(ThreadCores(8))
    with beside(MemoryStore()) as helper:
        assert helper.submit(threading.get_ident).result() == threading.get_ident()


def test_a_failure_beside_gives_the_processor_back(tmp_path: Path) -> None:
    """An encoder that fails keeps no processor busy."""
    two = ThreadCores(2)
    offer(two)
    with beside(open_store(str(tmp_path))) as helper, pytest.raises(ZeroDivisionError):
        helper.submit(lambda: 1 // 0).result()
    assert [two.take(), two.take()] == [True, True]


@pytest.mark.parametrize("processors", [1, 2])
def test_outputs_do_not_depend_on_processors(tmp_path: Path, processors: int) -> None:
    """A row group ends where it ends, whether the one before was encoded beside or in turn: outputs are the same bytes."""
    import pyarrow as pa

    data = pa.table({"i": list(range(20_000)), "s": [f"value {i % 977}" for i in range(20_000)]})
    made = []
    for name, offered in (("a", 1), ("b", processors)):
        offer(ThreadCores(offered))
        store = open_store(str(tmp_path / name))
        result = rewritten(run(store, job_of(data.schema, row_group_rows=3_000), [put(store, f"f{i}", data) for i in range(3)]))
        made.append([os.fspath(output.key) for output in result.outputs] + [bytes(store.get(output.key)) for output in result.outputs])
    assert made[0] == made[1]
