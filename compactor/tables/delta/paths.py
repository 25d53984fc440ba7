"""Paths of the log and keys of the store (protocol section "Add File and Remove File": `path` is an RFC 2396 URI, mostly relative).

A path is compared only in canonical form, and turned into a key only when it stays below the table's root. As a relative reference
(RFC 3986, section 5.2.4) it may have segments `.`, which name nothing; empty segments are nothing on a disk, but part of a name in an
object store. Pure; never touches a store.
"""

from __future__ import annotations

import re
from contextlib import suppress
from unicodedata import category
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from compactor.errors import TableRefused

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_SUSPICIOUS = r"^[A-Za-z][A-Za-z0-9+.\-]*:|^/|%2[eEfF]|\.\."
_EMPTY_SEGMENTS = r"(^|[^:/])//|%2[fF]|/$"
_S3_SPELLINGS = re.compile(r"^s3[an]?://")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_=-][A-Za-z0-9_=.-]*/)*[A-Za-z0-9_=-][A-Za-z0-9_=.-]*")
"""Paths as nearly all are: relative, nothing to decode, no segment that names nothing or leads up."""
_JAVA_LEGAL = "/!$&'()*+,;=@-._~"
_JAVA_ESCAPED = {"Cc", "Cs", "Zl", "Zp", "Zs"}


def canonical(path: str) -> str:
    """The form in which two spellings of one path are equal: percent-decoded, `file:///x` as `/x`. Bytes that are no UTF-8 survive."""
    if "%" in path:
        path = unquote(path, errors="surrogateescape")
    if path.startswith("file:"):
        path = "/" + path[5:].lstrip("/")
    return path


def object_key(path: str, table_uri: str, *, external: bool = False) -> str:
    """The key below the table's root of the object at `path`, as it stands in the log of the table at `table_uri`.

    external: an absolute path outside the root is its own key, decoded. Otherwise raises TableRefused (reason `external-path`) when the
    path leaves the root: another bucket, another folder, `..`.
    """
    if _PLAIN.fullmatch(path):
        return path
    absolute = path.startswith("/") or _SCHEME.match(path) is not None
    key = _below_root(_comparable(path), _comparable(table_uri, encoded=False)) if absolute else unquote(path, errors="surrogateescape")
    if absolute and not key and external and not _climbs(path):
        return _comparable(path)
    if not key or ".." in key.split("/"):
        raise TableRefused(
            f'The log of {table_uri} names the file "{path}", which is not below the table\'s root; '
            "such a file is read only with --allow-external-paths.",
            reason="external-path",
        )
    return _plain(key, table_uri)


def _plain(key: str, table_uri: str) -> str:
    """The key without segments that name nothing."""
    parts = key.split("/")
    if "." in parts or ("" in parts and "://" not in table_uri):
        nothing = (".",) if "://" in table_uri else (".", "")
        return "/".join(part for part in parts if part not in nothing)
    return key


def unnameable(paths: pa.ChunkedArray, table_uri: str) -> dict[str, str]:
    """Paths of files below the root whose names no adapter of ours can reach, each with a sentence that says why."""
    if "://" not in table_uri:
        return {}
    found = {}
    slashes = pc.or_(pc.match_substring(paths, "//"), pc.or_(pc.match_substring(paths, "%2"), pc.ends_with(paths, "/")))
    candidates = paths.filter(slashes)
    for path in candidates.filter(pc.match_substring_regex(candidates, _EMPTY_SEGMENTS)).to_pylist():
        with suppress(TableRefused):
            if "" in object_key(path, table_uri).split("/"):
                found[path] = f"{path}: its name has an empty part between slashes, which an object store keeps and tools drop."
    return found


def _climbs(path: str) -> bool:
    return ".." in unquote(path, errors="surrogateescape").split("/")


def _comparable(uri: str, *, encoded: bool = True) -> str:
    decoded = unquote(uri, errors="surrogateescape") if encoded else uri
    if decoded.startswith("file:"):
        return "/" + decoded[5:].lstrip("/")
    return _S3_SPELLINGS.sub("s3://", decoded)


def _below_root(uri: str, root: str) -> str:
    folder = root.rstrip("/") + "/"
    return uri[len(folder) :] if uri.startswith(folder) else ""


def encode_path(key: str) -> str:
    """A key below the root as a path of the log, spelled as java.net.URI spells it: what is not ASCII stays, but for spaces and controls.

    Spark's VACUUM looks for a listed file among the paths of the log as text: a live file that is spelled otherwise is deleted.
    Colons stay too, but for the first folder, where they would read as the end of a scheme.
    """
    first, slash, rest = key.partition("/")
    return _java_quoted(first, _JAVA_LEGAL) + slash + _java_quoted(rest, _JAVA_LEGAL + ":")


def _java_quoted(text: str, safe: str) -> str:
    if text.isascii():
        return quote(text, safe=safe)
    return "".join(one if _stays(one) else quote(one, safe=safe, errors="surrogateescape") for one in text)


def _stays(one: str) -> bool:
    return not one.isascii() and category(one) not in _JAVA_ESCAPED


def suspicious_rows(paths: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Rows whose path may leave the table's root; all others certainly stay below it."""
    mask = pc.match_substring_regex(paths, _SUSPICIOUS)
    rows: npt.NDArray[np.int64] = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
    return rows
