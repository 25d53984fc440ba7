"""URIs as people write them become one spelling, or one sentence that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from compactor.errors import UsageError
from compactor.storage import join_uri, normalise_uri, open_store
from compactor.storage.cloud_connection import connect_cloud
from compactor.storage.uris import locate


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("/data/t/", "/data/t"),
        ("/data//a/./b/../t", "/data/a/t"),
        ("file:///data/a%20b/", "/data/a b"),
        ("file://localhost/data/t", "/data/t"),
        ("/data/100%/t", "/data/100%/t"),
        ("/", "/"),
        ("s3://lake/events/", "s3://lake/events"),
        ("s3a://lake/events", "s3://lake/events"),
        ("S3://lake", "s3://lake"),
        ("s3://lake/", "s3://lake"),
        ("s3://lake/a b/p=1%20/ü", "s3://lake/a b/p=1%20/ü"),
        ("gcs://lake/t", "gs://lake/t"),
        ("gs://lake/t", "gs://lake/t"),
        ("az://container/t", "az://container/t"),
        ("abfss://container@account.dfs.core.windows.net/t/", "abfss://container@account.dfs.core.windows.net/t"),
        ("memory://test/t", "memory://test/t"),
        ("  s3://lake/t  ", "s3://lake/t"),
    ],
)
def test_spellings(written: str, canonical: str) -> None:
    """Each spelling has one canonical form, which is its own canonical form."""
    assert normalise_uri(written) == canonical
    assert normalise_uri(canonical) == canonical


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is taken from the current directory, `~` from the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert normalise_uri("a/t") == f"{tmp_path}/a/t"
    assert normalise_uri(".") == str(tmp_path)
    assert normalise_uri("~/t") == "/home/somebody/t"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("s4://lake/t", r'"s4://" is not a store'),
        ("https://lake.s3.amazonaws.com/t", "not a store"),
        ("s3:/lake/t", "lacks slashes"),
        ("s3:lake/t", "lacks slashes"),
        ("s3://", "names no bucket"),
        ("s3:///t", "names no bucket"),
        ("s3://lake//t", "segment"),
        ("s3://lake/a/../t", "segment"),
        ("s3://AKIA123:secret@lake/t", "credentials"),
        ("file://otherhost/data", "another machine"),
        ("/data/\x00", "NUL"),
    ],
)
def test_what_is_no_location(written: str, words: str) -> None:
    """A location that cannot be meant is a UsageError in one sentence, without the secrets that were in it."""
    with pytest.raises(UsageError, match=words) as caught:
        open_store(written)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_join() -> None:
    """Joining adds raw names below a URI."""
    assert join_uri("s3://lake", "t", "_delta_log", "0.json") == "s3://lake/t/_delta_log/0.json"
    assert join_uri("s3://lake/t", "", "a b/c%20d") == "s3://lake/t/a b/c%20d"
    assert join_uri("/", "data") == "/data"
    assert join_uri("/") == "/"


@pytest.mark.parametrize("uri", ["gs://lake/t", "az://container/t", "abfss://container@account.dfs.core.windows.net/t"])
def test_clouds_open_with_credentials_of_the_environment(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google and Azure URLs open a store at the same URI; no request is made for it."""
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "x")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    assert open_store(uri).uri == uri
    connection = connect_cloud(locate(uri), open_store(uri)._connection.options)  # type: ignore[attr-defined]
    assert connection.retrying.retry_config["max_retries"] == 5
    assert connection.once.retry_config["max_retries"] == 0


def test_azure_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container without an account is the user's to complete."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    with pytest.raises(UsageError, match="storage account"):
        open_store("az://container/t")
