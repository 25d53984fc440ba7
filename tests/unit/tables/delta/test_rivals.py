"""What counts as a rival's damage, from log entries alone (real damage by deltalake is in tests/integration)."""

from __future__ import annotations

import pytest
from support import delta_log as log

from compactor.storage.memory import MemoryStore
from compactor.tables.delta.log import entry_key
from compactor.tables.delta.rivals import detect_rivals

VECTOR = {"storageType": "i", "pathOrInlineDv": "xyz", "sizeInBytes": 4, "cardinality": 1}


@pytest.fixture
def store() -> MemoryStore:
    """Version 1 is ours: it replaced f0 and f1 by out."""
    store = MemoryStore()
    log.start(store, features=["deletionVectors"])
    ours = {"compactor.runId": "r"}
    log.write(
        store,
        1,
        [log.info("OPTIMIZE", tags=ours), log.remove("f0", data_change=False), log.remove("f1", data_change=False), log.add("out")],
    )
    return store


def found(store: MemoryStore, since: int = 0) -> list[tuple[int, tuple[str, ...], tuple[int, ...]]]:
    return [(r.version, r.files, r.replaced_by) for r in detect_rivals(store, since)]


def test_a_second_remove_of_what_we_replaced_is_named(store: MemoryStore) -> None:
    """A foreign remove of a file that we had replaced is damage; other files of that commit are not listed."""
    log.write(store, 2, [log.info("WRITE"), log.remove("f0"), log.remove("f2"), log.add("new")])
    assert found(store) == [(2, ("f0",), (1,))]
    assert detect_rivals(store, 0)[0].engine == "somebody"


def test_lawful_removes_are_not_named(store: MemoryStore) -> None:
    """Removes of our output, of untouched files, and of files that were restored are lawful."""
    log.write(store, 2, [log.info("DELETE"), log.remove("out"), log.remove("f2")])
    log.write(store, 3, [log.info("RESTORE"), log.add("f0"), log.add("f1")])
    log.write(store, 4, [log.info("DELETE"), log.remove("f0")])
    assert found(store) == []


def test_another_deletion_vector_is_another_file(store: MemoryStore) -> None:
    """The same path with another deletion vector was not what we replaced."""
    log.write(store, 2, [log.info("DELETE"), log.remove("f0", deletionVector=VECTOR)])
    assert found(store) == []


def test_only_what_lies_after_the_given_version_counts(store: MemoryStore) -> None:
    """Damage to replacements before the window is not known; a log whose beginning was cleaned away is read from its unbroken tail."""
    log.write(store, 2, [log.info("WRITE"), log.remove("f0")])
    assert found(store, 1) == [] and found(store, 2) == [] and found(store, -1) != []
    store.delete([entry_key(0)])
    assert found(store, -1) == [(2, ("f0",), (1,))]
