"""What is said about an intent after it was written: small objects beside it, each created once, so that the first to say it is the one.

    <run>.json                       the intent itself (intent.py)
    <run>.<nonce>.beat               its run was at work when the store dated this (overwritten; says nothing else)
    <run>.<nonce>.ended              its run is not at work any more; who fences it may commit the finished groups that it left
    <run>.<nonce>.fence              its run commits nothing any more; `by` says who decides about what it wrote
    <run>.<nonce>.seen               the newest version of the log that was listed after the fence was durable
    <run>.<nonce>.swept              what could be deleted was deleted once; its age, by the store's dates, tells when to look again

The nonce is unique to one attempt at a run: a marker never speaks of another attempt of that name. Nothing here deletes a data file.

    written ──► (ended ──►) fenced ──► seen (version L) ──► a version above L exists ──► swept ──► again after the task deadline ──► gone
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from compactor.coordination.documents import create, decode, encode
from compactor.errors import ObjectMissing
from compactor.storage.base import ObjectMeta, ObjectStore

MARKER_FORMAT_VERSION = 1
BY_OWNER = "owner"
"""Fenced by the run itself: it ended, or it is about to delete outputs whose results it had kept."""
BY_RECOVERY = "recovery"
"""Fenced by somebody who will only delete. Any other name is that of the intent whose run may commit the finished groups."""


class Marker(StrEnum):
    """Kinds of markers, as they end their names."""

    BEAT = "beat"
    ENDED = "ended"
    FENCE = "fence"
    SEEN = "seen"
    SWEPT = "swept"


_ENDINGS = frozenset(str(marker) for marker in Marker)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An intent as one listing shows it. `markers`: by name ending, for every nonce that was ever used with this name."""

    key: str
    modified_ms: int
    markers: Mapping[str, ObjectMeta] = field(default_factory=dict)


def base_of(intent_key: str, nonce: str) -> str:
    """What the names of the markers of one attempt begin with."""
    return f"{intent_key.removesuffix('.json')}.{nonce}"


def results_folder(prefix: str, base: str) -> str:
    """Where results of an attempt are kept, from what the names of its markers begin with."""
    return f"{prefix}results/{base.rpartition('/')[2]}/"


def find_intents(store: ObjectStore, prefix: str) -> tuple[list[Found], list[str]]:
    """Every intent with its markers, and the keys of markers whose intent is gone. One listing. Raises StorageError."""
    intents: dict[str, ObjectMeta] = {}
    markers: dict[str, dict[str, ObjectMeta]] = {}
    for item in store.list(f"{prefix}intents/"):
        if item.key.endswith(".json"):
            intents[item.key] = item
        elif item.key.rpartition(".")[2] in _ENDINGS:
            markers.setdefault(f"{item.key.rsplit('.', 2)[0]}.json", {})[item.key] = item
    found = [Found(key=key, modified_ms=item.modified_ms, markers=markers.pop(key, {})) for key, item in intents.items()]
    return found, [key for lost in markers.values() for key in lost]


def say(store: ObjectStore, base: str, marker: Marker, **body: str | int) -> bool:
    """Create a marker. True when it says what we say; False when somebody said it first. Raises StorageError."""
    return create(store, f"{base}.{marker}", encode(marker, MARKER_FORMAT_VERSION, body))


def said(store: ObjectStore, base: str, marker: Marker) -> Mapping[str, str | int] | None:
    """What a marker says, or None when it is not there. Raises StorageError, TableRefused (newer format), TableCorrupt."""
    key = f"{base}.{marker}"
    try:
        data = store.get(key)
    except ObjectMissing:
        return None
    return decode(data, marker, MARKER_FORMAT_VERSION, f"{store.uri}/{key}")


def beat(store: ObjectStore, base: str) -> None:
    """Let the store date a sign of life. Raises StorageError."""
    store.put(f"{base}.{Marker.BEAT}", encode(Marker.BEAT, MARKER_FORMAT_VERSION, {}))


def is_fenced(store: ObjectStore, base: str) -> bool:
    """Whether the run may commit nothing any more. Raises StorageError."""
    return store.head(f"{base}.{Marker.FENCE}") is not None


def may_commit(store: ObjectStore, intent_key: str, base: str) -> bool:
    """Whether the run is neither fenced nor cleaned up after: with its intent, its fence goes too, so it is looked for last.

    Raises StorageError.
    """
    return not is_fenced(store, base) and store.head(intent_key) is not None


def erase(store: ObjectStore, base: str) -> None:
    """Remove all markers of an attempt whose intent is gone. Raises StorageError."""
    store.delete([f"{base}.{marker}" for marker in Marker])
