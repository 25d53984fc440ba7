"""One bucket on S3, opened once a process: its region, its credentials, its clients. Shared by all stores on that bucket.

Reads go through obstore (Rust, no copy). Everything else goes through boto3: obstore takes S3's 409 ConditionalRequestConflict for
"exists", cannot sign an ACL, lists by whole path segments and without a bound on pages, and fails on names that it could not write.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from obstore.store import S3Store

from compactor.ambient.ports import Clock
from compactor.ambient.system import SystemClock
from compactor.errors import BucketMissing, StorageError
from compactor.model.storage import StorageOptions
from compactor.storage.aws import CredentialSource, aws_session, boto_options, credentials_of, endpoint_of, use_path_style
from compactor.storage.customer_key import customer_key
from compactor.storage.obstore_reads import READ_RETRIES, client_options, retry_config
from compactor.storage.s3_errors import SDK_FAILURES, code_of, region_in, s3_error, status_of

_UPLOAD_THREADS = 8


class S3Connection:
    """Clients for one bucket. `options` are complete: their region is known."""

    def __init__(self, bucket: str, options: StorageOptions, clock: Clock) -> None:
        self.bucket, self.uri, self.clock = bucket, f"s3://{bucket}", clock
        session = aws_session(options, self.uri)
        credentials = None if options.anonymous else credentials_of(session, self.uri)
        self.options = options if options.region else dataclasses.replace(options, region=_discover(bucket, options, session))
        self._key = customer_key(options)
        self.client = session.client("s3", **boto_options(self.options))
        self.copies: bool | None = None  # whether the store copies ranges by itself; None: nobody has tried
        self._session = session
        self._credentials = credentials

    @functools.cached_property
    def once(self) -> Any:
        """A boto3 client that sends every request at most once."""
        return self._session.client("s3", **boto_options(self.options, attempts=1))

    @functools.cached_property
    def reads(self) -> S3Store:
        """The obstore store of the whole bucket, for reading."""
        options, endpoint = self.options, endpoint_of(self.options)
        config: dict[str, Any] = {"region": options.region, "virtual_hosted_style_request": not use_path_style(options, endpoint)}
        if endpoint:
            config["endpoint"] = endpoint if use_path_style(options, endpoint) else _with_bucket(endpoint, self.bucket)
        if options.requester_pays:
            config["request_payer"] = True
        if self._key is not None:
            config |= {"server_side_encryption": "sse-c", "sse_customer_key_base64": self._key.base64()}
        provider = CredentialSource(self._credentials, self.clock) if self._credentials is not None else None
        if provider is None:
            config["skip_signature"] = True
        return S3Store(
            self.bucket,
            config=config,  # type: ignore[arg-type]
            client_options=client_options(options, endpoint),
            retry_config=retry_config(READ_RETRIES),
            credential_provider=provider,  # type: ignore[arg-type]
        )

    @functools.cached_property
    def uploads(self) -> ThreadPoolExecutor:
        """The threads that send parts."""
        return ThreadPoolExecutor(_UPLOAD_THREADS, thread_name_prefix="s3-upload")

    def secrets(self) -> dict[str, str]:
        """The credentials of this moment, and the key of objects, in deltalake's names. For one call: never keep, log or send them."""
        if self._credentials is None:
            return self._key_named()
        frozen = self._credentials.get_frozen_credentials()
        named = {
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_SESSION_TOKEN": frozen.token,
        }
        return {key: value for key, value in named.items() if value} | self._key_named()

    def _key_named(self) -> dict[str, str]:
        named = {} if self._key is None else {"aws_sse_customer_key_base64": self._key.base64()}
        return named | ({"aws_server_side_encryption": "sse-c"} if named else {})

    def payer(self) -> dict[str, str]:
        """Arguments of every call: who pays."""
        return {"RequestPayer": "requester"} if self.options.requester_pays else {}

    def placing(self) -> dict[str, Any]:
        """Arguments of every call that makes an object (PutObject, CreateMultipartUpload): encryption, ACL, storage class, who pays."""
        options = self.options
        encryption = options.server_side_encryption or ("aws:kms" if options.sse_kms_key_id else None)
        named = {
            "ServerSideEncryption": encryption,
            "SSEKMSKeyId": options.sse_kms_key_id,
            "ACL": options.acl,
            "StorageClass": options.storage_class,
        }
        return {key: value for key, value in named.items() if value} | self.opening()

    def opening(self) -> dict[str, Any]:
        """Arguments of every call about an object that is there, or in the making: its key, who pays."""
        return self.payer() if self._key is None else {**self._key.arguments(), **self.payer()}

    def copying(self) -> dict[str, Any]:
        """Arguments of every call that copies from an object into another."""
        return self.opening() if self._key is None else {**self._key.arguments_of_source(), **self.opening()}


def connect(bucket: str, options: StorageOptions) -> S3Connection:
    """The process's connection to a bucket with these options. Raises CredentialsMissing, BucketMissing, StorageUnavailable."""
    return _connect(bucket, options, endpoint_of(options), os.environ.get("AWS_PROFILE"), os.getpid())


def forget_connections() -> None:
    """Open every bucket anew from now on: for tests, and after credentials were replaced by hand."""
    _connect.cache_clear()


@functools.lru_cache(maxsize=64)
def _connect(bucket: str, options: StorageOptions, endpoint: str | None, profile: str | None, pid: int) -> S3Connection:
    return S3Connection(bucket, options, SystemClock())


def _discover(bucket: str, options: StorageOptions, session: Any) -> str:
    """The bucket's region: S3 tells it in a header even to strangers. Other endpoints are asked only when no region is configured, and
    may not know; then it is us-east-1."""
    own_endpoint = endpoint_of(options) is not None
    if own_endpoint and session.region_name:
        return str(session.region_name)
    configured: str = session.region_name or "us-east-1"
    asking = dataclasses.replace(options, anonymous=True, region=configured)
    client = session.client("s3", **boto_options(asking, attempts=2))
    try:
        reply = client.head_bucket(Bucket=bucket)
    except SDK_FAILURES as error:
        if region := region_in(error):
            return region
        if own_endpoint and status_of(error) is not None:
            return configured
        if status_of(error) == 404 or code_of(error) == "NoSuchBucket":
            raise BucketMissing(f"The bucket s3://{bucket} does not exist.") from None
        raise s3_error(error, f"s3://{bucket}") from None
    return str(reply.get("BucketRegion") or configured)


def _with_bucket(endpoint: str, bucket: str) -> str:
    scheme, separator, host = endpoint.partition("://")
    if not separator:
        raise StorageError(f'The endpoint "{endpoint}" lacks http:// or https://.')
    return f"{scheme}://{bucket}.{host}"
