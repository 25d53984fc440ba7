"""Listing the log and reading its entries."""

from __future__ import annotations

import json

import pytest

from compactor.ambient import VirtualClock
from compactor.errors import TableCorrupt
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.log import entry_key, list_log, parse_chosen, parse_lines, read_entries, read_entry

V = "_delta_log/{:020d}"


def store_of(*names: str, data: bytes = b"{}\n") -> MemoryStore:
    store = MemoryStore(MemoryBucket("b", VirtualClock()), "t")
    for name in names:
        store.put(name, data)
    return store


def test_only_commits_and_complete_checkpoints_count() -> None:
    """Checksums, temporary files, compacted logs, staged commits, sidecars and multi-part checkpoints that lack a part are passed over."""
    listing = list_log(
        store_of(
            V.format(0) + ".json",
            V.format(0) + ".crc",
            "_delta_log/.00000000000000000001.json.crc",
            "_delta_log/_commit_0.json.tmp",
            V.format(1) + ".json",
            V.format(0) + "." + f"{1:020d}" + ".compacted.json",
            V.format(1) + ".checkpoint.parquet",
            V.format(1) + ".checkpoint.0000000001.0000000002.parquet",
            V.format(1) + ".checkpoint.0000000001.0000000003.parquet",
            V.format(1) + ".checkpoint.0000000002.0000000003.parquet",
            V.format(1) + ".checkpoint.0000000003.0000000003.parquet",
            V.format(1) + ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
            "_delta_log/_staged_commits/" + f"{2:020d}.80a083e8-7026-4e79-81be-64bd76c43a11.json",
            "_delta_log/_sidecars/00000000000000000009.json",
            "_delta_log/_last_checkpoint",
        )
    )
    assert list(listing.commits) == [0, 1]
    assert sorted(len(c.parts) for c in listing.checkpoints) == [1, 1, 3]
    assert (listing.newest, listing.missing(-1, 1), listing.missing(-1, 3)) == (1, None, 2)


def test_listing_after_a_version_leaves_it_out() -> None:
    """after_version shows later versions only, whatever else the log holds of that version."""
    store = store_of(*(entry_key(v) for v in range(12)), V.format(9) + ".checkpoint.parquet", V.format(10) + ".checkpoint.parquet")
    listing = list_log(store, 9)
    assert list(listing.commits) == [10, 11]
    assert [c.version for c in listing.checkpoints] == [10]
    assert list_log(store, 11).newest is None


def test_entries_come_in_order_with_their_dates() -> None:
    """Many entries, fetched at once, come out in order with the store's date of each; a missing one is named."""
    store = store_of(*(entry_key(v) for v in range(40)), data=b'{"commitInfo":{}}\n{"txn":{"appId":"a"}}\n')
    listing = list_log(store)
    store_uri = store.uri
    entries = list(read_entries(store, 3, 30, listing))
    assert [e.version for e in entries] == list(range(4, 31))
    assert [e.modified_ms for e in entries] == [listing.commits[v].modified_ms for v in range(4, 31)]
    assert store_uri.startswith("memory:")
    store.delete([entry_key(17)])
    with pytest.raises(TableCorrupt, match=entry_key(17)):
        list(read_entries(store, 3, 30, listing))


def test_an_entry_that_is_not_there_is_none() -> None:
    """read_entry answers None for a version without an entry."""
    assert read_entry(store_of(), 4) is None


def test_lines_keep_their_numbers() -> None:
    """Blank lines, Windows line ends and actions of unknown kinds do not shift the line number of an add."""
    data = b'{"commitInfo":{}}\r\n\r\n{"add":{"path":"a"}}\n{"futureThing":{"x":1}}\n{"add":{"path":"b"},"remove":null}\n\n'
    entry = read_entry(store_of(entry_key(0), data=data), 0, 77)
    assert entry is not None
    assert (list(entry.add_lines), [a["path"] for a in entry.adds], list(entry.removes), entry.modified_ms) == ([2, 4], ["a", "b"], [], 77)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b'{"commitInfo":{}}\n{"add":{"pa',
        b'{"commitInfo":{}}\n\x00\x00\x00',
        b"[]\n",
        b'{"add":1}\n',
        b'{"add":{}},{"add":{}}\n',
        b'{"a":{},\n"b":{}}\n',
        b'{"add":{"path":"\xff"}}\n',
        b"null\n",
    ],
)
def test_damaged_entries_are_corrupt_by_name(data: bytes) -> None:
    """An empty, cut, padded or otherwise damaged entry is TableCorrupt and names the file."""
    with pytest.raises(TableCorrupt, match=f"{7:020d}.json"):
        read_entry(store_of(entry_key(7), data=data), 7)


def test_a_cut_line_is_named_by_number() -> None:
    """The message says which line is damaged."""
    with pytest.raises(TableCorrupt, match="Line 2 of"):
        parse_lines(b'{"a":{}}\n{"a":{}', "x")


def entry(*actions: dict[str, object]) -> MemoryStore:
    return store_of(entry_key(0), data="\n".join(map(json.dumps, actions)).encode())


def test_a_commit_that_adds_what_it_removes_is_no_commit() -> None:
    """Whether such a file is live depends on an order that a commit does not have: whoever reads it says so, by name and path, however the
    path is spelled. The same path with other deletes is lawful."""
    for path in ("a%20b", "a b"):
        with pytest.raises(TableCorrupt, match=r'00\.json adds and removes "a b" at once'):
            read_entry(entry({"remove": {"path": path}}, {"add": {"path": "a b"}}), 0)
    vector = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 4, "sizeInBytes": 40, "cardinality": 6}
    assert read_entry(entry({"remove": {"path": "a b"}}, {"add": {"path": "a b", "deletionVector": vector}}), 0) is not None


def test_chosen_lines_are_those_of_the_whole() -> None:
    """Lines that are chosen by their positions are what they are among all lines; behind the last there is nothing."""
    data = b'{"add":{"path":"a"}}\n\n{"add":{"path":"b"}}\n{"remove":{"path":"c"}}\n'
    every = parse_lines(data, "x")
    assert parse_chosen(data, [3, 0, 1], "x") == [every[3], every[0], every[1]]
    assert parse_chosen(data, [2, 9], "x") == [every[2], None]


@pytest.mark.parametrize("line", [b"[]", b'{"a":{}}, {"a":{}}', b'{"add":1}', b'{"add":{}', b"7"])
def test_a_chosen_line_that_is_no_action_is_damage(line: bytes) -> None:
    """A chosen line that is no action is told by its number, whatever the lines around it are."""
    with pytest.raises(TableCorrupt, match="log file x"):
        parse_chosen(b'{"a":{}}\n' + line + b'\n{"a":{}}\n', [1], "x")
