"""Results of finished groups, kept until they are committed, so that a later run can commit what a dead one had rewritten.

`results/<run>.<nonce>/<group>.json`, created once, by the driver, for groups large enough that one more small object costs nothing that
could be measured. A result is data, not code: values of the model's own classes, by name, and nothing else; one that this version cannot
read in full is as good as none. Never says that anything was committed.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from compactor.coordination.documents import create, decode, encode
from compactor.errors import CompactorError
from compactor.model import commit, engine, fingerprint, plan, rewrite
from compactor.model.commit import FinishedGroup
from compactor.storage.base import ObjectStore

RESULT_FORMAT_VERSION = 1


def _field_names(kind: type) -> tuple[str, ...] | None:
    """The fields of a class of the model, which is a dataclass or a named tuple; None of any other."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return getattr(kind, "_fields", None) if issubclass(kind, tuple) else None


_KNOWN: Mapping[str, Callable[..., Any]] = {
    name: kind
    for module in (commit, engine, fingerprint, plan, rewrite)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and _field_names(kind)
}


def keep_result(store: ObjectStore, folder: str, group: FinishedGroup) -> None:
    """Keep a finished group. `folder` ends in `/`. Raises StorageError."""
    data = encode("result", RESULT_FORMAT_VERSION, {"group": to_plain(group)})
    create(store, f"{folder}{group.result.group_id:06d}.json", data)


def read_results(store: ObjectStore, folder: str) -> list[FinishedGroup]:
    """The finished groups kept in a folder, in order, without those that cannot be read in full. Raises StorageError."""
    found = []
    for item in store.list(folder):
        try:
            value = from_plain(decode(store.get(item.key), "result", RESULT_FORMAT_VERSION, item.key)["group"])
        except (CompactorError, ValueError, KeyError, TypeError, ArithmeticError):
            continue
        if isinstance(value, FinishedGroup):
            found.append(value)
    return found


def forget_results(store: ObjectStore, folder: str) -> None:
    """Remove what was kept in a folder. Raises StorageError."""
    store.delete([item.key for item in store.list(folder)])


def to_plain(value: Any) -> Any:
    """A value of the model as JSON can hold it. Raises TypeError for anything that is not one."""
    names = _field_names(type(value))
    if names and type(value).__name__ in _KNOWN:
        return {"is": type(value).__name__, **{name: to_plain(getattr(value, name)) for name in names}}
    if isinstance(value, bytes):
        return {"is": "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        return {"is": "decimal", "text": str(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be kept.")


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given; sequences are tuples. Raises KeyError, TypeError, ValueError for what is none."""
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    if value["is"] == "bytes":
        return base64.b64decode(value["base64"])
    if value["is"] == "decimal":
        return Decimal(value["text"])
    return _KNOWN[value["is"]](**{name: from_plain(item) for name, item in value.items() if name != "is"})
