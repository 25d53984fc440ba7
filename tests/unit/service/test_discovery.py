"""Discovery: which folders are tables, which are neighbours, and what is never listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from compactor.errors import AccessDenied
from compactor.model.snapshot import TableRef
from compactor.service.discovery import FailedTable, Filter, Neighbour, discover
from compactor.storage.base import Listing, ObjectStore
from compactor.storage.memory import MemoryBucket, MemoryStore


class Watched:
    """A store that remembers which folders were listed."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.listed: list[str] = []

    @property
    def uri(self) -> str:
        return self._store.uri

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        self.listed.append(prefix)
        return self._store.list_level(prefix, max_pages)


def lake(*keys: str) -> Watched:
    store = MemoryStore(MemoryBucket("lake"))
    for key in keys:
        store.put(key, b"x")
    return Watched(store)


def found(store: Watched, max_depth: int = 8) -> Iterator[str]:
    """`table URI` or `reason URI`."""
    for item in discover(store, max_depth=max_depth):  # type: ignore[arg-type]
        yield f"table {item.uri}" if isinstance(item, TableRef) else f"{item.reason} {item.uri}"


COMMIT = "_delta_log/00000000000000000000.json"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((COMMIT, "part-0.parquet", "day=1/part-1.parquet"), ["table memory://lake"]),
        ((f"a/{COMMIT}", f"b/c/{COMMIT}", "b/c/part-0.parquet"), ["table memory://lake/a", "table memory://lake/b/c"]),
        ((f"b/{COMMIT}", "a/metadata/v1.metadata.json", "a/data/x.parquet"), ["iceberg memory://lake/a", "table memory://lake/b"]),
        (("a/metadata/notes.txt", f"a/metadata/{COMMIT}"), ["table memory://lake/a/metadata"]),
        (("a/.hoodie/hoodie.properties", "a/x.parquet"), ["hudi memory://lake/a"]),
        (("raw/x.parquet", "raw/y.csv"), ["parquet memory://lake/raw"]),
        (("raw/day=1/hour=2/x.parquet", "raw/day=2/hour=1/x.parquet"), ["parquet memory://lake/raw"]),
        ((f"env=dev/a/{COMMIT}", f"env=prod/a/{COMMIT}"), ["table memory://lake/env=dev/a", "table memory://lake/env=prod/a"]),
        ((f"_hidden/{COMMIT}", f".tmp/{COMMIT}", "notes/readme.txt"), []),
        ((), []),
    ],
)
def test_what_a_prefix_holds(keys: tuple[str, ...], expected: Sequence[str]) -> None:
    """Tables are found at any level, neighbours are named once with their format, and everything else is nothing."""
    assert list(found(lake(*keys))) == expected


def test_data_files_are_never_listed() -> None:
    """Inside a table only the log is asked for: neither its root nor its partitions are listed."""
    store = lake(f"a/{COMMIT}", "a/day=1/x.parquet", "a/part-0.parquet")
    assert list(found(store)) == ["table memory://lake/a"]
    assert sorted(store.listed) == ["", "_delta_log/", "a/_delta_log/"]


def test_one_partition_of_plain_parquet_speaks_for_all() -> None:
    """Thousands of partitions of plain Parquet cost a bounded number of requests."""
    store = lake(*(f"raw/day={day:04d}/x.parquet" for day in range(2000)))
    assert list(found(store)) == ["parquet memory://lake/raw"]
    assert len(store.listed) < 50


def test_depth_is_bounded_aloud() -> None:
    """Folders below the bound are not looked into, and the scan says so."""
    store = lake(f"a/b/c/{COMMIT}", f"d/{COMMIT}")
    assert list(found(store, max_depth=1)) == ["too-deep memory://lake/a", "table memory://lake/d"]


class Paged(Watched):
    """A store whose pages hold two entries."""

    def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
        level = super().list_level(prefix, max_pages)
        names = sorted([*level.folders, *(item.key for item in level.objects)])[: 2 * (max_pages or len(level.folders) + 1)]
        folders, objects = (folder for folder in level.folders if folder in names), (item for item in level.objects if item.key in names)
        return Listing(folders=tuple(folders), objects=tuple(objects), complete=len(names) == len(level.folders) + len(level.objects))


