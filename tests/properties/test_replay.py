"""Properties of the replay: incremental equals from scratch, order within a commit does not matter, and a plain model agrees."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from compactor.model.snapshot import Snapshot, TableRef
from compactor.tables.delta.replay import Base, apply, build
from compactor.tables.delta.state import LogEntry

REF = TableRef(uri="/t")
SCHEMA = (
    '{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}},'
    '{"name":"p","type":"string","nullable":true,"metadata":{}}]}'
)
NAMES = [f"p=x/part-0000{i}-c1f1b0e8-7a39-4a0e-9f0a-0123456789a{i}.snappy.parquet" for i in range(4)] + [
    "a b%25/é.parquet",
    "q",
    "x%41.parquet",
]
VECTORS = [None, {"storageType": "i", "pathOrInlineDv": "abc", "sizeInBytes": 1, "cardinality": 1},
           {"storageType": "u", "pathOrInlineDv": "ab", "offset": 4, "sizeInBytes": 1, "cardinality": 3}]  # fmt: skip
STATS = [
    None, '{"numRecords":7,"x":1}', '{"numRecords": 8}', '{"minValues":{},"numRecords":9}', "not json", "[]", '{"numRecords":"7"}',
    '{"numRecords":-1}',
]  # fmt: skip
EXPECTED_ROWS = [None, 7, 8, 9, None, None, None, None]

file_action = st.tuples(
    st.sampled_from(["add", "remove"]), st.integers(0, len(NAMES) - 1), st.integers(0, len(VECTORS) - 1), st.integers(0, len(STATS) - 1),
    st.sampled_from([None, "", "x", "y"]), st.integers(0, 2), st.booleans(),
)  # fmt: skip
commits = st.lists(st.lists(file_action, max_size=6), min_size=1, max_size=8)


def spelled(number: int, plain: bool) -> str:
    """One of two spellings of a path, equal in canonical form."""
    name = NAMES[number]
    return name if plain else name.replace("=", "%3D").replace("-", "%2D", 1)


def one_commit(version: int, actions: list[Any]) -> LogEntry:
    """A log entry; of two actions of one kind on one file the first counts, as the protocol allows one."""
    adds, removes, seen = [], [], set()
    for kind, number, vector, stats, partition, modified, plain in actions:
        if (kind, number, vector) in seen:
            continue
        seen.add((kind, number, vector))
        dv = {"deletionVector": VECTORS[vector]} if VECTORS[vector] else {}
        if kind == "remove":
            removes.append({"path": spelled(number, plain), **dv})
            continue
        adds.append({
            "path": spelled(number, plain), "size": number, "modificationTime": modified, "partitionValues": {"p": partition}, **dv,
            **({"stats": STATS[stats]} if STATS[stats] is not None else {}),
            "tags": {"compactor.generation": str(modified), "compactor.finishedFor": "268435456" if plain else "soon"},
        })  # fmt: skip
    first = version == 0
    metadata = {"id": "t", "schemaString": SCHEMA, "partitionColumns": ["p"], "configuration": {}}
    return LogEntry(
        version=version, modified_ms=1000 + version, commit_info={"engineInfo": f"e{version % 2}", "inCommitTimestamp": version},
        protocol={"minReaderVersion": 1, "minWriterVersion": 2} if first else None, metadata=metadata if first else None,
        domains=[{"domain": "d", "configuration": str(version), "removed": version % 3 == 2}], adds=adds,
        add_lines=list(range(1, 1 + len(adds))), removes=removes, transactions=(),
    )  # fmt: skip


def entries_of(history: list[list[Any]]) -> list[LogEntry]:
    return [one_commit(version, actions) for version, actions in enumerate(history)]


def model(entries: list[LogEntry]) -> dict[tuple[int, str], dict[str, Any]]:
    """Live adds by the letter of the protocol, in plain Python; keyed by what the names were made from."""
    names = {spelled(i, plain): i for i in range(len(NAMES)) for plain in (True, False)}
    live: dict[tuple[int, str], dict[str, Any]] = {}
    for entry in entries:
        for remove in entry.removes:
            live.pop((names[remove["path"]], str(remove.get("deletionVector"))), None)
        for add in entry.adds:
            live[(names[add["path"]], str(add.get("deletionVector")))] = add
    return live


@settings(max_examples=200, deadline=None)
@given(commits, st.data())
def test_incremental_equals_from_scratch(history: list[list[Any]], data: st.DataObject) -> None:
    """However a log is cut into refreshes, the snapshot is the one that a single load gives, down to sources and ids."""
    entries = entries_of(history)
    whole = build(REF, Base(), entries)
    snapshot = build(REF, Base(), entries[:1])
    position = 1
    while position < len(entries):
        step = data.draw(st.integers(1, len(entries) - position))
        snapshot = apply(snapshot, entries[position : position + step])
        position += step
    assert_same(snapshot, whole)


def assert_same(one: Snapshot, other: Snapshot) -> None:
    assert one.files == other.files
    assert one.partitions == other.partitions
    assert one.state == other.state
    assert (one.version, one.features, one.properties, one.partition_columns) == (
        other.version, other.features, other.properties, other.partition_columns,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(commits, st.integers(0, 2**32))
def test_order_within_a_commit_does_not_matter(history: list[list[Any]], seed: int) -> None:
    """Shuffling the actions of every commit changes nothing that a planner can see."""
    entries = entries_of(history)
    shuffled = []
    for entry in entries:
        adds, removes = list(entry.adds), list(entry.removes)
        random.Random(seed).shuffle(adds)
        random.Random(seed).shuffle(removes)
        shuffled.append(replace(entry, adds=adds, removes=removes))
    one, other = build(REF, Base(), entries), build(REF, Base(), shuffled)
    assert one.files.drop_columns(["source_row"]) == other.files.drop_columns(["source_row"])
    assert one.partitions == other.partitions


@settings(max_examples=200, deadline=None)
@given(commits)
def test_columns_say_what_the_actions_say(history: list[list[Any]]) -> None:
    """Live files and every column agree with a plain model, in canonical order, with ids that index the partitions."""
    entries = entries_of(history)
    snapshot = build(REF, Base(), entries)
    rows = snapshot.files.to_pylist()
    assert [(r["modified_ms"], r["path"].encode()) for r in rows] == sorted((r["modified_ms"], r["path"].encode()) for r in rows)
    expected = ((a["path"], str(a.get("deletionVector")), a["size"], a["partitionValues"]["p"], EXPECTED_ROWS[STATS.index(a.get("stats"))],
                       int(a["tags"]["compactor.generation"]), 268435456 if a["tags"]["compactor.finishedFor"].isdigit() else None)
                      for a in model(entries).values())  # fmt: skip
    vectors = {None: "None", "iabc": str(VECTORS[1]), "uab@4": str(VECTORS[2])}
    found = ((r["path"], vectors[r["deletes_id"]], r["size_bytes"], snapshot.partitions["p"][r["partition_id"]].as_py(), r["rows"],
                    r["generation"], r["finished_for_bytes"]) for r in rows)  # fmt: skip
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    for row in rows:
        entry = entries[int(snapshot.state.sources[row["source"]][-25:-5])]
        assert entry.adds[list(entry.add_lines).index(row["source_row"])]["path"] == row["path"]
        assert row["landed_ms"] == entry.modified_ms
    assert snapshot.partitions.num_rows == len({r["partition_id"] for r in rows})
