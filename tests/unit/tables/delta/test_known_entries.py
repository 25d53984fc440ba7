"""Entries that were read stay known while the log lists them unchanged, so that many commits of one run read each other once."""

from __future__ import annotations

import pytest
from support import delta_log as log

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.model.commit import Committed
from compactor.model.snapshot import TableRef
from compactor.storage.counting import CountingStore
from compactor.storage.memory import MemoryStore
from compactor.tables.delta.known_entries import KnownEntries
from compactor.tables.delta.log import entry_key, list_log
from compactor.tables.delta.options import DeltaOptions
from compactor.tables.delta.table import DeltaTable

COMMITS = 30


def test_each_commit_of_a_run_reads_only_what_came_since_the_last() -> None:
    """Thirty commits judged from one snapshot read each other once, not four hundred and thirty-five times."""
    memory = MemoryStore()
    snapshot = log.start(memory, [f"f{i}" for i in range(COMMITS)])
    counting = CountingStore(memory)
    ambient = Ambient(clock=VirtualClock(1), ids=SeededIds(1), randomness=SeededRandomness(1))
    table = DeltaTable(TableRef(uri=memory.uri), counting, ambient, DeltaOptions())
    for group in range(COMMITS):
        request = log.request(log.group(memory, group, [f"f{group}"]), transaction=f"transaction-{group}")
        outcome = table.publish(snapshot, request)
        assert isinstance(outcome, Committed) and outcome.version == group + 1
    assert counting.counts()["get"].calls <= 2 * COMMITS  # one for what came since, one for the inputs' own adds


@pytest.mark.parametrize("most_actions", [100, 6, 1])
def test_what_is_known_equals_what_is_read(most_actions: int) -> None:
    """However few entries are kept, every range of versions is told in order and whole, and an entry that changed is read again."""
    store = MemoryStore()
    log.start(store, ["a0"])
    for version in range(1, 8):
        log.write(store, version, [log.info(), log.add(f"a{version}")])
    known, listing = KnownEntries(most_actions), list_log(store)
    for after, upto in [(2, 4), (0, 6), (-1, 7), (5, 7), (0, 7)]:
        assert [e.version for e in known.read(store, after, upto, listing)] == list(range(after + 1, upto + 1))
    data = bytes(store.get(entry_key(3))).replace(b'"a3"', b'"b3x"')
    store.delete([entry_key(3)])
    store.put(entry_key(3), data)
    told = {e.version: [add["path"] for add in e.adds] for e in known.read(store, 0, 7, list_log(store))}
    assert told[3] == ["b3x"] and told[4] == ["a4"]
