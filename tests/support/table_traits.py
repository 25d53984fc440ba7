"""What is special about a table, by its log and its files: the rows of the conformance report. Deterministic."""

from __future__ import annotations

import json
from typing import Any

from support.reader import open_file
from support.reader_log import Log

_BY_PROPERTY = {
    "delta.enableChangeDataFeed": "change data feed",
    "delta.appendOnly": "append-only",
    "delta.enableInCommitTimestamps": "in-commit timestamps",
    "delta.enableRowTracking": "row tracking enabled",
    "delta.rowTrackingSuspended": "row tracking suspended",
    "delta.randomizeFilePrefixes": "random file prefixes",
    "delta.enableIcebergCompatV1": "icebergCompatV1",
    "delta.enableIcebergCompatV2": "icebergCompatV2",
    "delta.enableIcebergCompatV3": "icebergCompatV3",
}
_BY_FIELD = {
    "delta.generationExpression": "generated columns",
    "delta.identity.start": "identity columns",
    "delta.invariants": "invariants",
    "delta.typeChanges": "type widening",
    "CURRENT_DEFAULT": "column defaults",
    "__COLLATIONS": "collations",
}
_ENABLED_ELSEWHERE = {
    "appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "identityColumns", "columnMapping",
    "deletionVectors", "inCommitTimestamp", "typeWidening", "typeWidening-preview", "allowColumnDefaults", "timestampNtz",
}  # fmt: skip
"""Features that say nothing unless they are used, which the other marks tell."""


def traits(log: Log) -> tuple[str, ...]:
    """Names of everything that is special, sorted; ("plain",) for a table where nothing is."""
    found = {f"feature {name}" for name in log.features - _ENABLED_ELSEWHERE}
    found |= {mark for key, mark in _BY_PROPERTY.items() if log.properties.get(key, "").lower() == "true"}
    if log.mapping != "none":
        found.add(f"column mapping by {log.mapping}")
    if any(key.startswith("delta.constraints.") for key in log.properties):
        found.add("check constraints")
    for field in log.fields:
        found |= _of_field(field, field["name"] in log.partition_columns)
    if log.partition_columns:
        found.add("partitioned")
    if any(add.get("deletionVector") for add in log.adds.values()):
        found.add("deletion vectors")
    found |= _of_log(log) | _of_files(log)
    return tuple(sorted(found or {"plain"}))


def _of_field(field: dict[str, Any], partition: bool) -> set[str]:
    found = {mark for key, mark in _BY_FIELD.items() if key in (field.get("metadata") or {})}
    kind = field["type"]
    if isinstance(kind, dict):
        found.add({"struct": "structs", "array": "arrays", "map": "maps"}[kind["type"]])
        inner = kind.get("fields") or [{"name": "", "type": kind[key]} for key in ("elementType", "keyType", "valueType") if key in kind]
        return found.union(*(_of_field(one, False) for one in inner))
    if kind in ("void", "variant", "timestamp_ntz") or kind.startswith("decimal"):
        found.add(kind.partition("(")[0])
    if partition and kind not in ("string", "integer", "long"):
        found.add(f"partitioned by {kind.partition('(')[0]}")
    return found


def _of_log(log: Log) -> set[str]:
    names = [path.name for path in (log.root / "_delta_log").iterdir() if path.name[0].isdigit()]
    found = set()
    if any(name.endswith(".checkpoint.parquet") for name in names):
        found.add("classic checkpoint")
    if any(name.count(".") == 4 and ".checkpoint." in name for name in names):
        found.add("multi-part checkpoint")
    if any(name.count(".") == 3 and ".checkpoint." in name for name in names):
        found.add("UUID-named checkpoint")
    if (log.root / "_delta_log" / "_sidecars").is_dir():
        found.add("sidecars")
    if any(":" in path or "%" in path or not path.isascii() for path, _ in log.adds):
        found.add("paths with special characters")
    return found


def _of_files(log: Log) -> set[str]:
    found = set()
    for add in log.adds.values():
        metadata = open_file(log, add).metadata
        kinds = {metadata.schema.column(i).physical_type for i in range(metadata.num_columns)}
        if "INT96" in kinds:
            found.add("96-bit timestamps")
        if metadata.num_rows == 0:
            found.add("files without rows")
        if not add.get("stats") or "numRecords" not in json.loads(add["stats"]):
            found.add("files without statistics")
    return found
