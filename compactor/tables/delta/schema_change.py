"""Whether files written under one schema are still right under another. Pure.

Columns may have been added, made nullable, renamed under column mapping, commented or constrained, and widened where the table allows
it: a missing column reads as null and a narrower type as the wider one (protocol sections "Schema Serialization Format", "Column
Mapping", "Type Widening"). A column of the table itself may have been dropped under column mapping: its physical name is never used again,
and files that hold it are as good as those they replace. Anything else makes a written file wrong or doubtful, and the answer names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from compactor.tables.delta.iceberg import compat_version
from compactor.tables.delta.protocol import mapping_mode
from compactor.tables.delta.state import Metadata

_WIDER = {
    "byte": {"short", "integer", "long", "double"},
    "short": {"integer", "long", "double"},
    "integer": {"long", "double"},
    "float": {"double"},
    "date": {"timestamp_ntz"},
}
_DIGITS = {"byte": 3, "short": 5, "integer": 10, "long": 20}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(-?\d+)\)")

Type = str | Mapping[str, Any]
Field = Mapping[str, Any]


def schema_change(old: Metadata, new: Metadata, features: frozenset[str]) -> str | None:
    """Why files written under the schema of `old` are not right under that of `new`, in a sentence; None when they are.

    features: of the table now.
    """
    widening = not features.isdisjoint({"typeWidening", "typeWidening-preview"})
    mapped = mapping_mode(old, features) != "none"
    gone = set(dropped_columns(old, new, features))
    left = [field for field in old.schema.get("fields", ()) if field["name"] not in gone]
    return _struct_change({**old.schema, "fields": left}, new.schema, mapped, widening)


def dropped_columns(old: Metadata, new: Metadata, features: frozenset[str]) -> tuple[str, ...]:
    """Columns of the table, by their names in `old`, that were dropped since in a way that leaves files right; Iceberg is asked nothing."""
    if mapping_mode(old, features) == "none" or compat_version(new, features) is not None:
        return ()
    after = {_identity(field, True) for field in new.schema.get("fields", ())}
    return tuple(field["name"] for field in old.schema.get("fields", ()) if _identity(field, True) not in after)


def _struct_change(old: Mapping[str, Any], new: Mapping[str, Any], mapped: bool, widening: bool) -> str | None:
    after = {_identity(field, mapped): field for field in new.get("fields", ())}
    kept = [_identity(field, mapped) for field in old.get("fields", ())]
    for field in old.get("fields", ()):
        name = field["name"]
        successor = after.get(_identity(field, mapped))
        if successor is None:
            return f"the column {name} was dropped or renamed"
        if field.get("nullable", True) and not successor.get("nullable", True):
            return f"the column {name} became NOT NULL"
        change = _type_change(field["type"], successor["type"], mapped, widening)
        if change is not None:
            return f"the column {name}: {change}"
    if [identity for identity in after if identity in set(kept)] != kept:
        return "the order of the columns changed"
    return None


def _identity(field: Field, mapped: bool) -> tuple[object, ...]:
    if not mapped:
        return (field["name"],)
    metadata = field.get("metadata") or {}
    return metadata.get("delta.columnMapping.physicalName", field["name"]), metadata.get("delta.columnMapping.id")


def _type_change(old: Type, new: Type, mapped: bool, widening: bool) -> str | None:
    if isinstance(old, str) or isinstance(new, str):
        if old == new or (widening and isinstance(old, str) and isinstance(new, str) and _widens(old, new)):
            return None
        return f"its type changed from {_spell(old)} to {_spell(new)}"
    if old["type"] != new["type"]:
        return f"its type changed from {_spell(old)} to {_spell(new)}"
    if old["type"] == "struct":
        return _struct_change(old, new, mapped, widening)
    contains_null = "containsNull" if old["type"] == "array" else "valueContainsNull"
    if old.get(contains_null, True) and not new.get(contains_null, True):
        return "its elements became NOT NULL"
    for part in ("elementType", "keyType", "valueType"):
        if part in old:
            change = _type_change(old[part], new[part], mapped, widening)
            if change is not None:
                return change
    return None


def _spell(kind: Type) -> str:
    return kind if isinstance(kind, str) else str(kind["type"])


def _widens(old: str, new: str) -> bool:
    if new in _WIDER.get(old, ()):
        return True
    target = _DECIMAL.fullmatch(new)
    if target is None:
        return False
    precision, scale = int(target[1]), int(target[2])
    if old in _DIGITS:
        return precision - scale >= _DIGITS[old]
    source = _DECIMAL.fullmatch(old)
    return source is not None and scale >= int(source[2]) and precision - scale >= int(source[1]) - int(source[2])