def paged(*keys: str) -> Paged:
    inner = MemoryStore(MemoryBucket("lake"))
    for key in keys:
        inner.put(key, b"x")
    return Paged(inner)


def test_pages_without_a_table_end() -> None:
    """A level that shows no table on its first three pages is left there, and named; nothing further in it is looked at."""
    store = paged(*(f"raw/d{number}/notes.txt" for number in range(50)), f"raw/z/{COMMIT}", f"a/{COMMIT}")
    assert list(found(store)) == ["table memory://lake/a", "too-many memory://lake/raw"]
    assert len(store.listed) < 20


def test_pages_with_tables_go_on() -> None:
    """A folder with thousands of tables is read to its end, each table once."""
    store = paged(*(f"raw/t{number:02d}/{COMMIT}" for number in range(50)))
    assert list(found(store)) == [f"table memory://lake/raw/t{number:02d}" for number in range(50)]


def test_globs_choose() -> None:
    """An excluded folder is named and not looked into; a table that is not included is named; nothing is passed over in silence."""
    store = lake(f"a/{COMMIT}", f"b/tmp/x/{COMMIT}", f"b/c/{COMMIT}", f"d/{COMMIT}")
    chosen = Filter(include=("memory://lake/[ab]", "memory://lake/a", "memory://lake/b/**"), exclude=("**/tmp/**",))
    shown = [(getattr(item, "reason", "table"), item.uri) for item in discover(store, chosen=chosen)]  # type: ignore[arg-type, union-attr]
    assert sorted(shown) == [
        ("excluded", "memory://lake/b/tmp"),
        ("excluded", "memory://lake/d"),
        ("table", "memory://lake/a"),
        ("table", "memory://lake/b/c"),
    ]
    assert not any(folder.startswith("b/tmp") for folder in store.listed)


def test_an_error_of_the_store_comes_through() -> None:
    """A store that refuses to list is an error, not an empty prefix."""

    class Refusing(Watched):
        def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
            if prefix.startswith("b/"):
                raise PermissionError("no")
            return super().list_level(prefix, max_pages)

    inner = MemoryStore(MemoryBucket("lake"))
    inner.put(f"a/{COMMIT}", b"x")
    inner.put("b/x.txt", b"x")
    items = discover(Refusing(inner))  # type: ignore[arg-type]
    assert next(items) == TableRef(uri="memory://lake/a")
    with pytest.raises(PermissionError):
        next(items)


@pytest.mark.parametrize("denied", ["b/", "b/_delta_log/", "b/metadata/"])
def test_a_folder_that_is_denied_hides_no_other(denied: str) -> None:
    """What may not be read below the root is an entry with its reason, and the scan goes on; a root that is denied is an error."""

    class Denying(Watched):
        def list_level(self, prefix: str, max_pages: int | None = None) -> Listing:
            if prefix.startswith(denied):
                raise AccessDenied(f"Access to {prefix} was denied.")
            return super().list_level(prefix, max_pages)

    inner = MemoryStore(MemoryBucket("lake"))
    for key in (f"a/{COMMIT}", "b/metadata/x", f"c/{COMMIT}"):
        inner.put(key, b"x")
    first, failed, last = discover(Denying(inner))  # type: ignore[arg-type]
    assert (first, last) == (TableRef(uri="memory://lake/a"), TableRef(uri="memory://lake/c"))
    assert isinstance(failed, FailedTable)
    assert failed.table.uri.startswith("memory://lake/b") and (failed.exit_code, "was denied" in failed.why) == (5, True)
    denied = ""
    with pytest.raises(AccessDenied):
        next(discover(Denying(inner)))  # type: ignore[arg-type]


def test_every_neighbour_has_a_sentence() -> None:
    """A neighbour's reason is a code for programs and a sentence for people."""
    for item in discover(lake("raw/x.parquet", "ice/metadata/version-hint.text", "hudi/.hoodie/x")):  # type: ignore[arg-type]
        assert isinstance(item, Neighbour)
        assert "Delta" in item.why or "_delta_log" in item.why
