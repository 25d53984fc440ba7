"""How large files become when they are compacted, learned from the table's own earlier runs: bytes out for each byte that others wrote.

Only entries that loading reads anyway are looked at, plus at most the newest one, where a checkpoint hides it. Each commit of ours says
which ratio its plan used. While such a commit is the newest version, that same ratio holds: a run right after another must not see the
table with other eyes, or a compacted table would not be a fixed point. When others have written since, the ratio is learned anew.

Files that we wrote keep their size when they are rewritten, so they are taken off both sides. Purges teach nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from compactor.errors import CompactorError
from compactor.storage.base import ObjectStore
from compactor.tables.delta.columns import GENERATION_TAG
from compactor.tables.delta.log import entry_key
from compactor.tables.delta.state import Action, Learned, LogEntry

RATIO_TAG = "compactor.compression"
RUN_TAG = "compactor.runId"
LEAST, MOST = 0.5, 2.0
"""A learned ratio is kept within these. Partitions differ: where files do not shrink at all, an output becomes twice the target at most."""
_HEAD_BYTES = 64 * 1024


def learn(known: Learned, entry: LogEntry) -> Learned:
    """`known` and what this entry adds to it. Entries come in ascending order."""
    used = _ratio_of(entry.commit_info)
    if used is None:
        return known
    taken = kept = 0.0
    for remove in entry.removes:
        live = _live_bytes(remove)
        if GENERATION_TAG in (remove.get("tags") or {}):
            kept += live
        else:
            taken += live
    made = sum(_int(add.get("size")) for add in entry.adds) - kept
    usable = (entry.commit_info or {}).get("operation") == "OPTIMIZE" and taken > 0 and made > 0
    return Learned(
        version=entry.version, used=used, taken=known.taken + (taken if usable else 0.0), made=known.made + (made if usable else 0.0)
    )


def ratio(store: ObjectStore, known: Learned, version: int, checkpoint_version: int | None) -> float:
    """The ratio for a plan on `version`. One when nothing is known. A newest entry that cannot be read teaches nothing."""
    if known.version < version and checkpoint_version == version:
        used = _newest(store, version)
        if used is not None:
            return used
    if known.version == version:
        return known.used
    if known.taken <= 0:
        return 1.0
    return round(min(MOST, max(LEAST, known.made / known.taken)), 3)


def _newest(store: ObjectStore, version: int) -> float | None:
    """The ratio in the first line of an entry, which is where we write it."""
    key = entry_key(version)
    try:
        found = store.head(key)
        if found is None:
            return None
        (head,) = store.get_ranges(key, [(0, min(found.size_bytes, _HEAD_BYTES))])
        return _ratio_of(orjson.loads(bytes(head).split(b"\n", 1)[0]).get("commitInfo"))
    except (CompactorError, ValueError, AttributeError):
        return None


def _ratio_of(info: Mapping[str, Any] | None) -> float | None:
    """The ratio that a commit of ours was planned with; None for a commit of others. Ours without one were planned with 1."""
    tags = (info or {}).get("tags")
    if not isinstance(tags, dict) or RUN_TAG not in tags:
        return None
    try:
        used = float(tags.get(RATIO_TAG, 1.0))
    except (TypeError, ValueError):
        return 1.0
    return used if LEAST <= used <= MOST else 1.0


def _live_bytes(remove: Action) -> float:
    """The share of a removed file that its deletes had left."""
    size, vector = _int(remove.get("size")), remove.get("deletionVector")
    if not vector:
        return size
    try:
        rows, gone = int(orjson.loads(remove["stats"])["numRecords"]), int(vector["cardinality"])
    except (KeyError, TypeError, ValueError):
        return size
    return size * max(0.0, 1 - gone / rows) if rows > 0 else 0.0


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
