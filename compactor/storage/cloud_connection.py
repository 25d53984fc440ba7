"""Opens a bucket on Google Cloud Storage or a container on Azure: two obstore stores, one that retries and one that never does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from obstore.store import AzureStore, GCSStore

from compactor.errors import UsageError
from compactor.model.storage import StorageOptions
from compactor.storage.http_probe import require_metadata_service
from compactor.storage.obstore_reads import FAILURES, READ_RETRIES, client_options, obstore_error, retry_config
from compactor.storage.uris import Location

_GOOGLE_KEYS = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN")
_AZURE_KEYS = ("KEY", "SECRET", "TOKEN", "SAS", "MSI_ENDPOINT", "IDENTITY_ENDPOINT", "USE_AZURE_CLI", "FEDERATED")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConnection:
    """A bucket or container: a store that retries, one that never does, and where to ask for the time.

    ordered: whether listings come in ascending order of keys; where not, they are sorted here.
    """

    uri: str
    retrying: Any
    once: Any
    date_url: str
    ordered: bool
    options: StorageOptions


def connect_cloud(location: Location, options: StorageOptions) -> CloudConnection:
    """The connection to the bucket of a gs:// or Azure location. Raises UsageError (no account named), CredentialsMissing."""
    try:
        return _google(location, options) if location.scheme == "gs" else _azure(location, options)
    except FAILURES as error:
        if "Account must be specified" in str(error):
            raise UsageError(f"{location.uri} names no storage account: set AZURE_STORAGE_ACCOUNT_NAME or write it into the URL.") from None
        raise obstore_error(error, location.uri) from None


def _google(location: Location, options: StorageOptions) -> CloudConnection:
    known = any(os.environ.get(name) for name in (*_GOOGLE_KEYS, "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SKIP_SIGNATURE"))
    adc = os.path.expanduser("~/.config/gcloud/application_default_credentials.json")  # noqa: PTH111
    if not (known or options.anonymous or os.path.exists(adc)):  # noqa: PTH110
        require_metadata_service(location.uri, "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`")
    config: Any = {"skip_signature": True} if options.anonymous else {}
    if options.endpoint_url:
        config["base_url"] = options.endpoint_url
    client = client_options(options, options.endpoint_url)
    stores = [GCSStore(location.bucket, config=config, client_options=client, retry_config=retry_config(n)) for n in (READ_RETRIES, 0)]
    date_url = options.endpoint_url or "https://storage.googleapis.com"
    return CloudConnection(
        uri=f"gs://{location.bucket}", retrying=stores[0], once=stores[1], date_url=date_url, ordered=True, options=options
    )


def _azure(location: Location, options: StorageOptions) -> CloudConnection:
    known = any(name.startswith("AZURE") and any(part in name for part in _AZURE_KEYS) for name in os.environ)
    if not (known or options.anonymous):
        require_metadata_service(location.uri, "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID")
    config: Any = {"skip_signature": True} if options.anonymous else {}
    if options.endpoint_url:
        config["endpoint"] = options.endpoint_url
    root = location.uri.removesuffix(f"/{location.path}") if location.path else location.uri
    client = client_options(options, options.endpoint_url)
    stores = [AzureStore.from_url(root, config=config, client_options=client, retry_config=retry_config(n)) for n in (READ_RETRIES, 0)]
    account = stores[0].config.get("account_name", "")
    date_url = options.endpoint_url or f"https://{account}.blob.core.windows.net"
    # Accounts with a hierarchical namespace list folder by folder, not key by key.
    return CloudConnection(uri=root, retrying=stores[0], once=stores[1], date_url=date_url, ordered=False, options=options)
