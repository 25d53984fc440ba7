"""Ranges of objects that become parts of others: on S3 inside the store, on disk inside the kernel; and what is left when that fails."""

from __future__ import annotations

import base64
import dataclasses
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.moto_s3 import Bucket
from support.s3_server import S3Fault, S3Server, Status, s3_server

from compactor.errors import ObjectMissing, StorageError
from compactor.storage import open_store
from compactor.storage.base import ObjectStore, StoreCopy
from compactor.storage.counting import Count, CountingStore
from compactor.storage.memory import MemoryStore
from compactor.storage.s3_connection import forget_connections

MIB = 1024 * 1024
SOURCE = os.urandom(MIB) * 30


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    forget_connections()
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    with s3_server() as running:
        running.bucket("lake")
        yield running


def assembled(store: ObjectStore) -> tuple[list[StoreCopy | None], bytes]:
    """An object made of a few bytes of its own, a long range, a short one, a longer one, and a few bytes again; what was answered."""
    store.put("source", SOURCE)
    expected = bytearray()
    copied: list[StoreCopy | None] = []
    with store.open_writer("made") as writer:
        writer.write(b"head")
        expected += b"head"
        for start, length in ((7, 12 * MIB), (100, 1000), (3 * MIB, 20 * MIB), (9, 6 * MIB)):
            answer = writer.copy_range("source", start, length)
            if answer is None:
                writer.write(SOURCE[start : start + length])
            expected += SOURCE[start : start + length]
            copied.append(answer)
        writer.write(b"tail")
    assert bytes(store.get("made")) == bytes(expected) + b"tail"
    return copied, bytes(expected)


def test_s3_copies_long_ranges_by_itself(server: S3Server) -> None:
    """Only what fills a part before a copy, and what is too short to be one, goes through this process."""
    store = open_store("s3://lake/t", server.options())
    copied, _ = assembled(store)
    first, second, third = 12 * MIB - (5 * MIB - 4), 20 * MIB - (5 * MIB - 1000), 6 * MIB
    assert copied == [
        StoreCopy(size_bytes=first, requests=1),
        None,
        StoreCopy(size_bytes=second, requests=1),
        StoreCopy(size_bytes=third, requests=1),
    ]
    counts = server.counts()
    assert (counts["UploadPartCopy"], counts["UploadPart"], counts["CompleteMultipartUpload"]) == (3, 3, 1)
    assert server.uploads == {}


def test_encryption_and_who_pays_are_said_of_every_copy(server: S3Server) -> None:
    """The upload asks for its encryption, and each part that is copied says who pays and where its bytes lie."""
    options = dataclasses.replace(server.options(), requester_pays=True, sse_kms_key_id="key-1")
    assembled(open_store("s3://lake/a b", options))
    (created,) = [seen for seen in server.requests if seen.operation == "CreateMultipartUpload"]
    assert created.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"
    copies = [seen for seen in server.requests if seen.operation == "UploadPartCopy"]
    assert len(copies) == 3
    assert {seen.headers["x-amz-request-payer"] for seen in copies} == {"requester"}
    assert {seen.headers["x-amz-copy-source"] for seen in copies} == {"lake/a%20b/source"}
    assert copies[0].headers["x-amz-copy-source-range"] == f"bytes={7 + 5 * MIB - 4}-{7 + 12 * MIB - 1}"


