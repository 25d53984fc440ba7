"""URIs as people write them, and the one spelling of each that the rest of the program sees. Pure but for the current directory.

Canonical: an absolute path for a disk; `memory://name/…`, `s3://bucket/…`, `gs://bucket/…`; Azure keeps the spelling it was given. No
trailing slash, no empty segment. Object names in a URI are raw, never percent-encoded, except in `file://`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from compactor.errors import UsageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HALF_SCHEME = re.compile(r"(file|memory|s3a?|gs|gcs|az|abfss?):", re.IGNORECASE)
_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
AZURE_SCHEMES = frozenset({"az", "azure", "abfs", "abfss", "adl"})
_KNOWN = "a path, file://, s3://, gs://, az:// or abfss://"
_BUCKET = re.compile(r"[a-z0-9A-Z][a-zA-Z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A canonical URI taken apart. scheme: `local`, `memory`, `s3`, `gs` or `azure`; `bucket` is empty for a disk; `path` has no outer
    slashes (for a disk it is the absolute path)."""

    scheme: str
    bucket: str
    path: str
    uri: str


def normalise_uri(text: str) -> str:
    """The canonical spelling of a URI or path that a person gave. Raises UsageError, in one sentence, when it is none."""
    return locate(text).uri


def locate(text: str) -> Location:
    """A URI or path, checked and taken apart. Raises UsageError when it is none."""
    text = text.strip()
    if not text:
        raise UsageError(f"An empty table location was given; write {_KNOWN}.")
    match = _SCHEME.fullmatch(text)
    if match is None and _HALF_SCHEME.match(text):
        raise UsageError(f'"{text}" lacks slashes; write {text.split(":", 1)[0]}://…')
    if match is None:
        return _disk(text)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return _file(text, rest)
    name = _ALIASES.get(scheme, scheme)
    if name not in ("s3", "gs", "memory") and name not in AZURE_SCHEMES:
        raise UsageError(f'"{scheme}://" is not a store that is known; write {_KNOWN}.')
    return _remote(name, rest)


def join_uri(base: str, *parts: str) -> str:
    """A URI below another: `join_uri("s3://b/t", "_delta_log", "x.json")`. Parts are raw names and may hold `/`."""
    result = base.rstrip("/")
    for part in parts:
        if part.strip("/"):
            result = f"{result}/{part.strip('/')}"
    return result or "/"


def _disk(text: str) -> Location:
    if "\x00" in text:
        raise UsageError("A path with a NUL character was given.")
    path = _collapse(str(Path(text).expanduser().absolute()))
    return Location(scheme="local", bucket="", path=path, uri=path)


def _file(text: str, rest: str) -> Location:
    if rest.startswith("localhost/"):
        rest = rest.removeprefix("localhost")
    if not rest.startswith("/"):
        raise UsageError(f'"{text}" names another machine; write file:///absolute/path.')
    return _disk(unquote(rest))


def _collapse(path: str) -> str:
    """`.` and `..` taken out by name, as a shell's `cd` does."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept)


def _remote(scheme: str, rest: str) -> Location:
    bucket, _, path = rest.partition("/")
    if ":" in bucket:
        raise UsageError(f"A {scheme}:// location must not hold credentials or a port; use the environment, --profile or --endpoint-url.")
    account_at = scheme in AZURE_SCHEMES and "@" in bucket
    name = bucket.split("@", 1)[0] if account_at else bucket
    if not _BUCKET.fullmatch(name) and name != "$root":
        raise UsageError(f'"{scheme}://{rest}" names no bucket; write {scheme}://bucket/path.')
    path = path.rstrip("/")
    if any(part in ("", ".", "..") for part in path.split("/")) and path:
        raise UsageError(f'"{scheme}://{rest}" has an empty, "." or ".." segment, which object stores take literally; leave it out.')
    uri = f"{scheme}://{bucket}/{path}" if path else f"{scheme}://{bucket}"
    return Location(scheme="azure" if scheme in AZURE_SCHEMES else scheme, bucket=bucket, path=path, uri=uri)
