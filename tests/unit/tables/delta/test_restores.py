"""Which version a RESTORE went back to, from log entries alone."""

from __future__ import annotations

import pytest
from support import delta_log as log

from compactor.storage.memory import MemoryStore
from compactor.tables.delta.log import list_log, read_entries
from compactor.tables.delta.restores import restored_versions
from compactor.tables.delta.rivals import detect_rivals

BY_TIME = {"operationParameters": {"datetime": "1795379604069"}}


@pytest.fixture
def store() -> MemoryStore:
    """Version 1 is ours: it replaced f0 and f1 by out. Version 2, by somebody, removes f0 again and doubles its rows."""
    store = MemoryStore()
    log.start(store)
    log.write(store, 1, [log.info("OPTIMIZE", tags={"compactor.runId": "r"}), log.remove("f0"), log.remove("f1"), log.add("out")])
    log.write(store, 2, [log.info("OPTIMIZE"), log.remove("f0"), log.remove("f2"), log.add("doubled")])
    return store


def restored(store: MemoryStore) -> dict[int, int]:
    newest = list_log(store).newest
    assert newest is not None
    return restored_versions(read_entries(store, -1, newest))


def test_a_restore_by_time_is_known_by_what_is_live_after_it(store: MemoryStore) -> None:
    """Whatever a RESTORE says of a time, it went back to the latest version with the same live files; the damage since is over."""
    log.write(store, 3, [log.info("WRITE"), log.add("late")])
    log.write(store, 4, [log.info("RESTORE", **BY_TIME), log.remove("late"), log.remove("doubled"), log.add("f2")])
    assert restored(store) == {4: 1}
    assert detect_rivals(store, 0) == []


def test_a_restore_that_takes_nothing_back_ends_nothing(store: MemoryStore) -> None:
    """A RESTORE by time to a version after the damage, or to what no version was like, leaves the damage named."""
    log.write(store, 3, [log.info("WRITE"), log.add("late")])
    log.write(store, 4, [log.info("RESTORE", **BY_TIME), log.remove("late")])
    assert restored(store) == {4: 2}
    log.write(store, 5, [log.info("RESTORE", **BY_TIME), log.remove("out")])
    assert restored(store) == {4: 2}
    assert [rival.version for rival in detect_rivals(store, 0)] == [2]


def test_a_restore_by_version_says_so(store: MemoryStore) -> None:
    """The version that is told is believed, as a number or in quotes."""
    log.write(store, 3, [log.info("RESTORE", operationParameters={"version": "1"}), log.remove("doubled"), log.add("f2")])
    log.write(store, 4, [log.info("RESTORE", operationParameters={"version": 0})])
    assert restored(store) == {3: 1, 4: 0}


def test_a_version_before_the_first_one_that_is_known(store: MemoryStore) -> None:
    """The state before the first retained entry counts, too: what that removed was live then."""
    log.write(store, 3, [log.info("RESTORE", **BY_TIME), log.remove("doubled"), log.remove("out"), *map(log.add, ("f0", "f1", "f2"))])
    assert restored_versions(read_entries(store, 0, 3)) == {3: 0}
