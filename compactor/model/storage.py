"""StorageOptions: how to reach a store, without secrets. One value feeds obstore, boto3 and deltalake alike.

It travels to workers and into plans and journals; each process resolves (and refreshes) its own credentials from its surroundings:
environment, profile, container or instance role, web identity. Nothing here may ever hold a key, a token or a password.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """Everything about a store that is not a secret. Fields that do not apply to a store's scheme are ignored there.

    endpoint_url: an S3-compatible endpoint (`http://` allows plain text); None means the cloud's own.
    region: None means discover it (S3: HEAD on the bucket), falling back to the SDK's own configuration.
    role_arn / external_id: assume this role first (STS).
    sse_kms_key_id: encrypt with this KMS key (`aws:kms`); server_side_encryption may name another mode, for example `AES256`.
    sse_customer_key_file: encrypt with the key in this file (SSE-C; 32 bytes in base64), which each process reads where it runs.
    anonymous: send unsigned requests (public buckets).
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    requester_pays: bool = False
    server_side_encryption: str | None = None
    sse_kms_key_id: str | None = None
    sse_customer_key_file: str | None = None
    path_style: bool | None = None
    acl: str | None = None
    storage_class: str | None = None
    anonymous: bool = False
    connect_timeout_s: float = 10.0
    request_timeout_s: float = 120.0
