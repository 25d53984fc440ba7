"""The protocol and metaData actions as values, and the names of the features that are in force.

Protocol sections "Protocol Evolution", "Change Metadata", "Table Features". Pure parsing; whether a feature is honoured: features.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from compactor.errors import TableCorrupt
from compactor.tables.delta.state import Action, Metadata, Protocol

_LEGACY_WRITER = {
    2: ("appendOnly", "invariants"),
    3: ("checkConstraints",),
    4: ("changeDataFeed", "generatedColumns"),
    5: ("columnMapping",),
    6: ("identityColumns",),
}


def parse_protocol(raw: Action, name: str) -> Protocol:
    """A protocol action. Raises TableCorrupt, naming the table `name`, when the versions are missing."""
    reader, writer = raw.get("minReaderVersion"), raw.get("minWriterVersion")
    if not isinstance(reader, int) or not isinstance(writer, int):
        raise TableCorrupt(f"The protocol action of {name} has no reader and writer versions.")
    return Protocol(
        min_reader_version=reader,
        min_writer_version=writer,
        reader_features=frozenset(raw.get("readerFeatures") or ()),
        writer_features=frozenset(raw.get("writerFeatures") or ()),
    )


def features_in_force(protocol: Protocol) -> frozenset[str]:
    """Every reader and writer feature of the protocol, legacy versions spelled out."""
    names = set(protocol.reader_features | protocol.writer_features)
    if protocol.min_reader_version == 2:
        names.add("columnMapping")
    if protocol.min_writer_version < 7:
        for version, features in _LEGACY_WRITER.items():
            if protocol.min_writer_version >= version:
                names.update(features)
    return frozenset(names)


def parse_metadata(raw: Action, name: str) -> Metadata:
    """A metaData action. Raises TableCorrupt, naming the table `name`, when its schema cannot be read."""
    schema = _schema(raw.get("schemaString"), name)
    configuration = raw.get("configuration") or {}
    return Metadata(
        id=str(raw.get("id") or ""),
        name=raw.get("name"),
        schema=schema,
        partition_columns=tuple(raw.get("partitionColumns") or ()),
        configuration={str(k): str(v) for k, v in dict(configuration).items() if v is not None},
        raw=raw,
    )


def _schema(text: Any, name: str) -> Mapping[str, Any]:
    try:
        schema = orjson.loads(text)
    except (ValueError, TypeError) as error:
        raise TableCorrupt(f"The metaData action of {name} has no readable schema.") from error
    if not isinstance(schema, dict) or not isinstance(schema.get("fields"), list):
        raise TableCorrupt(f"The metaData action of {name} has a schema that is no struct.")
    try:
        _check_fields(schema)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TableCorrupt(f"The metaData action of {name} has a schema with an incomplete or malformed field.") from error
    return schema


def _check_fields(struct: Mapping[str, Any]) -> None:
    """Every field has a name and a type, all the way down. Raises KeyError, TypeError or AttributeError where that is not so."""
    for field in struct["fields"]:
        if not isinstance(field["name"], str):
            raise TypeError("name")
        (field.get("metadata") or {}).get("")
        _check_type(field["type"])


def _check_type(kind: Any) -> None:
    if isinstance(kind, str):
        return
    if kind["type"] == "struct":
        _check_fields(kind)
    for part in {"array": ("elementType",), "map": ("keyType", "valueType")}.get(kind["type"], ()):
        _check_type(kind[part])


def mapping_mode(metadata: Metadata, features: frozenset[str]) -> str:
    """`none`, `name` or `id`; `none` when the protocol does not support column mapping. Other values are returned as written."""
    return metadata.configuration.get("delta.columnMapping.mode", "none") if "columnMapping" in features else "none"


def physical_name(field: Mapping[str, Any], mode: str) -> str:
    """The name under which a schema field is stored in files, partition maps and statistics."""
    stored = (field.get("metadata") or {}).get("delta.columnMapping.physicalName") if mode != "none" else None
    return str(stored if stored is not None else field["name"])
