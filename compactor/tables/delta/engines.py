"""Who has been writing the table: the `engineInfo` of the retained commits, read without reading the commits.

A commitInfo stands in the first line of an entry, with some old writers in the last: only both ends of large entries are fetched. Nothing
here decides; gate.py does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import orjson

from compactor.errors import ObjectMissing
from compactor.storage.base import ObjectMeta, ObjectStore, in_memory
from compactor.tables.delta.log import IN_FLIGHT, LogListing

NEWEST_ENTRIES = 200
"""How far back is looked, at most: a writer that is still active is among the newest."""
_END_BYTES = 16 * 1024

_SPARK = re.compile(r"(?i)(apache-)?spark|databricks")
_DUPLICATING = re.compile(r"delta-rs:py-1\.6\.[456]\b")


def is_spark(engine: str) -> bool:
    """Whether Spark wrote it, whose default log store on S3 takes a version without asking the store whether it is free."""
    return _SPARK.match(engine) is not None


def duplicates_rows(engine: str) -> bool:
    """Whether it is a release of deltalake whose stale overwrites, deletes and OPTIMIZEs double rows that a compaction moved."""
    return _DUPLICATING.match(engine) is not None


def is_ours(engine: str) -> bool:
    """Whether a compactor of ours wrote it, of whatever release."""
    return engine.startswith("lakehouse-compactor/")


def retained_engines(store: ObjectStore, listing: LogListing, known: Iterable[str], *, newest: int = NEWEST_ENTRIES) -> tuple[str, ...]:
    """`known` and the engines of the newest retained commits, each once. Raises StorageError."""
    found = engines(store, listing, newest=newest)
    return tuple(dict.fromkeys([*known, *(engine for engine in found if engine is not None)]))


def engines(store: ObjectStore, listing: LogListing, *, newest: int | None = None) -> list[str | None]:
    """Who signed each of the newest commits of `listing` (None: of all), newest first; None: nobody. Raises StorageError."""
    metas = [listing.commits[version] for version in sorted(listing.commits, reverse=True)[:newest]]
    if in_memory(store) or len(metas) < 3:
        return [_engine(store, meta) for meta in metas]
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="engines") as pool:
        return list(pool.map(lambda meta: _engine(store, meta), metas))


def _engine(store: ObjectStore, meta: ObjectMeta) -> str | None:
    try:
        if meta.size_bytes <= 2 * _END_BYTES:
            ends = [store.get(meta.key)]
        else:
            ends = store.get_ranges(meta.key, [(0, _END_BYTES), (meta.size_bytes - _END_BYTES, _END_BYTES)])
    except ObjectMissing:  # cleaned up since the listing
        return None
    for end in ends:
        for line in bytes(end).split(b"\n"):
            if line.lstrip().startswith(b'{"commitInfo"') and (engine := _engine_of(line)) is not None:
                return engine
    return None


def _engine_of(line: bytes) -> str | None:
    try:
        engine = orjson.loads(line)["commitInfo"].get("engineInfo")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return engine if isinstance(engine, str) else None
