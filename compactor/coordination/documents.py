"""What is kept beside a table: small JSON objects with a kind and a format version. Older versions are read, newer ones refused by name.

Created once and never overwritten. Holds no secret: only names, counts and times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from compactor.errors import StorageUnavailable, TableCorrupt, TableRefused, UsageError
from compactor.storage.base import Created, Exists, ObjectStore, PutUnknown

_TRIES = 3
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=@-]{0,199}")


def check_run_id(run_id: str) -> str:
    """The run id, when it can be part of an object's name. Raises UsageError."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f'"{run_id}" is not a run id: up to 200 letters, digits and . _ : + = @ -, beginning with a letter or digit.')
    return run_id


def encode(kind: str, format_version: int, body: Mapping[str, Any]) -> bytes:
    """The object's bytes; equal values give equal bytes."""
    return json.dumps({"format_version": format_version, "kind": kind, **body}, ensure_ascii=False, separators=(",", ":")).encode()


def decode(data: bytes | memoryview, kind: str, format_version: int, where: str) -> dict[str, Any]:
    """The document in `data`. Raises TableRefused when it is newer than `format_version`, TableCorrupt when it is none of its kind."""
    try:
        document = json.loads(bytes(data))
        found = int(document["format_version"])
        right_kind = document["kind"] == kind
    except (ValueError, KeyError, TypeError) as error:
        raise TableCorrupt(f"{where} is not a {kind} document.") from error
    if found > format_version:
        raise TableRefused(
            f"{where} has format version {found} of a {kind}; this version of the compactor reads up to {format_version}, use a newer one.",
            reason=f"newer-format:{kind}",
        )
    if not right_kind:
        raise TableCorrupt(f"{where} is not a {kind} document.")
    return dict(document)


def create(store: ObjectStore, key: str, data: bytes) -> bool:
    """Create the object, exactly once. True when it holds `data`, by this try or an earlier one of ours; False when it holds other bytes.

    Raises StorageError, StorageUnavailable when it stays unknown.
    """
    why = ""
    for _ in range(_TRIES):
        match store.create(key, data):
            case Created():
                return True
            case Exists():
                return bytes(store.get(key)) == data
            case PutUnknown(why=why):
                continue
    raise StorageUnavailable(f"It is not known whether {store.uri}/{key} was written: {why}")
