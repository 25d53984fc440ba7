"""What Google and Azure do differently from S3, shown with obstore's own stores: missing keys and listings that are not in order."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from obstore.store import LocalStore

from compactor.errors import CredentialsMissing
from compactor.model.storage import StorageOptions
from compactor.storage import http_probe, open_store
from compactor.storage.cloud import CloudStore
from compactor.storage.cloud_connection import CloudConnection
from compactor.storage.delta_options import deltalake_options
from compactor.storage.obstore_reads import meta_of


@pytest.fixture
def store(tmp_path: Path) -> CloudStore:
    """A store that fails a bulk delete when a key is missing, and that lists in any order."""
    inner = LocalStore(tmp_path)
    return CloudStore(
        CloudConnection(uri="az://c", retrying=inner, once=inner, date_url="http://127.0.0.1:9", ordered=False, options=StorageOptions()),
        "t",
    )


def test_an_etag_has_its_quotes_wherever_it_comes_from() -> None:
    """Azure lists it without, and says it with quotes in headers: an object that was not touched must not look replaced."""
    found = {"last_modified": datetime.fromtimestamp(5, UTC), "size": 3, "path": "k"}
    metas = [meta_of({**found, "e_tag": etag}, "k") for etag in ('"0x1"', "0x1", None)]
    assert metas[0] == metas[1]
    assert metas[2].etag is None


def test_deltalake_is_told_of_an_endpoint_without_encryption() -> None:
    """Else it refuses an emulator, and no checkpoint is ever written there."""
    options = deltalake_options("az://container/t", StorageOptions(endpoint_url="http://127.0.0.1:1/account"))
    assert (options["azure_storage_endpoint"], options["allow_http"]) == ("http://127.0.0.1:1/account", "true")
    assert "allow_http" not in deltalake_options("gs://bucket/t", StorageOptions(endpoint_url="https://gcs.example"))


def test_missing_keys_do_not_stop_a_delete(store: CloudStore) -> None:
    """Where a missing key fails a bulk delete, the other keys are deleted all the same."""
    for name in ("a", "b", "c"):
        store.put(name, b"1")
    store.delete(["a", "missing", "b", "other"])
    assert [meta.key for meta in store.list("")] == ["c"]


def test_unordered_listings_are_sorted(store: CloudStore) -> None:
    """A listing is in the port's order whatever order the store has."""
    names = [f"{folder}/{number}" for number in range(20) for folder in ("b", "a", "a.b", "ü")]
    for name in names:
        store.put(name, b"")
    expected = sorted(names, key=str.encode)
    assert [meta.key for meta in store.list("")] == expected
    assert [meta.key for meta in store.list("a")] == [name for name in expected if name.startswith("a")]
    assert [meta.key for meta in store.list("", expected[30])] == expected[31:]


@pytest.mark.parametrize(("uri", "advice"), [("gs://lake/t", "GOOGLE_APPLICATION_CREDENTIALS"), ("az://lake/t", "AZURE_")])
def test_missing_credentials_are_told_soon(uri: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, and without a metadata service to ask, it takes no minute of retries to say so."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(http_probe, "_METADATA", ("127.0.0.1", port))
    started = time.monotonic()
    with pytest.raises(CredentialsMissing, match=advice) as caught:
        open_store(uri)
    assert uri in str(caught.value)
    assert time.monotonic() - started < 5
