"""StorageOptions reach every request: encryption, ACL, storage class, who pays, region, profile, role; and credentials stay secret."""

from __future__ import annotations

import dataclasses
import os
import pickle
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import deltalake
import pyarrow as pa
import pytest
from support.moto_s3 import Bucket, MotoS3
from support.s3_server import REGION, S3Fault, S3Server, Status, s3_server

from compactor.errors import BucketMissing, CredentialsMissing
from compactor.model.storage import StorageOptions
from compactor.storage import open_store
from compactor.storage.aws import aws_session, boto_options
from compactor.storage.base import ObjectStore
from compactor.storage.delta_options import deltalake_options
from compactor.storage.s3_connection import forget_connections

MIB = 1024 * 1024
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
PLACING = ("PutObject", "CreateMultipartUpload")


@pytest.fixture(autouse=True)
def fresh_connections() -> Iterator[None]:
    """Environments differ between these tests, and a connection keeps the credentials it was opened with."""
    forget_connections()
    yield
    forget_connections()


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        running.bucket("lake")
        running.keep_bodies = True
        yield running


def write_everything(store: ObjectStore) -> list[str]:
    """Objects made in each of the ways there are; returns their keys."""
    store.put("put", b"1")
    store.create("create", b"1")
    for key, size in (("small", 10), ("large", 17 * MIB)):
        with store.open_writer(key) as writer:
            writer.write(b"x" * size)
    return ["put", "create", "small", "large"]


def use_everything(store: ObjectStore) -> None:
    keys = write_everything(store)
    store.get("large")
    store.get_ranges("large", [(0, 1), (9 * MIB, 1)])
    store.head("put")
    list(store.list(""))
    store.list_level("")
    aborted = store.open_writer("aborted")
    aborted.write(b"x" * 17 * MIB)
    aborted.abort()
    store.delete(keys)


