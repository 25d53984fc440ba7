"""The tail of a log: what it tells, what it costs, and when it does not tell enough."""

from __future__ import annotations

import pytest
from support.delta_log import add, info, metadata, protocol, remove, write

from compactor.model.changes import LogTail
from compactor.storage.counting import CountingStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.log import entry_key
from compactor.tables.delta.tail import MOST_ENTRIES, identity_of, read_tail

START = [protocol(), metadata(), add("f0"), info()]


@pytest.fixture
def store() -> CountingStore:
    inner = CountingStore(MemoryStore(MemoryBucket("t")))
    write(inner, 0, START)
    return inner


def calls(store: CountingStore) -> dict[str, int]:
    return {name: count.calls for name, count in store.counts().items() if name not in ("create", "put")}


def tail(store: CountingStore, known: int = 0, entry: str | None = None) -> LogTail:
    return read_tail(store, known, entry, ["p"])


def test_an_unchanged_table_costs_one_list(store: CountingStore) -> None:
    """Nothing else is asked."""
    entry = identity_of(store, 0)
    before = calls(store)
    assert tail(store, 0, entry) == LogTail(version=0, entry=entry)
    after = calls(store)
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)} == {"list": 1}


def test_new_entries_are_read_once_each(store: CountingStore) -> None:
    """Files that came and went, with their sizes and partitions, and how many commits were ours."""
    write(store, 1, [add("f1", size=7, partition="y"), info()])
    ours = info(tags={"compactor.runId": "r"})
    write(store, 2, [remove("f0", size=100, partitionValues={"p": "x"}, data_change=False), add("f2", size=9, data_change=False), ours])
    found = tail(store, 0, identity_of(store, 0))
    assert (found.version, found.commits, found.ours, found.unclear) == (2, 2, 1, None)
    assert [(change.added, change.size_bytes) for change in found.changes] == [(True, 7), (False, 100), (True, 9)]
    assert found.changes[0].partition != found.changes[2].partition
    assert found.entry == identity_of(store, 2)
    assert found.written_ms > 0
    assert calls(store)["get"] == 2


@pytest.mark.parametrize(
    ("actions", "why"),
    [
        ([remove("f0", partitionValues={"p": "x"})], "version 1 removes a file without its size"),
        ([remove("f0", size=100)], "version 1 removes a file without its partition"),
        (
            [remove("f0", size=100, partitionValues={"p": "x"}, deletionVector={"storageType": "u", "cardinality": 3})],
            "version 1 removes a file with deleted rows without its number of rows",
        ),
        ([metadata({"delta.targetFileSize": "1mb"})], "version 1 changed the table itself"),
    ],
)
def test_what_does_not_tell_enough(store: CountingStore, actions: list[dict[str, object]], why: str) -> None:
    """It is said why the table has to be loaded."""
    write(store, 1, [*actions, info()])
    assert tail(store).unclear == why


def test_a_log_that_was_replaced(store: CountingStore) -> None:
    """A table that was dropped and made again under the same name is noticed, by its entry or by its absence."""
    write(store, 1, [add("f1"), info()])
    entry = identity_of(store, 1)
    store.delete([entry_key(1)])
    assert tail(store, 1, entry).unclear == "the log is gone"
    write(store, 1, [add("other"), info()])
    assert tail(store, 1, entry).unclear == "the log was replaced"


def test_an_entry_that_was_cleaned_up_is_no_loss(store: CountingStore) -> None:
    """Where the known entry was never seen, its absence says nothing; newer ones are followed."""
    write(store, 5, [add("f1"), info()])
    store.delete([entry_key(0)])
    assert tail(store, 4).unclear is None
    assert tail(store, 4).version == 5


def test_gaps_and_floods(store: CountingStore) -> None:
    """Missing entries, damaged ones, and more than are worth reading one by one: the table is loaded instead, and little was read."""
    write(store, 2, [add("f1"), info()])
    assert tail(store).unclear == "entries are missing"
    store.put(entry_key(1), b"{")
    assert "not valid JSON" in str(tail(store).unclear)
    for version in range(1, MOST_ENTRIES + 2):
        store.put(entry_key(version), b"{}")
    before = calls(store)["get"]
    assert tail(store).unclear == f"more than {MOST_ENTRIES} entries are new"
    assert calls(store)["get"] == before
