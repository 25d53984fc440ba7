"""Intents: what a run will write, said before its first output (design rule 4), and gone once nothing of it can be left over.

From an intent anyone can find everything that the run may have written: the outputs of a group are the objects whose name starts with
its stem, in the folder of the group's first input. Stems are unique to one attempt at a run, so what lies under them is that run's and
nobody else's. An intent says nothing about what was committed; the log says that. Nothing here deletes a data file.

Two attempts at one run id (a job retried after a crash) leave two intents: the second gets a numbered name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compactor.coordination.documents import check_run_id, create, decode, encode
from compactor.errors import StorageError
from compactor.storage.base import ObjectStore

INTENT_FORMAT_VERSION = 1
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentGroup:
    """Outputs of this group begin with `stem` and lie beside the file `beside` (spelled as in the table's log)."""

    group_id: int
    beside: str
    stem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One attempt at a run. `version`: the version it was planned on; `created_ms`: by the writer's clock, for people only.

    nonce: unique to the attempt, part of the names of all that is said about it later. owner: the process that runs it, as only other
    processes of its machine can tell (`Owners`); empty when unknown.
    """

    run_id: str
    table: str
    version: int
    created_ms: int
    groups: tuple[IntentGroup, ...]
    nonce: str = ""
    owner: str = ""


def write_intent(store: ObjectStore, prefix: str, intent: Intent) -> str:
    """Create the intent object below `prefix` (empty or ending in `/`) and give its key. Raises StorageError, UsageError (run id)."""
    name = check_run_id(intent.run_id)
    data = encode("intent", INTENT_FORMAT_VERSION, _body(intent))
    for number in range(_ATTEMPTS):
        key = f"{prefix}intents/{name}{f'~{number}' if number else ''}.json"
        if create(store, key, data):
            return key
    raise StorageError(f"{store.uri}/{prefix}intents holds {_ATTEMPTS} unfinished attempts at run {intent.run_id}; choose another run id.")


def read_intent(store: ObjectStore, key: str) -> Intent:
    """The intent at `key`. Raises ObjectMissing, TableRefused (newer format), TableCorrupt."""
    where = f"{store.uri}/{key}"
    document = decode(store.get(key), "intent", INTENT_FORMAT_VERSION, where)
    return Intent(
        run_id=document["run_id"],
        table=document["table"],
        version=document["version"],
        created_ms=document["created_ms"],
        groups=tuple(_groups(document["groups"])),
        nonce=document.get("nonce", ""),
        owner=document.get("owner", ""),
    )


def intent_keys(store: ObjectStore, prefix: str) -> Iterator[str]:
    """Keys of the intents of runs that have not ended cleanly, or not yet."""
    return (item.key for item in store.list(f"{prefix}intents/") if item.key.endswith(".json"))


def _body(intent: Intent) -> dict[str, object]:
    return {
        "run_id": intent.run_id,
        "table": intent.table,
        "version": intent.version,
        "created_ms": intent.created_ms,
        "nonce": intent.nonce,
        "owner": intent.owner,
        "groups": [[group.group_id, group.beside, group.stem] for group in intent.groups],
    }


def _groups(rows: Iterable[tuple[int, str, str]]) -> Iterator[IntentGroup]:
    return (IntentGroup(group_id=group_id, beside=beside, stem=stem) for group_id, beside, stem in rows)
