"""AWS sessions, credentials and clients from StorageOptions, for every module that speaks to an AWS service.

Credentials are resolved here, in each process for itself, by botocore's own chain (environment, profile, SSO, web identity, container,
instance) and refreshed by it; the instance metadata service is given a second, so that a laptop without credentials hears so at once.
They are handed to a client or a library at call time and never kept in a value of ours, printed, or sent to another process.
"""

from __future__ import annotations

import functools
import os
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.config
import botocore.credentials
import botocore.loaders
import botocore.session
from botocore import UNSIGNED

from compactor.ambient.ports import Clock
from compactor.model.storage import StorageOptions
from compactor.storage.s3_errors import SDK_FAILURES, no_credentials, s3_error

_CREDENTIAL_LIFE_S = 300
_SESSION_NAME = "lakehouse-compactor"
READ_ATTEMPTS = 6
_POOL = 32


def endpoint_of(options: StorageOptions, service: str = "s3") -> str | None:
    """The endpoint in force: the options' own for S3, else what the environment says, else None (AWS itself)."""
    if service == "s3" and options.endpoint_url:
        return options.endpoint_url
    named = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
    return named or None


def aws_session(options: StorageOptions, name: str) -> boto3.Session:
    """A session with the options' profile, role and region. `name` is what messages call the thing that is being opened.

    Raises CredentialsMissing when the profile does not exist.
    """
    try:
        core = _core(options.profile)
        if options.region:
            core.set_config_variable("region", options.region)
        if options.role_arn and not options.anonymous:
            _assume(core, options, name)
        return boto3.Session(botocore_session=core)
    except SDK_FAILURES as error:
        raise s3_error(error, name) from None


def boto_options(options: StorageOptions, *, service: str = "s3", attempts: int = READ_ATTEMPTS) -> dict[str, Any]:
    """Keyword arguments for `session.client(service, …)`: region, endpoint and a botocore Config. Holds no secret.

    attempts: how often a request may be sent in all; 1 switches retries off.
    """
    endpoint = endpoint_of(options, service)
    config = botocore.config.Config(
        signature_version=UNSIGNED if options.anonymous else None,
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.request_timeout_s,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=_POOL,
        # Stores that only resemble S3 often reject the checksum trailers that AWS introduced in 2025.
        request_checksum_calculation="when_required" if endpoint else "when_supported",
        response_checksum_validation="when_required",
        s3={"addressing_style": _addressing(options, endpoint)},
    )
    return {"region_name": options.region, "endpoint_url": endpoint, "config": config}


def use_path_style(options: StorageOptions, endpoint: str | None) -> bool:
    """Whether the bucket goes into the path: as asked, else only on endpoints that are not AWS's own."""
    return options.path_style if options.path_style is not None else endpoint is not None


def credentials_of(session: boto3.Session, name: str) -> botocore.credentials.Credentials:
    """The session's credentials, which refresh themselves. Raises CredentialsMissing when there are none."""
    try:
        found = session.get_credentials()
    except SDK_FAILURES as error:
        raise s3_error(error, name) from None
    if found is None:
        raise no_credentials(name)
    return found


class CredentialSource:
    """Hands a session's present credentials to obstore, which asks again when they are five minutes old. Its repr shows none of them."""

    def __init__(self, credentials: botocore.credentials.Credentials, clock: Clock) -> None:
        self._credentials, self._clock = credentials, clock

    def __call__(self) -> dict[str, Any]:
        frozen = self._credentials.get_frozen_credentials()
        expires = datetime.fromtimestamp(self._clock.now_ms() / 1000 + _CREDENTIAL_LIFE_S, UTC)
        return {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key, "token": frozen.token, "expires_at": expires}


class _AssumedRole(botocore.credentials.CredentialProvider):  # type: ignore[misc]
    METHOD = "assume-role"
    CANONICAL_NAME = "lakehouse-compactor-assume-role"

    def __init__(self, credentials: botocore.credentials.Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> botocore.credentials.Credentials:
        return self._credentials


def _core(profile: str | None) -> botocore.session.Session:
    core = botocore.session.Session(profile=profile)
    core.register_component("data_loader", _service_models())
    return core


@functools.cache
def _service_models() -> botocore.loaders.Loader:
    """The descriptions of AWS's services, parsed once a process and not once a session: a tenth of a second each time."""
    return botocore.loaders.create_loader()


def _assume(core: botocore.session.Session, options: StorageOptions, name: str) -> None:
    """Make the session answer with the role's credentials, fetched with those it has now and refreshed before they expire."""
    # A session of its own: the one that is handed out answers with the role, and must not be asked to assume the role with the role.
    caller = _core(options.profile)
    source = caller.get_credentials()
    if source is None:
        raise no_credentials(name)
    arguments = {"RoleSessionName": _SESSION_NAME}
    if options.external_id:
        arguments["ExternalId"] = options.external_id
    region = core.get_config_variable("region") or "us-east-1"
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        functools.partial(caller.create_client, region_name=region), source, options.role_arn, extra_args=arguments
    )
    role = botocore.credentials.DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
    core.register_component("credential_provider", botocore.credentials.CredentialResolver([_AssumedRole(role)]))


def _addressing(options: StorageOptions, endpoint: str | None) -> str:
    return "path" if use_path_style(options, endpoint) else "virtual"