def test_copies_come_with_the_customers_key_of_both(server: S3Server, tmp_path: Path) -> None:
    """With a key of the customer's own every part says the key of the source and that of the object that is made."""
    key = tmp_path / "key"
    key.write_text(base64.b64encode(b"0123456789abcdef" * 2).decode() + "\n")
    copied, _ = assembled(open_store("s3://lake/t", dataclasses.replace(server.options(), sse_customer_key_file=str(key))))
    assert [answer is None for answer in copied] == [False, True, False, False]
    (source, made) = (server.buckets["lake"][f"t/{name}"].headers for name in ("source", "made"))
    assert source["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    assert source["x-amz-server-side-encryption-customer-key-md5"] == made["x-amz-server-side-encryption-customer-key-md5"]


def test_a_store_without_such_copies_is_asked_once(server: S3Server) -> None:
    """Where ranges cannot be copied they are brought and sent, and nothing is asked again."""
    server.fail(S3Fault(operation="UploadPartCopy", action=Status(501, "NotImplemented"), times=None))
    store = open_store("s3://lake/t", server.options())
    copied, _ = assembled(store)
    assert copied[0] == StoreCopy(size_bytes=0, requests=1)
    assert copied[1:] == [None, None, None]
    assert server.count("UploadPartCopy") == 1


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_copy_that_fails_ends_the_whole(server: S3Server, nth: int) -> None:
    """Whichever copy is refused, the upload is aborted and there is no object."""
    server.fail(S3Fault(operation="UploadPartCopy", action=Status(403, "AccessDenied"), nth=nth, times=None))
    store = open_store("s3://lake/t", server.options())
    with pytest.raises(StorageError):
        assembled(store)
    assert server.uploads == {}
    assert store.head("made") is None
    assert server.count("AbortMultipartUpload") == 1


def test_a_copy_that_fails_for_a_while_is_tried_again(server: S3Server) -> None:
    """A busy store does not end an upload, and is not taken for one that has no copies."""
    server.fail(S3Fault(operation="UploadPartCopy", action=Status(503, "SlowDown"), times=2))
    copied, _ = assembled(open_store("s3://lake/t", server.options()))
    assert [answer is None for answer in copied] == [False, True, False, False]


def test_a_source_that_is_gone_leaves_nothing(server: S3Server) -> None:
    """An object that vanished ends the upload as any failure does."""
    store = open_store("s3://lake/t", server.options())
    with pytest.raises(ObjectMissing), store.open_writer("made") as writer:
        writer.copy_range("nothing", 0, 8 * MIB)
    assert (server.uploads, store.head("made")) == ({}, None)


def test_moto_agrees(s3_bucket: Bucket) -> None:
    """Another implementation of the protocol gives the same object."""
    copied, _ = assembled(open_store(f"{s3_bucket.uri}/t", s3_bucket.options))
    assert [answer is None for answer in copied] == [False, True, False, False]


def test_a_disk_copies_in_the_kernel(tmp_path: Path) -> None:
    """Every range is copied without passing through this process, and is counted."""
    store = CountingStore(open_store(str(tmp_path)))
    copied, _ = assembled(store)
    assert copied == [StoreCopy(size_bytes=length) for length in (12 * MIB, 1000, 20 * MIB, 6 * MIB)]
    assert store.counts()["copy_range"] == Count(calls=4, bytes=38 * MIB + 1000)


def test_a_disk_that_cannot_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has no such copies the bytes come through this process; a range beyond the end of a file is an error."""
    store = open_store(str(tmp_path))
    store.put("source", b"short")
    with pytest.raises(StorageError), store.open_writer("made") as writer:
        writer.copy_range("source", 0, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]

    def refuse(*args: object) -> int:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    assert assembled(store)[0] == [StoreCopy(size_bytes=length) for length in (12 * MIB, 1000, 20 * MIB, 6 * MIB)]


def test_a_disk_that_fails_while_it_copies_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after a copy was asked for is told when the object is to be published, and nothing of it stays."""
    store = open_store(str(tmp_path))
    store.put("source", SOURCE)
    writer = store.open_writer("made")

    def refuse(*args: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    assert writer.copy_range("source", 0, 20 * MIB) == StoreCopy(size_bytes=20 * MIB)
    with pytest.raises(StorageError, match="no room left"):
        writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_nothing_is_copied_after_a_writer_gave_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An abort waits for the copies under way and drops the others; descriptors of sources are closed."""
    store = open_store(str(tmp_path))
    store.put("source", SOURCE)
    writer = store.open_writer("made")
    calls: list[int] = []
    copy = os.copy_file_range

    def slow(*args: int) -> int:
        calls.append(1)
        time.sleep(0.05)
        return copy(*args)

    monkeypatch.setattr(os, "copy_file_range", slow)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        writer.copy_range("source", 0, 30 * MIB)
    writer.abort()
    done = len(calls)
    time.sleep(0.12)
    assert len(calls) == done < 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    assert len(list(Path("/proc/self/fd").iterdir())) < before


def test_other_stores_leave_it_to_the_caller() -> None:
    """A store that has no copies says so, and nothing is appended."""
    assert assembled(MemoryStore())[0] == [None] * 4
