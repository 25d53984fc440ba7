"""States of other releases. `former_state` was written by a service of commit b79f7c7.

Tables: busy (compacted by it), paused (by ann), small (asked for by ben, with two properties, one of which is not its owner's to set),
vain (a run found only young files).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from compactor.ambient.deterministic import SeededIds, SeededRandomness, VirtualClock
from compactor.ambient.ports import Ambient
from compactor.coordination.journal import read_runs
from compactor.model.run import RunStatus
from compactor.service.config_file import parse_config
from compactor.service.fleet_file import fleet_bytes, read_fleet
from compactor.service.shared import Shared
from compactor.storage.memory import MemoryBucket, MemoryStore

FORMER = Path(__file__).parent / "former_state"
CONFIG = parse_config('state = "s3://state"\n[[source]]\nprefix = "s3://lake"\n[defaults]\ntarget_size = "1MiB"\n', "f.toml")
REPLICA = "0ef7ab07-7389-44bb-aae0-2ebbdf0eabe4"
RUN = "f3bb4e4f-b69a-4b1e-a9e8-237963cfcadf"


def newer(value: Any) -> Any:
    """The same with a field in every object that this release does not know; maps whose keys are names of things keep to those."""
    if isinstance(value, dict):
        grown = {key: newer(found) for key, found in value.items()}
        named = not grown or any("/" in key or "=" in key or "." in key or key in ("default", "0 0 * * * for 7d") for key in grown)
        return grown if named else {**grown, "since_next_release": {"a": [1]}}
    return [newer(found) for found in value] if isinstance(value, list) else value


def lines_of(data: bytes, grown: bool) -> bytes:
    documents = [orjson.loads(line) for line in data.splitlines()]
    return b"\n".join(orjson.dumps(newer(document) if grown else document) for document in documents) + b"\n"


@pytest.fixture(params=[False, True], ids=["former", "newer"])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    """The state as it was written; or with fields everywhere that only a later release knows."""
    ambient = VirtualClock()
    store = MemoryStore(MemoryBucket("state", ambient))
    for file in sorted(FORMER.rglob("*.json*")):
        store.put(file.relative_to(FORMER).as_posix(), lines_of(file.read_bytes(), request.param))
    return store


@pytest.fixture
def shared(store: MemoryStore) -> Shared:
    return Shared(store, Ambient(clock=VirtualClock(), ids=SeededIds(1), randomness=SeededRandomness(1)))


def test_what_replicas_tell_each_other(shared: Shared) -> None:
    """A replica of the former release is alive, with what it has spent; pauses, requests and notices of its time hold."""
    [report], gone = shared.others("me")
    assert (report.replica, report.beat, report.round_s, report.running, gone) == (REPLICA, 40, 1.0, {}, [])
    assert report.ledger.groups["default"].gb_hours == pytest.approx(0.000225, rel=0.01)
    assert report.ledger.windows["0 0 * * * for 7d"].closes_ms == 1795996800000
    assert shared.marked("paused") == {"s3://lake/paused": "ann"}
    assert shared.marked("asked") == {"s3://lake/small": "ben"}
    assert shared.noted(set()) == {"s3://lake/busy": 41, "s3://lake/small": 1}
    assert shared.known_tables() == {"s3://lake/busy", "s3://lake/paused", "s3://lake/small", "s3://lake/vain"}


def test_what_was_known_of_tables(shared: Shared) -> None:
    """A service goes on from there: standings, owners' properties, waits and last runs; and writes it so that it is read again."""
    kept = shared.load_fleet()
    assert kept is not None
    states = read_fleet(kept, CONFIG, 1000.0)
    assert set(states) == {"s3://lake/busy", "s3://lake/paused", "s3://lake/small", "s3://lake/vain"}
    small, vain, busy = (states[f"s3://lake/{name}"] for name in ("small", "vain", "busy"))
    assert small.policy is not None
    assert (small.policy.settings.min_input_files, len(small.policy.ignored)) == (4, 1)
    assert (vain.vain, vain.vain_until_s) == ("No group can be made: 6 too young.", pytest.approx(4590.6, abs=0.1))
    assert busy.last is not None and (busy.last.status, busy.last.run_id, busy.last.version) == (RunStatus.COMMITTED, RUN, 8)
    assert busy.standing is not None and (busy.standing.version, busy.standing.files) == (8, 1)
    again = read_fleet(fleet_bytes(states.values(), 1000.0), CONFIG, 1000.0)
    assert again == states


def test_what_the_former_release_counted_otherwise_is_loaded(shared: Shared) -> None:
    """It counted files whose next rewrite is their last as small ones: each table is loaded once, which costs requests and nothing else."""
    kept = shared.load_fleet()
    assert kept is not None
    states = read_fleet(kept, CONFIG, 0.0)
    assert all(state.standing is not None and state.standing.unclear for state in states.values())


def test_runs_of_the_former_release(store: MemoryStore) -> None:
    """Its journal is read: what `runs`, the page and predictions rest on."""
    [record] = read_runs(store, "s3%3A%2F%2Flake%2Fbusy/")
    assert (record.run.run_id, record.run.status, record.run.files_removed) == (RUN, RunStatus.COMMITTED, 8)
    assert record.run.predicted is not None and record.run.predicted.input_files == 8


def test_newer_formats_are_passed_over_and_left(store: MemoryStore, shared: Shared) -> None:
    """An object whose format_version is higher says nothing here, and is not touched: its own release goes on with it."""
    before = {}
    for item in list(store.list("service/")):
        documents = [orjson.loads(line) for line in bytes(store.get(item.key)).splitlines()]
        documents[0]["format_version"] = 99
        before[item.key] = b"\n".join(json.dumps(document).encode() for document in documents)
        store.put(item.key, before[item.key])
    assert shared.others("me") == ([], [])
    assert (shared.marked("paused"), shared.marked("asked"), shared.noted(set())) == ({}, {}, {})
    kept = shared.load_fleet()
    assert kept is not None and read_fleet(kept, CONFIG, 0.0) == {}
    assert {key: bytes(store.get(key)) for key in before} == before
