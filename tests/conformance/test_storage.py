"""What every adapter and wrapper of the storage port does, whatever it stands on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store
from support.moto_s3 import Bucket
from support.storage_servers import NAMES, StorageServer

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.errors import ObjectMissing, StorageError
from compactor.storage import open_store
from compactor.storage.base import Created, CreateOutcome, Exists, ObjectStore
from compactor.storage.cloud import CloudStore
from compactor.storage.cloud_connection import CloudConnection
from compactor.storage.counting import CountingStore
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.storage.obstore_reads import READ_RETRIES, client_options, retry_config
from compactor.storage.patient import PatientStore
from compactor.storage.s3_connection import forget_connections

ODD_KEYS = [
    "with space/a b.json",
    "percent/a%20b%2F.parquet",
    "colon/ts=12:30:00/x",
    "p=1/q=a=b/part-0.parquet",
    "ünï/日本/é.parquet",
    "😀/x",
    "plus+and&hash#question?star*",
    "quote'double\"back\\slash",
    "<angle>[square]{curly}|^`~!$,;()@",
    "trailing./dot",
    ".hidden/_under",
    "%41",
]


@pytest.fixture(params=["memory", "local", "s3", "cloud", "counting", "faulty", "patient", *NAMES])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty store whose root is a folder with a space in its name. `cloud` is what serves GCS and Azure, here over S3's protocol; by
    `make test-storage` there are servers that are not ours besides."""
    if request.param in NAMES:
        server: StorageServer = request.getfixturevalue("storage_server")(request.param)
        forget_connections()
        uri, options = server.place(monkeypatch)
        return open_store(f"{uri}/some root", options)
    if request.param == "memory":
        return MemoryStore(MemoryBucket("test"), "some root")
    if request.param == "local":
        return open_store(str(tmp_path / "some root"))
    if request.param == "counting":
        return CountingStore(MemoryStore())
    if request.param == "patient":
        return PatientStore(MemoryStore(), Ambient(clock=VirtualClock(), ids=SeededIds(1), randomness=SeededRandomness(1)))
    if request.param == "faulty":
        return FaultyStore(CountingStore(open_store(str(tmp_path / "some root"))))
    bucket = request.getfixturevalue("s3_bucket")
    if request.param == "s3":
        return open_store(f"{bucket.uri}/some root", bucket.options)
    return CloudStore(over_s3(bucket), "some root")


def over_s3(bucket: Bucket) -> CloudConnection:
    """A connection of the generic obstore adapter to a bucket on S3: Google and Azure have no emulator here."""
    stores = [
        S3Store(
            bucket.name,
            endpoint=bucket.endpoint_url,
            region=bucket.options.region,
            access_key_id="testing",
            secret_access_key="testing",
            client_options=client_options(bucket.options, bucket.endpoint_url),
            retry_config=retry_config(retries),
        )
        for retries in (READ_RETRIES, 0)
    ]
    return CloudConnection(
        uri=bucket.uri, retrying=stores[0], once=stores[1], date_url=bucket.endpoint_url, ordered=True, options=bucket.options
    )


def keys(store: ObjectStore, prefix: str = "", start_after: str | None = None) -> list[str]:
    return [meta.key for meta in store.list(prefix, start_after)]


def test_what_is_put_is_what_is_read(store: ObjectStore) -> None:
    """put stores exactly the bytes, get and get_ranges return them, an overwrite replaces all of them."""
    store.put("a/b.bin", b"0123456789")
    assert bytes(store.get("a/b.bin")) == b"0123456789"
    store.put("a/b.bin", b"xyz")
    assert bytes(store.get("a/b.bin")) == b"xyz"
    store.put("empty", b"")
    assert bytes(store.get("empty")) == b""


def test_ranges(store: ObjectStore) -> None:
    """get_ranges returns each range, in the order asked for, empty, overlapping and out of order ones included."""
    data = bytes(range(256)) * 20_000
    store.put("a", data)
    ranges = [(5, 10), (0, 0), (5_000_000, 100), (0, 3), (3, 4), (len(data) - 1, 1), (len(data), 0)]
    assert [bytes(part) for part in store.get_ranges("a", ranges)] == [data[s : s + n] for s, n in ranges]
    assert store.get_ranges("a", []) == []


@pytest.mark.parametrize("wanted", [(90, 20), (100, 1), (500, 5), (3_000_000, 5)])
def test_a_range_beyond_the_end_is_an_error(store: ObjectStore, wanted: tuple[int, int]) -> None:
    """An object that is shorter than a range says is never answered with fewer bytes."""
    store.put("a", b"x" * 100)
    with pytest.raises(StorageError, match="shorter") as caught:
        store.get_ranges("a", [(0, 10), wanted])
    assert f"{store.uri}/a" in str(caught.value)


