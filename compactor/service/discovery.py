"""Finds tables under a prefix, and names what it passes over.

A folder is asked first whether it has a `_delta_log/`; only a folder without one is listed, one level, so that the data files of a table
are never listed, however many there are. Neighbours in other formats (Iceberg, Hudi, plain Parquet) are named with the reason why they
are passed over. Depth and pages are bounded, and reaching a bound is itself a finding, never a silence; so is a folder that is denied.

Must never: open a table, write, or descend into one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from compactor.errors import AccessDenied
from compactor.model.health import Decision, Health
from compactor.model.snapshot import TableRef
from compactor.storage.base import Listing, ObjectStore

MAX_DEPTH = 8
MAX_PAGES = 20
_AHEAD = 16  # folders looked into at once: a listing is mostly waiting
_LOG = "_delta_log/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Something below the prefix that is not a table of ours. `reason` is a stable code: iceberg, hudi, parquet, too-deep, too-many."""

    uri: str
    reason: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedTable:
    """A table as a scan saw it. `decision` says whether a run would do something, and why; a refused table is a Skip with its reason."""

    table: TableRef
    version: int
    health: Health
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTable:
    """A table, or a folder that may be one, that could not be looked at. `exit_code` and `why` are those of the error; the scan goes on."""

    table: TableRef
    exit_code: int
    why: str


ScanEntry = ScannedTable | FailedTable | Neighbour
Found = TableRef | Neighbour | FailedTable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one folder is. `level` is None for a table: its inside is nobody's business here. `denied`: nobody could tell."""

    folder: str
    level: Listing | None = None
    denied: AccessDenied | None = None


def discover(store: ObjectStore, *, max_depth: int = MAX_DEPTH, max_pages: int = MAX_PAGES) -> Iterator[Found]:
    """Tables and neighbours below the store's root (the root itself may be one), as they are found, always in the same order.

    max_depth: folders below the root that are looked into. max_pages: pages of listing read for a folder that is no table.
    Costs one request a table, two or three for every other folder. Raises StorageError; a folder below the root that may not be read is
    a FailedTable instead.
    """
    with ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="discover") as pool:
        walk = _Walk(store, pool, max_depth, max_pages)
        try:
            yield from walk.below(walk.look(""), 0)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Walk:
    """One traversal, depth first, looking a few siblings ahead."""

    def __init__(self, store: ObjectStore, pool: ThreadPoolExecutor, max_depth: int, max_pages: int) -> None:
        self._store = store
        self._pool = pool
        self._max_depth = max_depth
        self._max_pages = max_pages

    def look(self, folder: str) -> _Look:
        probe = self._store.list_level(folder + _LOG, max_pages=1)
        if probe.objects or probe.folders:
            return _Look(folder=folder)
        return _Look(folder=folder, level=self._store.list_level(folder, max_pages=self._max_pages))

    def peek(self, folder: str) -> _Look:
        """Like `look`, for one folder of many: what is denied there must not hide the others."""
        try:
            return self.look(folder)
        except AccessDenied as error:
            return _Look(folder=folder, denied=error)

    def below(self, look: _Look, depth: int) -> Iterator[Found]:
        if look.denied is not None:
            yield FailedTable(table=TableRef(uri=self._uri(look.folder)), exit_code=look.denied.exit_code, why=str(look.denied))
            return
        level = look.level
        if level is None:
            yield TableRef(uri=self._uri(look.folder))
            return
        foreign = self._foreign(look.folder, level)
        if foreign is not None:
            yield foreign
            return
        if not level.complete:
            why = f"it has more than {self._max_pages} pages of entries; scan a folder below it"
            yield Neighbour(uri=self._uri(look.folder), reason="too-many", why=why)
        folders = [folder for folder in sorted(level.folders) if not _hidden(folder)]
        if folders and depth >= self._max_depth:
            why = f"it lies more than {self._max_depth} folders deep; scan it by itself"
            yield Neighbour(uri=self._uri(look.folder), reason="too-deep", why=why)
            return
        yield from self._children(look.folder, folders, depth)

    def _children(self, folder: str, folders: list[str], depth: int) -> Iterator[Found]:
        for look in _ahead(self._pool, self.peek, [child for child in folders if not _is_partition(child)]):
            yield from self.below(look, depth + 1)
        partitions = [child for child in folders if _is_partition(child)]
        for index, look in enumerate(_ahead(self._pool, self.peek, partitions)):
            for found in self.below(look, depth + 1):
                if index == 0 and isinstance(found, Neighbour) and found.reason == "parquet":
                    yield self._parquet(folder)  # the first partition of plain Parquet speaks for all, be they thousands
                    return
                yield found

    def _foreign(self, folder: str, level: Listing) -> Neighbour | None:
        names = {name.rstrip("/").rpartition("/")[2] for name in level.folders}
        if ".hoodie" in names:
            return Neighbour(uri=self._uri(folder), reason="hudi", why="it is a Hudi table (.hoodie/); only Delta tables are compacted")
        if "metadata" in names and self._has_iceberg_metadata(folder):
            return Neighbour(
                uri=self._uri(folder), reason="iceberg", why="it is an Iceberg table (metadata/); only Delta tables are compacted"
            )
        if any(item.key.endswith((".parquet", ".parq")) for item in level.objects):
            return self._parquet(folder)
        return None

    def _has_iceberg_metadata(self, folder: str) -> bool:
        try:
            level = self._store.list_level(folder + "metadata/", max_pages=1)
        except AccessDenied:
            return False  # then it is a folder of that name, and is named when its turn comes
        return any(item.key.endswith((".metadata.json", ".metadata.json.gz", "version-hint.text")) for item in level.objects)

    def _parquet(self, folder: str) -> Neighbour:
        why = "it holds plain Parquet files without a _delta_log/; there is nothing that could be committed to"
        return Neighbour(uri=self._uri(folder), reason="parquet", why=why)

    def _uri(self, folder: str) -> str:
        root = self._store.uri.rstrip("/")
        return f"{root}/{folder.rstrip('/')}" if folder else root


def _hidden(folder: str) -> bool:
    return folder.rstrip("/").rpartition("/")[2].startswith(("_", "."))


def _is_partition(folder: str) -> bool:
    return "=" in folder.rstrip("/").rpartition("/")[2]


def _ahead(pool: ThreadPoolExecutor, look: Callable[[str], _Look], folders: Iterable[str]) -> Iterator[_Look]:
    """Looks in the order of `folders`, a bounded number of them under way."""
    waiting: deque[Future[_Look]] = deque()
    for folder in folders:
        waiting.append(pool.submit(look, folder))
        if len(waiting) >= _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
