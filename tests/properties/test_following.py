"""Following a table by the tail of its log agrees with loading it, on any history that tells enough."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.delta_log import add, info, load, metadata, protocol, remove, write

from compactor.model.policy import MIB, Policy
from compactor.service.standing import Standing, followed, taken, terms_of
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.tables.delta.tail import identity_of, read_tail

POLICY = Policy(target_bytes=100 * MIB, max_encode_debt=0.25)
TERMS = terms_of(POLICY, 100 * MIB, False)
FEATURES = ("deletionVectors",)


def file(number: int, draw: Any) -> dict[str, Any]:
    """An add of any kind: tiny to oversized, with deletes, with tags of ours."""
    more: dict[str, Any] = {"stats": json.dumps({"numRecords": 1000})}
    if draw(st.booleans()):
        cardinality = draw(st.integers(1, 1000))
        more["deletionVector"] = {
            "storageType": "u",
            "pathOrInlineDv": f"x{number}",
            "offset": 1,
            "sizeInBytes": 9,
            "cardinality": cardinality,
        }
    if draw(st.booleans()):
        more["tags"] = {"compactor.generation": str(draw(st.integers(1, 3)))}
        if draw(st.booleans()):
            more["tags"]["compactor.finishedFor"] = str(draw(st.sampled_from([20 * MIB, 100 * MIB])))
        if draw(st.booleans()):
            more["tags"]["compactor.encodeDebt"] = str(draw(st.sampled_from([900, 60 * MIB])))
    size = draw(st.sampled_from([1000, 5 * MIB, 60 * MIB, 74 * MIB, 90 * MIB, 181 * MIB, 400 * MIB]))
    return add(f"f{number}", partition=draw(st.sampled_from(["x", "y", None])), size=size, **more)


def taken_away(action: dict[str, Any], tags: bool) -> dict[str, Any]:
    """Its remove; without its tags, as deltalake writes it, or with them."""
    body = {key: value for key, value in action["add"].items() if tags or key != "tags"}
    kept = {key: body[key] for key in ("partitionValues", "size", "deletionVector", "tags", "stats") if key in body}
    return remove(body["path"], extendedFileMetadata=True, **kept)


def comparable(standing: Standing) -> tuple[Any, ...]:
    tallies = {key: replace(tally, written_ms=0) for key, tally in standing.partitions.items()}
    return standing.version, standing.files, standing.bytes, tallies, standing.unclear


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_following_is_loading(data: st.DataObject) -> None:
    """Whatever comes and goes, in whatever steps it is looked at, the followed standing is the one that a load takes."""
    store = MemoryStore(MemoryBucket("t"))
    write(store, 0, [protocol(FEATURES), metadata(), info()])
    followed_one = taken(load(store), TERMS, identity_of(store, 0))
    live: dict[str, dict[str, Any]] = {}
    number = 0
    for version in range(1, data.draw(st.integers(1, 6)) + 1):
        actions = [info()]
        for path in data.draw(st.lists(st.sampled_from(sorted(live)), unique=True)) if live else []:
            actions.append(taken_away(live.pop(path), data.draw(st.booleans())))
        for _ in range(data.draw(st.integers(0, 4))):
            action = file(number, data.draw)
            live[f"f{number}"] = action
            number += 1
            actions.append(action)
        write(store, version, actions)
        if followed_one.unclear is not None:
            followed_one = taken(load(store), TERMS, identity_of(store, version))
        elif data.draw(st.booleans()):
            followed_one = followed(followed_one, read_tail(store, followed_one.version, followed_one.entry, ["p"]))
    followed_one = followed(followed_one, read_tail(store, followed_one.version, followed_one.entry, ["p"]))
    if followed_one.unclear is None:  # else it is loaded
        assert comparable(followed_one) == comparable(taken(load(store), TERMS, None))