def test_headers_of_every_request(server: S3Server) -> None:
    """Every request that makes an object says how it is encrypted, who may read it and where it lies; every request says who pays; all of
    these headers are signed."""
    options = dataclasses.replace(
        server.options(), sse_kms_key_id=KEY, acl="bucket-owner-full-control", storage_class="STANDARD_IA", requester_pays=True
    )
    use_everything(open_store("s3://lake/t", options))
    expected = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": KEY,
        "x-amz-acl": "bucket-owner-full-control",
        "x-amz-storage-class": "STANDARD_IA",
    }
    seen = {request.operation for request in server.requests}
    assert seen >= {*PLACING, "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "GetObject", "HeadObject", "ListObjectsV2"}
    for request in server.requests:
        wanted = {"x-amz-request-payer": "requester"} | (expected if request.operation in PLACING else {})
        signed = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        for name, value in wanted.items():
            assert request.headers.get(name) == value, (request.operation, name)
            assert name in signed, (request.operation, name)


def test_nothing_is_sent_that_was_not_asked_for(server: S3Server) -> None:
    """Without options the bucket's own defaults apply: no header of encryption, ACL, class or payer."""
    use_everything(open_store("s3://lake/t", server.options()))
    for request in server.requests:
        names = {"x-amz-server-side-encryption", "x-amz-acl", "x-amz-storage-class", "x-amz-request-payer"}
        assert not names & set(request.headers)


@pytest.mark.parametrize(
    ("options", "encryption", "key"),
    [({"sse_kms_key_id": KEY}, "aws:kms", KEY), ({"server_side_encryption": "AES256"}, "AES256", None)],
)
def test_objects_on_moto_are_stored_as_asked(
    moto_s3: MotoS3, s3_bucket: Bucket, options: dict[str, str], encryption: str, key: str | None
) -> None:
    """What an independent S3 stored: encryption, key, storage class and ACL of objects made in every way."""
    asked = dataclasses.replace(s3_bucket.options, storage_class="STANDARD_IA", acl="public-read", requester_pays=True, **options)
    for name in write_everything(open_store(f"{s3_bucket.uri}/t", asked)):
        found = moto_s3.client().head_object(Bucket=s3_bucket.name, Key=f"t/{name}")
        assert found["ServerSideEncryption"] == encryption, name
        assert found.get("SSEKMSKeyId") == key, name
        assert found["StorageClass"] == "STANDARD_IA", name
        grants = moto_s3.client().get_object_acl(Bucket=s3_bucket.name, Key=f"t/{name}")["Grants"]
        assert any("AllUsers" in grant["Grantee"].get("URI", "") for grant in grants), name


def test_the_region_is_discovered(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region the bucket is asked for its own, unsigned, and requests are signed for it."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    store = open_store("s3://lake/t", dataclasses.replace(server.options(), region=None))
    store.put("k", b"1")
    store.get("k")
    asked, *rest = server.requests
    assert asked.operation == "HeadBucket"
    assert "authorization" not in asked.headers
    assert [f"/{REGION}/s3/" in request.headers["authorization"] for request in rest] == [True, True]
    assert store.options.region == REGION  # type: ignore[attr-defined]


def test_the_endpoint_of_the_environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL counts for reads and writes alike."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint_url)
    store = open_store("s3://lake/t", StorageOptions(region=REGION))
    store.put("k", b"1")
    assert bytes(store.get("k")) == b"1"
    assert server.counts() == {"PutObject": 1, "GetObject": 1}


def test_anonymous_requests_are_unsigned(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public bucket needs no credentials, and none are sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    server.fail()
    use_everything(open_store("s3://lake/t", dataclasses.replace(server.options(), anonymous=True)))
    assert all("authorization" not in request.headers for request in server.requests)


def test_a_profile(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named profile's keys sign every request, though the environment has others; a profile that does not exist is named."""
    (tmp_path / "credentials").write_text("[lake]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = profile-secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    store = open_store("s3://lake/t", dataclasses.replace(server.options(), profile="lake"))
    store.put("k", b"1")
    store.get("k")
    assert all("Credential=PROFILEKEY/" in request.headers["authorization"] for request in server.requests)
    with pytest.raises(CredentialsMissing, match='no AWS profile "lakes"'):
        open_store("s3://lake/t", dataclasses.replace(server.options(), profile="lakes"))


def test_a_role_with_external_id(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed with its external id once, and its keys sign reads and writes."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint_url)
    options = dataclasses.replace(server.options(), role_arn="arn:aws:iam::111122223333:role/lake", external_id="tenant-7")
    store = open_store("s3://lake/t", options)
    store.put("k", b"1")
    store.get("k")
    asked = [request for request in server.requests if request.operation == "AssumeRole"]
    assert len(asked) == 1
    form = parse_qs(asked[0].body.decode())
    assert (form["RoleArn"], form["ExternalId"]) == (["arn:aws:iam::111122223333:role/lake"], ["tenant-7"])
    rest = [request for request in server.requests if request.operation != "AssumeRole"]
    assert len(rest) == 2
    assert all("Credential=ASIAROLE" in request.headers["authorization"] for request in rest)
    assert all(request.headers["x-amz-security-token"] == "role-token" for request in rest)


def test_a_roles_credentials_are_refreshed(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials about to expire are replaced without reopening anything."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint_url)
    server.role_expires = "2020-01-01T00:00:00Z"
    with pytest.raises(CredentialsMissing):
        open_store("s3://lake/t", dataclasses.replace(server.options(), role_arn="arn:aws:iam::1:role/lake")).get("k")
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 700))  # inside botocore's window for refreshing ahead of time
    server.role_expires = soon
    forget_connections()
    store = open_store("s3://lake/t", dataclasses.replace(server.options(), role_arn="arn:aws:iam::1:role/lake"))
    store.put("k", b"1")
    store.put("k", b"2")
    used = {request.headers["authorization"].split("/")[0] for request in server.requests if request.operation == "PutObject"}
    assert len(used) == 2


def test_a_role_that_may_not_be_assumed(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal by STS is one of our errors, through either library."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint_url)
    server.fail(S3Fault(operation="AssumeRole", action=Status(403, "AccessDenied"), times=None))
    store = open_store("s3://lake/t", dataclasses.replace(server.options(), role_arn="arn:aws:iam::1:role/lake"))
    for call in (lambda: store.get("k"), lambda: store.put("k", b""), lambda: list(store.list(""))):
        with pytest.raises((CredentialsMissing, Exception)) as caught:
            call()
        assert "s3://lake/t" in str(caught.value)
        assert type(caught.value).__module__ == "compactor.errors"


def test_missing_credentials_are_told_soon(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, and with a metadata service that never answers (a laptop), it takes seconds, not minutes, to say so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        started = time.monotonic()
        with pytest.raises(CredentialsMissing, match="No AWS credentials were found for s3://lake"):
            open_store("s3://lake/t", server.options()).get("k")
        assert time.monotonic() - started < 10


def test_a_bucket_that_does_not_exist(server: S3Server, s3_bucket: Bucket) -> None:
    """A missing bucket is told apart from a missing object, here and on moto."""
    for options in (server.options(), s3_bucket.options):
        store = open_store("s3://no-such-bucket/t", options)
        for call in (lambda: list(store.list("")), lambda: store.get("k"), lambda: store.create("k", b"")):  # noqa: B023
            with pytest.raises(BucketMissing, match="bucket of s3://no-such-bucket/t"):
                call()


def test_deltalake_takes_the_same_options(moto_s3: MotoS3, s3_bucket: Bucket) -> None:
    """deltalake writes where we read, encrypted as asked, with options made from the same value."""
    options = dataclasses.replace(s3_bucket.options, sse_kms_key_id=KEY, requester_pays=True)
    uri = f"{s3_bucket.uri}/table"
    deltalake.write_deltalake(uri, pa.table({"a": [1, 2]}), storage_options=deltalake_options(uri, options))
    store = open_store(uri, options)
    log = [meta.key for meta in store.list("_delta_log/")]
    assert "_delta_log/00000000000000000000.json" in log
    assert moto_s3.client().head_object(Bucket=s3_bucket.name, Key=f"table/{log[0]}")["SSEKMSKeyId"] == KEY
    table = deltalake.DeltaTable(uri, storage_options=deltalake_options(uri, options))
    table.create_checkpoint()
    assert "_delta_log/00000000000000000000.checkpoint.parquet" in [meta.key for meta in store.list("_delta_log/")]


def test_deltalake_with_requester_pays_and_a_region_to_discover(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The discovered region, the payer and the encryption reach deltalake's own requests."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    options = dataclasses.replace(server.options(), region=None, requester_pays=True, server_side_encryption="AES256")
    made = deltalake_options("s3://lake/table", options)
    server.reset()
    deltalake.write_deltalake("s3://lake/table", pa.table({"a": [1]}), storage_options=made)
    assert server.count("PutObject") >= 2
    for request in server.requests:
        assert request.headers["x-amz-request-payer"] == "requester", request.operation
        assert f"/{REGION}/s3/" in request.headers["authorization"]
        if request.operation == "PutObject":
            assert request.headers["x-amz-server-side-encryption"] == "AES256"


def test_secrets_are_never_shown(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are in no repr of ours and in nothing that travels."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
    options = server.options()
    store = open_store("s3://lake/t", options)
    store.put("k", b"1")
    store.get("k")
    made = deltalake_options("s3://lake/t", options)
    assert made["AWS_SECRET_ACCESS_KEY"] == "the-secret"
    session = aws_session(options, "s3://lake")
    connection = store._connection  # type: ignore[attr-defined]
    shown = [
        repr(made),
        str(made),
        f"{made}",
        repr(store),
        repr(connection),
        repr(vars(connection)),
        repr(boto_options(options)),
        repr(session),
    ]
    shown += [repr(connection.reads), repr(options), pickle.dumps(options).decode("latin-1")]
    for text in shown:
        assert "the-secret" not in text
        assert "the-token" not in text
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "the-secret"
