"""What the cloud adapters make of a store that fails: lost replies, throttling, refusals. Each against a server that fails on purpose."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from obstore.store import S3Store
from support.s3_server import REGION, Action, Delay, Reset, S3Fault, S3Server, Status, Truncate, s3_server

from compactor.ambient import VirtualClock
from compactor.errors import AccessDenied, BucketMissing, ObjectArchived, ObjectMissing, StorageError, StorageUnavailable, WrongRegion
from compactor.storage import open_store
from compactor.storage.base import Created, Exists, ObjectStore, PutUnknown
from compactor.storage.cloud import CloudStore
from compactor.storage.cloud_connection import CloudConnection
from compactor.storage.obstore_reads import READ_RETRIES, client_options, retry_config

MIB = 1024 * 1024


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3_server(page_size=3) as running:
        running.bucket("lake")
        yield running


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's retries without the seconds between them."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))


@pytest.fixture
def s3(server: S3Server, no_waiting: None) -> ObjectStore:
    return open_store("s3://lake/t", dataclasses.replace(server.options(), request_timeout_s=1.0))


@pytest.fixture(params=["s3", "cloud"])
def store(request: pytest.FixtureRequest, server: S3Server, no_waiting: None) -> ObjectStore:
    """The S3 adapter, and the obstore adapter that serves GCS and Azure, on the same server."""
    options = dataclasses.replace(server.options(), request_timeout_s=1.0)
    if request.param == "s3":
        return open_store("s3://lake/t", options)
    stores = [
        S3Store(
            "lake",
            endpoint=server.endpoint_url,
            region=REGION,
            access_key_id="x",
            secret_access_key="y",
            client_options=client_options(options, server.endpoint_url),
            retry_config=retry_config(retries),
        )
        for retries in (READ_RETRIES, 0)
    ]
    return CloudStore(
        CloudConnection(uri="s3://lake", retrying=stores[0], once=stores[1], date_url=server.endpoint_url, ordered=True, options=options),
        "t",
    )


UNSURE: list[Action] = [
    Status(500, "InternalError"),
    Status(503, "SlowDown"),
    Status(429, "TooManyRequests"),
    Status(409, "ConditionalRequestConflict"),
    Reset(),
    Delay(1.6),
]


@pytest.mark.parametrize("action", UNSURE, ids=str)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_unsure_create_is_unknown_and_sent_once(server: S3Server, store: ObjectStore, action: Action, when: str) -> None:
    """A reply that does not say whether the object was stored gives PutUnknown, is never retried, and the object may be there."""
    server.fail(S3Fault(operation="PutObject", action=action, when=when))  # type: ignore[arg-type]
    outcome = store.create("_delta_log/1.json", b"x")
    if isinstance(store, CloudStore) and isinstance(action, Status) and action.status == 409 and when == "after":
        assert outcome == Exists()  # the object is there, and obstore tells a conflict from a failed precondition by nothing else
    else:
        assert isinstance(outcome, PutUnknown)
        assert "s3://lake/t/_delta_log/1.json" in outcome.why
    assert server.count("PutObject") == 1
    stored = "t/_delta_log/1.json" in server.buckets["lake"]
    assert stored == (when == "after" or isinstance(action, Delay))


def test_create_sends_one_request(server: S3Server, store: ObjectStore) -> None:
    """A creation that succeeds, and one that finds the key taken, are one conditional PUT each."""
    assert isinstance(store.create("k", b"1"), Created)
    assert server.counts() == {"PutObject": 1}
    assert server.requests[0].headers["if-none-match"] == "*"
    assert store.create("k", b"2") == Exists()
    assert server.count("PutObject") == 2


@pytest.mark.parametrize(
    ("action", "kind", "words"),
    [
        (Status(403, "AccessDenied"), AccessDenied, "denied"),
        (Status(403, "InvalidAccessKeyId"), AccessDenied, "InvalidAccessKeyId"),
        (Status(404, "NoSuchBucket"), BucketMissing, "bucket of"),
        (Status(400, "InvalidRequest"), StorageError, "refused"),
        (Status(501, "NotImplemented"), StorageError, "refused"),
    ],
)
def test_a_refused_create_is_an_error(server: S3Server, s3: ObjectStore, action: Action, kind: type[StorageError], words: str) -> None:
    """A refusal is known to have stored nothing, so it is raised, by name, in one sentence."""
    server.fail(S3Fault(operation="PutObject", action=action))
    with pytest.raises(kind, match=words) as caught:
        s3.create("k", b"1")
    assert type(caught.value) is kind
    assert "s3://lake/t/k" in str(caught.value)
    assert server.buckets["lake"] == {}


def test_a_create_that_was_never_sent_is_an_error(server: S3Server) -> None:
    """When no connection can be made nothing was stored, and the answer is not "unknown"."""
    store = open_store("s3://lake/t", dataclasses.replace(server.options(), endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(StorageUnavailable, match="could not be reached"):
        store.create("k", b"1")


@pytest.mark.parametrize("action", [Status(503, "SlowDown"), Status(500), Status(429, "SlowDown"), Reset(), Truncate(1000)], ids=str)
def test_reads_are_retried(server: S3Server, store: ObjectStore, action: Action) -> None:
    """Throttling, failures, resets and bodies cut short are survived: the bytes are whole, with one request more."""
    data = bytes(range(256)) * 1000
    store.put("k", data)
    server.reset()
    server.fail(S3Fault(operation="GetObject", action=action))
    assert bytes(store.get("k")) == data
    assert server.count("GetObject") == 2
    server.fail(S3Fault(operation="GetObject", action=action))
    assert [bytes(part) for part in store.get_ranges("k", [(5000, 9000)])] == [data[5000:14000]]
    assert server.count("GetObject") == 4


@pytest.mark.parametrize("operation", ["PutObject", "ListObjectsV2", "DeleteObjects", "HeadObject"])
def test_everything_but_create_is_retried(server: S3Server, s3: ObjectStore, operation: str) -> None:
    """Overwrites, listings, deletes and heads survive a 503."""
    server.fail(S3Fault(operation=operation, action=Status(503, "SlowDown")))
    s3.put("k", b"1")
    assert [meta.key for meta in s3.list("")] == ["k"]
    assert s3.head("k") is not None
    s3.delete(["k"])
    assert server.buckets["lake"] == {}
    assert server.count(operation) == 2


def test_a_store_that_stays_down_is_unavailable(server: S3Server, s3: ObjectStore) -> None:
    """Retries have an end, and what is raised says that trying again may help."""
    s3.put("k", b"1")
    server.fail(S3Fault(action=Status(503, "SlowDown"), times=None))
    calls: list[Callable[[], object]] = [lambda: s3.get("k"), lambda: list(s3.list("")), lambda: s3.head("k")]
    for call in calls:
        with pytest.raises(StorageUnavailable, match="s3://lake/t"):
            call()
    assert len(server.requests) < 25


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Status(403, "AccessDenied"), AccessDenied),
        (Status(403, "ExpiredToken"), AccessDenied),
        (Status(404, "NoSuchBucket"), BucketMissing),
        (Status(404, "NoSuchKey"), ObjectMissing),
        (Status(301, "PermanentRedirect", (("x-amz-bucket-region", "ap-south-1"),)), WrongRegion),
        (Status(400, "AuthorizationHeaderMalformed"), WrongRegion),
        (Status(418, "Teapot"), StorageError),
    ],
)
def test_refusals_by_name(server: S3Server, s3: ObjectStore, action: Action, kind: type[StorageError]) -> None:
    """What S3 refuses is one sentence that names the object, whichever library the request went through, without retries or secrets."""
    s3.put("k", b"1")
    server.reset()
    server.fail(S3Fault(action=action, times=None))
    for call in (lambda: s3.get("k"), lambda: s3.get_ranges("k", [(0, 1)]), lambda: list(s3.list("k")), lambda: s3.put("k", b"")):
        with pytest.raises(kind) as caught:
            call()
        text = str(caught.value)
        assert type(caught.value) is kind
        assert "s3://lake/t/k" in text
        assert "\n" not in text
        assert "testing" not in text
        assert "http" not in text


def test_the_region_is_named(server: S3Server, s3: ObjectStore) -> None:
    """A bucket in another region: the message says which, when S3 says which."""
    server.fail(S3Fault(action=Status(301, "PermanentRedirect", (("x-amz-bucket-region", "ap-south-1"),)), times=None))
    with pytest.raises(WrongRegion, match="ap-south-1"):
        list(s3.list(""))


def test_an_archived_object(server: S3Server, s3: ObjectStore) -> None:
    """An object in Glacier is told apart from one that may not be read."""
    s3.put("k", b"1")
    server.buckets["lake"]["t/k"].headers["x-amz-storage-class"] = "GLACIER"
    with pytest.raises(ObjectArchived, match=r"s3://lake/t/k .*restored"):
        s3.get("k")
    with pytest.raises(ObjectArchived):
        s3.get_ranges("k", [(0, 1)])


def test_requests_are_few(server: S3Server, store: ObjectStore) -> None:
    """A get is one request; ranges less than a mebibyte apart share one; a small writer is one PUT."""
    with store.open_writer("k") as writer:
        writer.write(b"x" * 5 * MIB)
    assert server.counts() == {"PutObject": 1}
    server.reset()
    store.get("k")
    store.get_ranges("k", [(0, 10), (100, 10), (900_000, 100)])
    assert server.counts() == {"GetObject": 2}
    store.get_ranges("k", [(0, 10), (4 * MIB, 10)])
    assert server.counts() == {"GetObject": 4}
    assert sum(seen.body_bytes_sent for seen in server.requests) == 5 * MIB + 900_100 + 20


def test_listings_page_lazily(server: S3Server, s3: ObjectStore) -> None:
    """A listing asks for the next page only when the one before is used up, and a level can be cut short by pages."""
    for number in range(8):
        s3.put(f"a/{number}", b"")
        s3.put(f"d{number}/x", b"")
    server.reset()
    listing = s3.list("a/")
    assert server.count() == 0
    assert [next(listing).key for _ in range(3)] == ["a/0", "a/1", "a/2"]
    assert server.count() == 1
    assert len(list(listing)) == 5
    assert server.count() == 3
    level = s3.list_level("", max_pages=2)
    assert (level.folders, level.complete) == (("a/", "d0/", "d1/", "d2/", "d3/", "d4/"), False)
    assert s3.list_level("", max_pages=3).complete
    assert len(s3.list_level("").folders) == 9


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_failed_upload_is_aborted(server: S3Server, store: ObjectStore, operation: str) -> None:
    """Whatever step of an upload is refused, the writer raises, the upload is aborted, and nothing is visible."""
    server.fail(S3Fault(operation=operation, action=Status(403, "AccessDenied"), times=None))
    with pytest.raises(AccessDenied, match="s3://lake/t/big"), store.open_writer("big") as writer:
        for _ in range(60):
            writer.write(b"x" * MIB)
    assert server.buckets["lake"] == {}
    assert server.uploads == {}


def test_a_small_object_that_is_refused(server: S3Server, store: ObjectStore) -> None:
    """close raises when the only PUT is refused, and a second close does not pretend."""
    server.fail(S3Fault(operation="PutObject", action=Status(403, "AccessDenied"), times=None))
    writer = store.open_writer("small")
    writer.write(b"x")
    with pytest.raises(AccessDenied):
        writer.close()
    assert server.buckets["lake"] == {}


@pytest.mark.parametrize("action", [Status(503, "SlowDown"), Reset()], ids=str)
def test_parts_are_retried(server: S3Server, s3: ObjectStore, action: Action) -> None:
    """A part that fails for a passing reason is sent again, and the object is whole."""
    server.fail(S3Fault(operation="UploadPart", action=action, nth=2))
    with s3.open_writer("big") as writer:
        for number in range(20):
            writer.write(bytes([number]) * MIB)
    assert bytes(s3.get("big")) == b"".join(bytes([number]) * MIB for number in range(20))
    assert server.count("UploadPart") == 4


def test_completing_survives_a_lost_reply(server: S3Server, s3: ObjectStore) -> None:
    """When the reply to completing is lost, the retry finds no upload; the object that is there is taken for what it is."""
    server.fail(S3Fault(operation="CompleteMultipartUpload", action=Reset(), when="after"))
    with s3.open_writer("big") as writer:
        writer.write(b"x" * 17 * MIB)
    assert len(s3.get("big")) == 17 * MIB


def test_deletes_that_fail_for_one_key(server: S3Server, s3: ObjectStore) -> None:
    """A bulk delete that spares one key raises, naming it; the others are gone."""
    for name in ("a", "b"):
        s3.put(name, b"")
    server.undeletable["t/b"] = "AccessDenied"
    with pytest.raises(AccessDenied, match="s3://lake/t/b"):
        s3.delete(["a", "b"])
    assert list(server.buckets["lake"]) == ["t/b"]
    server.undeletable["t/b"] = "SlowDown"
    server.reset()
    s3._connection.clock = VirtualClock()  # type: ignore[attr-defined]
    with pytest.raises(StorageUnavailable, match="t/b"):
        s3.delete(["b"])
    assert server.count("DeleteObjects") == 4


def test_the_stores_own_time(server: S3Server, store: ObjectStore) -> None:
    """now_ms is the Date header of a reply, of a refusal too; without an answer it is an error, never the machine's clock."""
    assert store.now_ms() % 1000 == 0
    server.fail(
        S3Fault(operation="HeadBucket", action=Status(403, "AccessDenied", (("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),)), times=None)
    )
    server.fail(S3Fault(operation="Unknown", action=Status(403, "AccessDenied", (("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),)), times=None))
    server.bucket("")
    assert store.now_ms() == 1_767_225_600_000
