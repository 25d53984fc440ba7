"""Iceberg compatibility, versions 1 and 2: whether it is in force, and what stands against writing a file that keeps it. Pure.

Protocol sections "Iceberg Compatibility V1" and "V2". What it demands of files besides (partition columns inside, field ids at every
level, 64-bit timestamps, the number of records) is done where schema and files are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compactor.tables.base import Refusal
from compactor.tables.delta.protocol import mapping_mode, physical_name
from compactor.tables.delta.state import Metadata

TAG = "ICEBERG_COMPAT_VERSION"
"""A tag by which Spark knows files that keep the compatibility."""
_NESTED_IDS = "delta.columnMapping.nested.ids"
_ALLOWED = frozenset(
    {"byte", "short", "integer", "long", "float", "double", "string", "binary", "boolean", "timestamp", "timestamp_ntz", "date"}
)


def compat_version(metadata: Metadata, features: frozenset[str]) -> int | None:
    """The version of the compatibility that files must keep, or None where none is enabled."""
    enabled = [version for version in (2, 1) if f"icebergCompatV{version}" in features and _enabled(metadata, version)]
    return enabled[0] if enabled else None


def _enabled(metadata: Metadata, version: int) -> bool:
    return metadata.configuration.get(f"delta.enableIcebergCompatV{version}", "false").strip().lower() == "true"


def iceberg_refusals(metadata: Metadata, features: frozenset[str]) -> list[Refusal]:
    """Why a file of this table cannot keep the compatibility that is enabled, by the feature's name."""
    version = compat_version(metadata, features)
    if version is None:
        return []
    name = f"icebergCompatV{version}"
    mode = mapping_mode(metadata, features)
    why = None
    if mode not in ("name", "id"):
        why = "its columns are not mapped"
    elif version == 1 and "deletionVectors" in features:
        why = "it supports deletion vectors"
    else:
        why = next(_against(metadata.schema["fields"], version, mode), None)
    return [] if why is None else [Refusal(reason=f"feature:{name}", why=f'The table has the feature "{name}" enabled, but {why}.')]


def _against(fields: list[Mapping[str, Any]], version: int, mode: str) -> Iterator[str]:
    """What of a struct's fields stands against the compatibility, in half a sentence."""
    for field in fields:
        ids = (field.get("metadata") or {}).get(_NESTED_IDS) or {}
        yield from _type_against(field["type"], str(field["name"]), version, (mode, ids, physical_name(field, mode)))


def _type_against(kind: Any, name: str, version: int, known: tuple[str, Mapping[str, int], str]) -> Iterator[str]:
    mode, ids, prefix = known
    if isinstance(kind, str):
        if kind not in _ALLOWED and not kind.startswith("decimal"):
            yield f'its column "{name}" has the type {kind}'
    elif kind["type"] == "struct":
        yield from _against(kind["fields"], version, mode)
    elif version == 1:
        yield f'its column "{name}" is a {kind["type"]}'
    else:
        for part, inner in (("element", "elementType"), ("key", "keyType"), ("value", "valueType")):
            if inner in kind:
                if f"{prefix}.{part}" not in ids:
                    yield f'the {part} of its column "{name}" has no id'
                yield from _type_against(kind[inner], name, version, (mode, ids, f"{prefix}.{part}"))