def test_missing_objects(store: ObjectStore) -> None:
    """An object that is not there is ObjectMissing by name, None to head, nothing to list, and nothing to delete."""
    with pytest.raises(ObjectMissing, match="no/such"):
        store.get("no/such")
    with pytest.raises(ObjectMissing, match="no/such"):
        store.get_ranges("no/such", [(0, 1)])
    assert store.head("no/such") is None
    assert keys(store) == []
    assert keys(store, "no/") == []
    assert store.list_level("no/").folders == ()
    store.delete(["no/such", "other"])


def test_a_folder_is_no_object(store: ObjectStore) -> None:
    """A key that only prefixes others does not exist; neither does one below an object."""
    store.put("a/b", b"1")
    assert store.head("a") is None
    assert store.head("a/b/c") is None
    with pytest.raises(ObjectMissing):
        store.get("a")


def test_create_is_exclusive(store: ObjectStore) -> None:
    """The first create of a key is Created, later ones are Exists and change nothing; the key can be created again after a delete."""
    assert isinstance(store.create("_delta_log/0.json", b"one"), Created)
    assert store.create("_delta_log/0.json", b"two") == Exists()
    assert bytes(store.get("_delta_log/0.json")) == b"one"
    store.delete(["_delta_log/0.json"])
    assert isinstance(store.create("_delta_log/0.json", b"three"), Created)


def test_head_describes(store: ObjectStore) -> None:
    """head tells the size and the store's own date; list tells the same."""
    before = store.now_ms()
    store.put("a/b", b"12345")
    meta = store.head("a/b")
    assert meta is not None
    assert (meta.key, meta.size_bytes) == ("a/b", 5)
    assert abs(meta.modified_ms - before) < 60_000
    assert list(store.list("a/")) == [meta]


def test_listing_is_in_order_of_utf8_bytes(store: ObjectStore) -> None:
    """Listing crosses folders in the order of whole keys, which sorts `a.b` before `a/b` before `a0`, and astral characters last."""
    names = ["a0", "a.b", "a/z", "a/b/c", "a-b", "a", "Z", "ü", "\uffee", "😀", "a/b.c"]
    names.remove("a")  # on a disk a name cannot be both a file and a folder
    for name in names:
        store.put(name, b"")
    assert keys(store) == sorted(names, key=lambda name: name.encode())


def test_listing_by_prefix_and_start(store: ObjectStore) -> None:
    """A prefix is a prefix of the key, not a folder; start_after is exclusive and need not exist."""
    log = [f"_delta_log/{version:020}.json" for version in range(12)]
    for name in [*log, "_delta_log/_last_checkpoint", "_delta_log2/x", "z"]:
        store.put(name, b"x")
    assert keys(store, "_delta_log/000000") == log
    assert keys(store, "_delta_log") == [*log, "_delta_log/_last_checkpoint", "_delta_log2/x"]
    assert keys(store, "_delta_log/", log[9]) == [*log[10:], "_delta_log/_last_checkpoint"]
    assert keys(store, "_delta_log/", f"{log[9]}.zzz") == [*log[10:], "_delta_log/_last_checkpoint"]
    assert keys(store, "", "_delta_log/_") == ["_delta_log/_last_checkpoint", "_delta_log2/x", "z"]
    assert keys(store, "_delta_log/", "a") == []
    assert keys(store, "_delta_log/", "A") == [*log, "_delta_log/_last_checkpoint"]
    assert keys(store, log[3]) == [log[3]]


def test_one_level(store: ObjectStore) -> None:
    """list_level tells the folders and the objects directly in a folder, and nothing below."""
    for name in ["top", "a/1", "a/b/2", "a/b/c/3", "a/d/4", "b/5", "a.x"]:
        store.put(name, b"x")
    root, inner = store.list_level(""), store.list_level("a/")
    assert (root.folders, [meta.key for meta in root.objects]) == (("a/", "b/"), ["a.x", "top"])
    assert (inner.folders, [meta.key for meta in inner.objects]) == (("a/b/", "a/d/"), ["a/1"])
    assert inner.complete


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys(store: ObjectStore, key: str) -> None:
    """A key is the object's real name: nothing in it is decoded, encoded or taken for a path."""
    if "\\" in key and store.uri.startswith("az://"):
        pytest.skip("Azurite stores a backslash of a name as a slash")
    store.put("other", b"other")
    assert isinstance(store.create(key, b"data"), Created)
    assert store.create(key, b"again") == Exists()
    assert bytes(store.get(key)) == b"data"
    assert [bytes(part) for part in store.get_ranges(key, [(1, 2)])] == [b"at"]
    meta = store.head(key)
    assert meta is not None
    assert (meta.key, meta.size_bytes) == (key, 4)
    assert sorted(keys(store)) == sorted([key, "other"])
    assert keys(store, key) == [key]
    with store.open_writer(key + ".w") as writer:
        writer.write(b"w")
    assert bytes(store.get(key + ".w")) == b"w"
    store.delete([key, key + ".w"])
    assert keys(store) == ["other"]


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", ".", "..", "../x", "a/../../x", "a/./b", "a\x00b"])
def test_impossible_keys_are_refused(store: ObjectStore, key: str) -> None:
    """A key that could leave the root, or that names different objects on different stores, is refused before the store is asked."""
    calls: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.get_ranges(key, [(0, 1)]),
        lambda: store.create(key, b""),
        lambda: store.put(key, b""),
        lambda: store.open_writer(key),
        lambda: store.head(key),
        lambda: store.delete([key]),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="not a usable object name"):
            call()
    assert keys(store) == []


