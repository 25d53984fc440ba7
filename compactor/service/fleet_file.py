"""What is known of all tables, as JSON lines to start from after a restart. Pure: states in, bytes out, and back.

Times become ages, because the clock of the next process has another zero. A file of a newer format, or one that cannot be read, is as none:
then tables are loaded, which costs requests and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import orjson

from compactor.model.run import RunStatus
from compactor.service.config import ServiceConfig
from compactor.service.policies import policy_of
from compactor.service.standing import Standing, Tally, Terms
from compactor.service.table_state import LastRun, TableState, suffered_at
from compactor.service.work import Work

FORMAT_VERSION = 1


def fleet_bytes(states: Iterable[TableState], now_s: float) -> bytes:
    """The file."""
    lines = [orjson.dumps({"format_version": FORMAT_VERSION, "kind": "fleet"})]
    lines += [orjson.dumps(_object(state, now_s)) for state in states if state.standing is not None]
    return b"\n".join(lines) + b"\n"


def read_fleet(data: bytes, config: ServiceConfig, now_s: float) -> dict[str, TableState]:
    """States by URI, under the rules of `config`; none when the file is of no use here. All are to be looked at again."""
    try:
        header, *lines = data.splitlines()
        said = orjson.loads(header)
        if said["kind"] != "fleet" or said["format_version"] > FORMAT_VERSION:
            return {}
        states = [_state(orjson.loads(line), config, now_s) for line in lines]
    except (ValueError, KeyError, TypeError):
        return {}
    return {state.uri: state for state in states}


def fleet_tables(data: bytes) -> frozenset[str] | None:
    """URIs of the tables in the file, also of one of a newer format; None when it is no such file."""
    try:
        return frozenset(orjson.loads(line)["uri"] for line in data.splitlines()[1:])
    except (ValueError, KeyError, TypeError):
        return None


def _object(state: TableState, now_s: float) -> dict[str, Any]:
    assert state.standing is not None
    return {
        "uri": state.uri,
        "owner": dict(state.owner),
        "standing": state.standing,
        "problem": state.problem,
        "loaded_ago_s": now_s - state.loaded_s,
        "worth_for_s": None if state.worth_since_s is None else now_s - state.worth_since_s,
        "suffered": suffered_at(state, now_s),
        "bad": state.bad,
        "retry_in_s": max(0.0, state.retry_s - now_s),
        "vain": state.vain,
        "vain_ago_s": now_s - state.vain_s,
        "vain_in_s": max(0.0, state.vain_until_s - now_s),
        "not_yet": state.not_yet,
        "vain_files": state.vain_files,
        "last": state.last,
    }


def _state(body: Mapping[str, Any], config: ServiceConfig, now_s: float) -> TableState:
    kept = _known(Standing, body["standing"])
    partitions = {key: Tally(**_known(Tally, tally)) for key, tally in kept["partitions"].items()}
    terms = Terms(**_known(Terms, kept["terms"]))
    if not all("exempt" in tally for tally in kept["partitions"].values()):
        kept["unclear"] = kept["unclear"] or "an earlier release counted its files otherwise"
    standing = Standing(**{**kept, "terms": terms, "partition_names": tuple(kept["partition_names"]), "partitions": partitions})
    last = None if body["last"] is None else LastRun(**{**_known(LastRun, body["last"]), "status": RunStatus(body["last"]["status"])})
    state = TableState(
        uri=body["uri"],
        policy=policy_of(config, body["uri"], body["owner"]),
        standing=standing,
        work=Work(),
        takes=None,
        problem=None if body["problem"] is None else tuple(body["problem"]),
        looked_s=now_s,
        loaded_s=now_s - body["loaded_ago_s"],
        worth_since_s=None if body["worth_for_s"] is None else now_s - body["worth_for_s"],
        suffered=body["suffered"],
        bad=body["bad"],
        retry_s=now_s + body["retry_in_s"],
        vain=body["vain"],
        vain_s=now_s - body["vain_ago_s"],
        vain_until_s=now_s + body["vain_in_s"],
        not_yet=int(body.get("not_yet", 0)),
        vain_files=int(body.get("vain_files", 0)),
        last=last,
        owner=body["owner"],
    )
    return replace(state, changed=True)


def _known(kind: type[Standing | Tally | Terms | LastRun], body: Mapping[str, Any]) -> dict[str, Any]:
    """What this release knows of a value; what a later one has added says nothing here."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in body.items() if key in names}
