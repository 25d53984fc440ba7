"""Reads through obstore, shared by every cloud: whole objects, ranges, descriptions. Retries happen inside obstore, within a budget.

Data is handed out as views of Rust's buffers, never copied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from compactor.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsMissing,
    ObjectArchived,
    ObjectMissing,
    StorageError,
    StorageUnavailable,
    WrongRegion,
)
from compactor.model.storage import StorageOptions
from compactor.storage.base import ObjectMeta
from compactor.storage.keys import check_ranges, too_short
from compactor.storage.ranges import cut_ranges, merge_ranges

COALESCE_BYTES = 1024 * 1024
"""Ranges closer than this are fetched with one request: a gap of 1 MiB is cheaper than another round trip."""
READ_RETRIES = 5
RETRY_S = 60
FAILURES: tuple[type[Exception], ...] = (BaseError, OSError, ValueError)
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")


def client_options(options: StorageOptions, endpoint: str | None) -> Any:
    """obstore's client options."""
    return {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "connect_timeout": timedelta(seconds=options.connect_timeout_s),
        "timeout": timedelta(seconds=options.request_timeout_s),
    }


def retry_config(retries: int) -> Any:
    """obstore's retry budget; 0 sends every request once."""
    return {"max_retries": retries, "retry_timeout": timedelta(seconds=RETRY_S)}


def read_whole(store: Any, name: str, uri: str) -> memoryview:
    """The object `name` of an obstore store; `uri` is what messages call it."""
    try:
        return memoryview(obstore.get(store, name).bytes())
    except FAILURES as error:
        raise obstore_error(error, uri) from None


def read_ranges(store: Any, name: str, uri: str, ranges: Sequence[tuple[int, int]]) -> list[bytes | memoryview]:
    """The ranges (start, length) of an object, in order. Raises StorageError when it is too short."""
    root, _, key = uri.rpartition("/")
    check_ranges(key, root, ranges)
    # obstore's own merging panics when the object ends before a merged range does, so it is given ranges that it cannot merge.
    spans = merge_ranges(ranges, COALESCE_BYTES)
    try:
        starts, lengths = [start for start, _ in spans], [length for _, length in spans]
        fetched = obstore.get_ranges(store, name, starts=starts, lengths=lengths, coalesce=0) if spans else ()
    except FAILURES as error:
        if _out_of_range(error):
            raise too_short(key, root, *max(ranges, key=sum)) from None
        raise obstore_error(error, uri) from None
    cut = cut_ranges(ranges, spans, [memoryview(data) for data in fetched])
    if isinstance(cut, tuple):
        raise too_short(key, root, *cut)
    return list(cut)


def describe(store: Any, name: str, key: str, uri: str) -> ObjectMeta | None:
    """The object's description under the key that the caller knows it by, or None."""
    try:
        return meta_of(obstore.head(store, name), key)
    except FileNotFoundError:
        return None
    except FAILURES as error:
        raise obstore_error(error, uri) from None


def meta_of(found: Any, key: str) -> ObjectMeta:
    """Our description of an object that obstore described. Azure quotes an ETag in headers and not in listings: here both have quotes."""
    modified_ms = int(found["last_modified"].timestamp() * 1000)
    etag: str | None = found["e_tag"]
    if etag and not etag.endswith('"'):
        etag = f'"{etag}"'
    return ObjectMeta(key=key, size_bytes=found["size"], modified_ms=modified_ms, etag=etag)


def obstore_error(error: Exception, uri: str) -> StorageError:
    """Our error for one of obstore's. Its text may hold a signed URL: only the status and the error code in it are passed on."""
    text = str(error)
    code, status = _found(_CODE, text), _found(_STATUS, text)
    what = code or status or type(error).__name__
    if code == "InvalidObjectState" or "BlobArchived" in text:
        return ObjectArchived(f"{uri} is in an archive tier and cannot be read before it is restored.")
    if code in ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed") or "redirect without LOCATION" in text:
        return WrongRegion(f"The bucket of {uri} is in another region than the one used: leave --region out, or pass the bucket's own.")
    if code == "NoSuchBucket":
        return BucketMissing(f"The bucket of {uri} does not exist.")
    if isinstance(error, FileNotFoundError):
        return ObjectMissing(f"{uri} does not exist.")
    if "credential provider" in text or "TokenRequest" in text:
        return CredentialsMissing(f"No usable credentials were found for {uri}: they are missing, or they could not be refreshed.")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or status in ("401", "403"):
        return AccessDenied(f"Access to {uri} was denied ({what}).")
    if isinstance(error, ValueError) or (status and status.startswith("4") and status not in ("408", "429")):
        return StorageError(f"The store refused a request about {uri} ({what}).")
    return StorageUnavailable(f"The store of {uri} could not be reached or did not answer as it should ({what}).")


def _out_of_range(error: Exception) -> bool:
    """416 from the store, or obstore's own finding that the object ends before the range starts."""
    text = str(error)
    return _found(_STATUS, text) == "416" or "greater than" in text


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1] if match else None