def test_delete_many(store: ObjectStore) -> None:
    """delete takes any number of keys, those that do not exist included."""
    names = [f"d/{number:04}" for number in range(30)]
    for name in names:
        store.put(name, b"")
    store.delete(iter([*names[:-1], "missing"]))
    assert keys(store) == names[-1:]


@pytest.mark.parametrize("size", [0, 1, 1000, 8 * 1024 * 1024, 17 * 1024 * 1024 + 3])
def test_writers(store: ObjectStore, size: int) -> None:
    """A writer stores all that was written, in order, invisible before close; close tells the size, twice if asked twice."""
    data = bytes(range(251)) * (size // 251 + 1)
    writer = store.open_writer("out/part.parquet")
    view, step, at = memoryview(data)[:size], 1_500_000, 0
    while at < size:
        assert writer.write(view[at : at + step]) == len(view[at : at + step])
        at += step
    assert keys(store) == []
    assert store.head("out/part.parquet") is None
    assert writer.close() == size
    assert writer.close() == size
    assert bytes(store.get("out/part.parquet")) == data[:size]
    with pytest.raises(StorageError):
        writer.write(b"more")


@pytest.mark.parametrize("size", [10, 17 * 1024 * 1024])
def test_an_aborted_writer_leaves_nothing(store: ObjectStore, size: int) -> None:
    """Neither an object nor a trace of one is left by abort or by an exception in the with block."""
    with pytest.raises(KeyError), store.open_writer("out/x") as writer:
        writer.write(b"x" * size)
        raise KeyError
    other = store.open_writer("out/y")
    other.write(b"y" * size)
    other.abort()
    other.abort()
    assert keys(store) == []
    with pytest.raises(StorageError):
        other.write(b"more")


def test_arrow_writes_through_a_writer(store: ObjectStore) -> None:
    """pyarrow writes Parquet through pa.PythonFile over a writer, and what is stored reads back equal."""
    table = pa.table({"a": range(100_000), "b": [str(number) for number in range(100_000)]})
    with store.open_writer("t.parquet") as writer, pq.ParquetWriter(pa.PythonFile(writer, mode="w"), table.schema) as parquet:
        parquet.write_table(table, row_group_size=10_000)
    assert pq.read_table(pa.BufferReader(store.get("t.parquet"))).equals(table)


def test_of_many_creators_one_wins(store: ObjectStore) -> None:
    """Threads that create one key at the same moment: exactly one is told Created, and its bytes are the ones that stay."""
    for round_number in range(5):
        key, gate = f"_delta_log/{round_number}.json", threading.Barrier(8)

        def compete(number: int, key: str = key, gate: threading.Barrier = gate) -> tuple[int, CreateOutcome]:
            gate.wait()
            return number, store.create(key, b"%d" % number * 1000)

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(compete, range(8)))
        winners = [number for number, outcome in outcomes if isinstance(outcome, Created)]
        assert len(winners) == 1
        assert all(outcome == Exists() for number, outcome in outcomes if number not in winners)
        assert bytes(store.get(key)) == b"%d" % winners[0] * 1000


def test_a_reader_never_sees_half_an_object(store: ObjectStore) -> None:
    """While an object is overwritten again and again, every read is all of one version."""
    size, stop, seen = 200_000, threading.Event(), []
    store.put("x", b"a" * size)

    def read() -> None:
        while not stop.is_set():
            data = bytes(store.get("x"))
            seen.append(len(data) == size and len(set(data)) == 1)

    reader = threading.Thread(target=read)
    reader.start()
    for letter in b"bcdefghij" * 2:
        store.put("x", bytes([letter]) * size)
    stop.set()
    reader.join()
    assert seen
    assert all(seen)


def test_a_hint_changes_nothing(store: ObjectStore) -> None:
    """A store may be told what will be read soon, also what is not there; reading says what it would have said."""
    store.put("a/b.parquet", b"x" * 100_000)
    hints = [store.read_soon("a/b.parquet"), store.read_soon("a/missing")]
    assert set(hints) <= {True, False}
    assert bytes(store.get("a/b.parquet")) == b"x" * 100_000
    with pytest.raises(ObjectMissing):
        store.get("a/missing")
