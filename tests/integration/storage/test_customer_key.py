"""Objects encrypted with a key of the customer's own (SSE-C): every request about one carries the key, and nothing else shows it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from support.s3_server import Reset, S3Fault, S3Server, s3_server

from compactor import load_settings, run
from compactor.errors import CredentialsMissing, StorageError
from compactor.model.storage import StorageOptions
from compactor.storage import open_store
from compactor.storage.base import Created
from compactor.storage.delta_options import deltalake_options
from compactor.storage.s3_connection import forget_connections

MIB = 1024 * 1024
KEY = bytes(range(32))
MD5 = "x-amz-server-side-encryption-customer-key-md5"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    forget_connections()
    with s3_server() as running:
        running.bucket("lake")
        yield running


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(base64.b64encode(KEY).decode() + "\n")
    return path


def options(server: S3Server, key_file: Path) -> StorageOptions:
    return dataclasses.replace(server.options(), sse_customer_key_file=str(key_file))


def test_objects_are_made_and_read_with_the_key(server: S3Server, key_file: Path) -> None:
    """Whole, in parts, by exclusive creation: each object has the key, is read and described with it, and is refused without."""
    store = open_store("s3://lake/t", options(server, key_file))
    assert isinstance(store.create("created", b"1"), Created)
    store.put("put", b"2")
    with store.open_writer("large") as writer:
        writer.write(b"x" * 17 * MIB)
    assert {stored.headers.get(MD5) is not None for stored in server.buckets["lake"].values()} == {True}
    assert bytes(store.get("put")) == b"2"
    assert [bytes(part) for part in store.get_ranges("large", [(0, 2), (16 * MIB, 2)])] == [b"xx", b"xx"]
    described = store.head("large")
    assert described is not None
    assert described.size_bytes == 17 * MIB
    assert [meta.key for meta in store.list("")] == ["created", "large", "put"]
    without = open_store("s3://lake/t", server.options())
    with pytest.raises(StorageError, match="refused a request about s3://lake/t/put"):
        without.get("put")


def test_a_completion_whose_reply_is_lost_is_found_out_with_the_key(server: S3Server, key_file: Path) -> None:
    """The look for an upload that may be complete is a request about an object with a key, too."""
    server.fail(S3Fault(operation="CompleteMultipartUpload", action=Reset(), when="after"))
    with open_store("s3://lake/t", options(server, key_file)).open_writer("large") as writer:
        writer.write(b"x" * 9 * MIB)
    assert server.count("HeadObject") == 1


def test_a_table_is_compacted_with_the_key(server: S3Server, key_file: Path) -> None:
    """A table that deltalake wrote with the key is compacted, and every object in it has the key."""
    made = deltalake_options("s3://lake/table", options(server, key_file))
    for i in range(3):
        deltalake.write_deltalake("s3://lake/table", pa.table({"a": [i]}), storage_options=made, mode="append")
    reach = {"endpoint_url": server.endpoint_url, "region": server.options().region, "path_style": True}
    settings = load_settings(flags={**reach, "sse_customer_key_file": str(key_file), "min_input_files": 2})
    assert run("s3://lake/table", settings=settings).status == "committed"
    assert all(MD5 in stored.headers for stored in server.buckets["lake"].values())
    table = deltalake.DeltaTable("s3://lake/table", storage_options=made)
    assert sorted(table.to_pyarrow_table()["a"].to_pylist()) == [0, 1, 2]


def test_the_key_is_never_shown(server: S3Server, key_file: Path) -> None:
    """It is in no repr of ours: not of options, of stores, of connections, nor of what deltalake is given."""
    asked = options(server, key_file)
    store = open_store("s3://lake/t", asked)
    store.put("k", b"1")
    store.get("k")
    connection = store._connection  # type: ignore[attr-defined]
    shown = [asked, store, connection, vars(connection), connection.reads, deltalake_options("s3://lake/t", asked)]
    for text in map(repr, shown):
        assert base64.b64encode(KEY).decode() not in text
        assert repr(KEY) not in text


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        (None, CredentialsMissing, "cannot be read"),
        ("not base64!", StorageError, "holds no key in base64"),
        ("é", StorageError, "holds no key in base64"),
        (base64.b64encode(b"short").decode(), StorageError, "has 5 bytes instead of 32"),
    ],
)
def test_a_file_without_a_key_is_told(server: S3Server, tmp_path: Path, text: str | None, kind: type[StorageError], why: str) -> None:
    """In one sentence that names the file, before anything is asked of the store, and without what is in it."""
    path = tmp_path / "bad"
    if text is not None:
        path.write_text(text)
    with pytest.raises(kind, match=why) as raised:
        open_store("s3://lake/t", options(server, path))
    assert str(path) in str(raised.value)
    assert text is None or text not in str(raised.value)
    assert server.requests == []


def test_two_encryptions_are_refused(server: S3Server, key_file: Path) -> None:
    """An object has the customer's key or one of the store's, and not both."""
    with pytest.raises(StorageError, match="or are encrypted by the store"):
        open_store("s3://lake/t", dataclasses.replace(options(server, key_file), sse_kms_key_id="key-1"))
