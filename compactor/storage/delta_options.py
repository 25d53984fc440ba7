"""The same StorageOptions as deltalake's `storage_options`, so that a checkpoint or an independent reader reaches the table as we do.

deltalake cannot send an ACL or a storage class; objects that it writes have the bucket's defaults.
"""

from __future__ import annotations

from compactor.model.storage import StorageOptions
from compactor.storage.uris import locate


class SecretOptions(dict[str, str]):
    """A dict whose repr shows only its keys: some values are credentials."""

    def __repr__(self) -> str:
        return f"SecretOptions({', '.join(sorted(self))})"

    __str__ = __repr__


def deltalake_options(uri: str, options: StorageOptions) -> dict[str, str]:
    """`storage_options` for a table at `uri`. Holds the credentials of this moment: make it for one call, and never keep, log or send it.

    Raises what opening the store raises.
    """
    location = locate(uri)
    if location.scheme == "s3":
        return _s3(location.bucket, options)
    made = SecretOptions()
    if location.scheme in ("gs", "azure"):
        made |= _timeouts(options)
        if options.endpoint_url:
            made["google_base_url" if location.scheme == "gs" else "azure_storage_endpoint"] = options.endpoint_url
            if options.endpoint_url.startswith("http://"):
                made["allow_http"] = "true"
        if options.anonymous:
            made["google_skip_signature" if location.scheme == "gs" else "azure_skip_signature"] = "true"
    return made


def _s3(bucket: str, options: StorageOptions) -> SecretOptions:
    from compactor.storage.aws import endpoint_of, use_path_style
    from compactor.storage.s3_connection import connect

    connection = connect(bucket, options)
    endpoint, placing = endpoint_of(connection.options), connection.placing()
    path_style = use_path_style(options, endpoint)
    named = {
        "AWS_REGION": connection.options.region,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true" if endpoint and endpoint.startswith("http://") else None,
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false" if path_style else "true",
        "aws_request_payer": "true" if options.requester_pays else None,
        "aws_server_side_encryption": placing.get("ServerSideEncryption"),
        "aws_sse_kms_key_id": placing.get("SSEKMSKeyId"),
        "aws_skip_signature": "true" if options.anonymous else None,
    }
    made = SecretOptions({key: value for key, value in named.items() if value})
    return SecretOptions(made | _timeouts(options) | connection.secrets())


def _timeouts(options: StorageOptions) -> dict[str, str]:
    return {"timeout": f"{options.request_timeout_s}s", "connect_timeout": f"{options.connect_timeout_s}s"}
