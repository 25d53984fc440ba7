"""Servers of object stores that are not ours (`make test-storage`): creation under a race, pages, copies, and tables with rivals."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_log import Action, add, info, metadata, protocol
from support.reader import Row, rows
from support.storage_servers import NAMES, WHY_NOT, StorageServer

import compactor
from compactor.model.run import RunStatus
from compactor.model.storage import StorageOptions
from compactor.settings import Settings
from compactor.storage import open_store
from compactor.storage.base import Created, Exists
from compactor.storage.s3_connection import forget_connections

HERE = Path(__file__).resolve().parent
MIB = 1024 * 1024
ENTRY = "_delta_log/{:020d}.json"

Place = tuple[str, StorageOptions]


@pytest.fixture(params=NAMES or [None])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty bucket of each server."""
    if request.param is None:
        pytest.skip(WHY_NOT)
    server: StorageServer = request.getfixturevalue("storage_server")(request.param)
    forget_connections()
    return server.place(monkeypatch)


def settings(options: StorageOptions, **more: object) -> Settings:
    """Of runs there; conditional puts are what is asked about."""
    reach = {"endpoint_url": options.endpoint_url, "region": options.region, "path_style": options.path_style}
    return Settings.model_validate({**{key: value for key, value in reach.items() if value is not None}, **more})


class Table:
    """A table written and read by code that is not the compactor's. deltalake 1.6.6 cannot append beyond version 1 on Azurite."""

    def __init__(self, place: Place, name: str, folder: Path) -> None:
        self.uri, self.options, self._folder = f"{place[0]}/{name}", place[1], folder
        self._store = open_store(self.uri, self.options)
        assert isinstance(self._store.create(ENTRY.format(0), lines(protocol(), metadata())), Created)

    def append(self, first: int, count: int = 10) -> None:
        """A file in each of two partitions, in the next version that is free."""
        adds = [info()]
        for part in ("x", "y"):
            path = f"p={part}/{first:06}.parquet"
            sink = pa.BufferOutputStream()
            pq.write_table(pa.table({"a": range(first, first + count)}), sink)
            data = sink.getvalue().to_pybytes()
            self._store.put(path, data)
            adds.append(add(path, partition=part, rows=count, size=len(data)))
        version = 1
        while not isinstance(self._store.create(ENTRY.format(version), lines(*adds)), Created):
            version += 1

    def rows(self) -> Counter[Row]:
        """Of a copy on this disk, by a reader of our tests."""
        copy = self._folder / uuid4().hex
        for meta in self._store.list(""):
            target = copy / meta.key
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._store.get(meta.key))
        return rows(copy)


def lines(*actions: Action) -> bytes:
    """An entry of a log."""
    return b"\n".join(json.dumps(action).encode() for action in actions)


def expected(*numbers: int) -> Counter[Row]:
    """Those, once in each partition."""
    return Counter((number, part) for number in numbers for part in ("x", "y"))


def test_creation_is_exclusive_under_a_long_race(place: Place) -> None:
    """Of eight creators of one key, sixty times over, one is told Created, its bytes stay, and the others are told Exists."""
    stores = [open_store(*place) for _ in range(8)]
    for number in range(60):
        key, gate = f"_delta_log/{number:020}.json", threading.Barrier(8)

        def compete(mine: int, key: str = key, gate: threading.Barrier = gate) -> object:
            gate.wait()
            return stores[mine].create(key, b"%d" % mine * 5000)

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(compete, range(8)))
        winners = [mine for mine, outcome in enumerate(outcomes) if isinstance(outcome, Created)]
        assert len(winners) == 1, (number, outcomes)
        assert all(outcome == Exists() for mine, outcome in enumerate(outcomes) if mine not in winners)
        assert bytes(stores[0].get(key)) == b"%d" % winners[0] * 5000


def test_listing_goes_over_pages(place: Place) -> None:
    """More keys than a page holds are all listed, once and in order, from wherever one starts."""
    store = open_store(*place)
    names = [f"_delta_log/{number:020}.json" for number in range(2300)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: store.put(name, b"x"), names))
    assert [meta.key for meta in store.list("_delta_log/")] == names
    assert [meta.key for meta in store.list("_delta_log/", names[1099])] == names[1100:]
    level = store.list_level("_delta_log/")
    assert (len(level.objects), level.complete) == (2300, True)
    store.delete(names)
    assert not list(store.list(""))


def test_objects_of_parts_and_copied_ranges(place: Place) -> None:
    """What is written in parts, some of them copied inside the store where it can, is every byte of it."""
    store = open_store(*place)
    source = bytes(range(256)) * (24 * MIB // 256)
    with store.open_writer("t/source.parquet") as writer:
        writer.write(source)
    expected = bytearray(b"head")
    with store.open_writer("t/made.parquet") as writer:
        writer.write(b"head")
        for start, length in ((7, 12 * MIB), (100, 1000), (3 * MIB, 20 * MIB)):
            if writer.copy_range("t/source.parquet", start, length) is None:
                writer.write(source[start : start + length])
            expected += source[start : start + length]
    assert bytes(store.get("t/made.parquet")) == bytes(expected)


def test_a_table_is_compacted(place: Place, tmp_path: Path) -> None:
    """Forty small files become two, every row stays, by the proof and by another reader; a second run finds nothing to do."""
    table = Table(place, "a table", tmp_path)
    for number in range(20):
        table.append(number * 50, 50)
    chosen = settings(table.options)
    run = compactor.run(table.uri, settings=chosen)
    assert (run.status, run.files_removed, run.files_added) == (RunStatus.COMMITTED, 40, 2), run.reason
    assert table.rows() == expected(*range(1000))
    assert compactor.run(table.uri, settings=chosen).status is RunStatus.NOTHING_TO_DO


def test_commits_race(place: Place, tmp_path: Path) -> None:
    """Three writers and two compactors on one table: every version has one owner, and no row is lost or doubled."""
    table = Table(place, "t", tmp_path)
    table.append(0)
    stop = threading.Event()
    ended: list[RunStatus] = []

    def write(writer: int) -> None:
        for number in range(12):
            table.append(10 + (writer * 12 + number) * 10)

    def compact() -> None:
        while not stop.is_set():
            ended.append(compactor.run(table.uri, settings=settings(table.options, min_input_files=2)).status)

    compactors = [threading.Thread(target=compact) for _ in range(2)]
    for thread in compactors:
        thread.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    stop.set()
    for thread in compactors:
        thread.join()
    assert table.rows() == expected(*range(10 + 36 * 10))
    assert RunStatus.COMMITTED in ended
    assert RunStatus.FAILED not in ended


def test_without_tools_nothing_is_fetched(tmp_path: Path) -> None:
    """Where neither Go nor npm is, that is said for each server, and the exit code is 3."""
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = subprocess.run(
        [sys.executable, str(HERE / "prepare_servers.py")], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.splitlines() == [
        "skipped: versitygw needs go, which is not installed.",
        "skipped: azurite needs node, which is not installed.",
    ]
    assert not (tmp_path / "cache").exists()
