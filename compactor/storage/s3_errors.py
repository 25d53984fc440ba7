"""What S3 and botocore answer, in the words of compactor/errors.py. One sentence each, naming the object, never a secret.

The library's own text is never passed on whole: only S3's error code and HTTP status are, which hold no key, token or signed URL.
"""

from __future__ import annotations

from botocore import exceptions as boto

from compactor.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsMissing,
    ObjectArchived,
    ObjectMissing,
    StorageError,
    StorageUnavailable,
    UsageError,
    WrongRegion,
)

_REDIRECTS = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"}
_REJECTED_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "AuthFailure"}
_PASSING = {
    "SlowDown",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "Throttling",
    "ThrottlingException",
    "InternalError",
    "ServiceUnavailable",
}
_NOT_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, boto.SSLError)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
)
SDK_FAILURES: tuple[type[Exception], ...] = (boto.ClientError, boto.BotoCoreError, OSError)
"""What a boto3 call may raise. Anything else is a bug."""


def status_of(error: Exception) -> int | None:
    """The HTTP status of the reply, or None when there was none."""
    if not isinstance(error, boto.ClientError):
        return None
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status else None


def code_of(error: Exception) -> str:
    """S3's error code (`NoSuchKey`); empty when there was no reply."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def stored_nothing(error: Exception) -> bool:
    """Whether a PUT that failed so is known to have stored nothing. A time-out, a reset, a 5xx, a 409 and throttling are not known."""
    status = status_of(error)
    if status is None:
        return isinstance(error, (*_NOT_SENT, *_NO_CREDENTIALS, boto.ProfileNotFound, boto.ParamValidationError))
    if status == 501:
        return True
    return 300 <= status < 500 and status not in (408, 409, 425, 429) and code_of(error) not in _PASSING


def s3_error(error: Exception, name: str) -> StorageError | UsageError:
    """Our error for a failed call about `name` (an object, a prefix or a bucket as a URI)."""
    if isinstance(error, boto.ClientError):
        return _answered(error, name)
    if isinstance(error, boto.ProfileNotFound):
        return CredentialsMissing(f'{name} cannot be opened: there is no AWS profile "{error.kwargs["profile"]}" on this machine.')
    if isinstance(error, _NO_CREDENTIALS):
        return no_credentials(name)
    if isinstance(error, boto.ParamValidationError):
        return StorageError(f"{name} cannot be addressed on S3: its name is not one that S3 accepts.")
    return StorageUnavailable(f"The store of {name} could not be reached or did not answer in time ({type(error).__name__}).")


def no_credentials(name: str) -> CredentialsMissing:
    """The error for a store that needs credentials when none were found."""
    return CredentialsMissing(
        f"No AWS credentials were found for {name}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile, or run under a role."
    )


def region_in(error: Exception) -> str | None:
    """The bucket's region, which S3 tells even with a refusal."""
    if not isinstance(error, boto.ClientError):
        return None
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return str(region) if region else None


def wrong_region(name: str, region: str | None) -> WrongRegion:
    """The error for a bucket in another region than the one used."""
    if region:
        return WrongRegion(f"The bucket of {name} is in region {region}, which is not the one used: pass --region {region}.")
    return WrongRegion(f"The bucket of {name} is in another region than the one used: leave --region out, or pass the bucket's own.")


def _answered(error: boto.ClientError, name: str) -> StorageError:
    code, status = code_of(error), status_of(error) or 0
    if code in _REDIRECTS or status in (301, 307):
        return wrong_region(name, region_in(error))
    if code == "InvalidObjectState":
        return ObjectArchived(f"{name} is in an archive tier and cannot be read before it is restored.")
    if code == "NoSuchBucket":
        return BucketMissing(f"The bucket of {name} does not exist.")
    if code in _REJECTED_KEYS:
        return AccessDenied(f"The store rejected the credentials used for {name} ({code}).")
    if status == 404:
        return ObjectMissing(f"{name} does not exist.")
    if status in (401, 403):
        return AccessDenied(f"Access to {name} was denied ({code or status}): grant {_permission(error.operation_name)}.")
    if (status >= 500 and status != 501) or status == 429 or code in _PASSING:
        return StorageUnavailable(f"The store of {name} is busy or failing ({code or status}).")
    return StorageError(f"The store refused a request about {name} ({error.operation_name}: {code or status}).")


def _permission(operation: str) -> str:
    """The IAM permission behind an operation."""
    listing = {
        "ListObjectsV2": "s3:ListBucket",
        "ListMultipartUploads": "s3:ListBucketMultipartUploads",
        "HeadBucket": "s3:ListBucket",
        "DeleteObjects": "s3:DeleteObject",
    }
    writing = {"AbortMultipartUpload": "s3:AbortMultipartUpload", "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject"}
    return listing.get(operation) or writing.get(operation, "s3:PutObject")
