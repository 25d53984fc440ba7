"""Finds tables under a prefix, and names what it passes over.

A folder is asked first whether it has a `_delta_log/`; only a folder without one is listed, one level, so that the data files of a table
are never listed, however many there are. A level that goes on for pages without a table is left there. Neighbours in other formats
(Iceberg, Hudi, plain Parquet) are named with the reason why they are passed over. Depth and pages are bounded, and reaching a bound is
itself a finding, never a silence; so is a folder that is denied.

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
from compactor.service.globs import matches
from compactor.storage.base import Listing, ObjectStore

MAX_DEPTH = 8
MAX_PAGES = 3
"""Pages of a level that are read before there is a table below it; with one, up to MOST_PAGES."""
MOST_PAGES = 1000
_AHEAD = 16  # folders looked into at once: a listing is mostly waiting
_LOG = "_delta_log/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Something that is not a table of ours, or is not looked into. `reason` is a stable code: iceberg, hudi, parquet, too-deep, too-many,
    excluded; from catalogues also not-delta and symlink."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Globs over URIs: folders that fit one of `exclude` are not looked into, tables that fit none of `include` are passed over."""

    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()

    def why_not(self, uri: str, *, table: bool = True) -> str | None:
        """Why this folder, or table, is passed over; None when it is not."""
        glob = matches(uri, self.exclude)
        if glob is not None:
            return f'it fits "{glob}", which is excluded'
        return None if not table or matches(uri, self.include) else "it fits no glob of those that are included"


def discover(
    store: ObjectStore, *, max_depth: int = MAX_DEPTH, max_pages: int = MAX_PAGES, chosen: Filter | None = None
) -> Iterator[Found]:
    """Tables and neighbours below the store's root (the root itself may be one), as they are found, always in the same order.

    max_depth: folders below the root that are looked into. max_pages: pages of listing read for a folder that is no table, and has none
    below it among these. Costs one request a table, two or three for every other folder. Raises StorageError; a folder below the root that
    may not be read is a FailedTable instead.
    """
    with ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="discover") as pool:
        walk = _Walk(store, pool, (max_depth, max_pages), chosen or Filter())
        try:
            yield from walk.below(walk.look(""), 0)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Walk:
    """One traversal, depth first, looking a few siblings ahead."""

    def __init__(self, store: ObjectStore, pool: ThreadPoolExecutor, bounds: tuple[int, int], chosen: Filter) -> None:
        self._store = store
        self._pool = pool
        self._max_depth, self._max_pages = bounds
        self._chosen = chosen

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
        level, uri = look.level, self._uri(look.folder)
        if level is None:
            why = self._chosen.why_not(uri)
            yield TableRef(uri=uri) if why is None else Neighbour(uri=uri, reason="excluded", why=why)
            return
        foreign = self._foreign(look.folder, level)
        if foreign is not None:
            yield foreign
            return
        folders = [folder for folder in sorted(level.folders) if not _hidden(folder)]
        if folders and depth >= self._max_depth:
            yield Neighbour(uri=uri, reason="too-deep", why=f"it lies more than {self._max_depth} folders deep; scan it by itself")
            return
        tables = 0
        for found in self._children(look.folder, folders, depth):
            tables += isinstance(found, TableRef)
            yield found
        if not level.complete:
            yield from self._rest(look.folder, set(level.folders), depth) if tables else self._too_many(look.folder, self._max_pages)

    def _rest(self, folder: str, known: set[str], depth: int) -> Iterator[Found]:
        """What the first pages of a level did not show."""
        level = self._store.list_level(folder, max_pages=MOST_PAGES)
        rest = [child for child in sorted(level.folders) if child not in known and not _hidden(child)]
        yield from self._children(folder, rest, depth)
        if not level.complete:
            yield from self._too_many(folder, MOST_PAGES)

    def _too_many(self, folder: str, pages: int) -> Iterator[Found]:
        less = " and no table below the first of them" if pages == self._max_pages else ""
        why = f"it has more than {pages:,} pages of entries{less}; the rest is passed over, scan a folder below it"
        yield Neighbour(uri=self._uri(folder), reason="too-many", why=why)

    def _children(self, folder: str, folders: list[str], depth: int) -> Iterator[Found]:
        inside = []
        for child in folders:
            why = self._chosen.why_not(self._uri(child), table=False)
            if why is None:
                inside.append(child)
            else:
                yield Neighbour(uri=self._uri(child), reason="excluded", why=why)
        for look in _ahead(self._pool, self.peek, [child for child in inside if not _is_partition(child)]):
            yield from self.below(look, depth + 1)
        partitions = [child for child in inside if _is_partition(child)]
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
