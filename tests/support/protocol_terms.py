"""Checks what a compaction of ours wrote against the terms of the table it wrote to: row ids, stored columns, statistics, untouched rest.

Complements protocol_check.py, which judges the entry by itself. Reads with the independent reader; local tables only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.reader import stored_name
from support.reader_log import Action, Log, key_of, local_path, read_entry, read_log
from support.statistics_truth import check_statistics

_PARTITIONS_IN_FILES = {"icebergCompatV1", "icebergCompatV2", "icebergCompatV3", "materializePartitionColumns"}
_TRACKING = "delta.rowTracking"


def check_terms(root: Path | str, version: int) -> None:
    """Assert that the entry of `version` leaves the table's terms and other files alone, and that its files are what the terms ask for."""
    before, after = read_log(root, version - 1), read_log(root, version)
    lines = read_entry(after.root / "_delta_log" / f"{version:020d}.json")
    assert (after.protocol, after.metadata) == (before.protocol, before.metadata), "protocol or metadata changed"
    adds = [line["add"] for line in lines if "add" in line]
    removed = {key_of(line["remove"]) for line in lines if "remove" in line}
    others = {key: add for key, add in before.adds.items() if key not in removed}
    assert others == {key: add for key, add in after.adds.items() if key in others}, "a file that was not removed changed"
    assert {*after.adds} == {*others, *map(key_of, adds)}, "live files are not those that stayed and those that were added"
    _check_row_ids(before, adds, lines, version)
    for add in adds:
        assert not add.get("deletionVector") or add["stats"], "a deletion vector without numRecords"
        assert "clusteringProvider" not in add, "clustering is claimed"
        _check_columns(after, add)
        check_statistics(after, add)
        _check_indexed(after, add)


def _check_row_ids(before: Log, adds: list[Action], lines: list[Action], version: int) -> None:
    conf = before.properties
    given = "rowTracking" in before.features and conf.get("delta.rowTrackingSuspended") != "true"
    marks = [line["domainMetadata"] for line in lines if "domainMetadata" in line]
    preserved = lines[0]["commitInfo"].get("tags", {}).get("delta.rowTracking.preserved")
    if not given:
        assert not marks and not any({"baseRowId", "defaultRowCommitVersion"} & add.keys() for add in adds), "row ids nobody asked for"
        return
    old = before.domains.get(_TRACKING)
    free = json.loads(old["configuration"])["rowIdHighWaterMark"] + 1 if old else 0
    for add in sorted(adds, key=lambda add: add["baseRowId"]):
        assert add["baseRowId"] >= free, f"row ids of {add['path']} were given before"
        assert add["defaultRowCommitVersion"] == version, "defaultRowCommitVersion is not the entry's version"
        free = add["baseRowId"] + json.loads(add["stats"])["numRecords"]
    assert [json.loads(mark["configuration"])["rowIdHighWaterMark"] for mark in marks] == ([free - 1] if adds else []), "high-water mark"
    if adds and conf.get("delta.enableRowTracking") == "true":
        assert preserved == "true", "it is not said that row ids are preserved"


def _check_columns(log: Log, add: Action) -> None:
    """The file has the current data columns under physical names, in order and with field ids, and nothing that the table does not want."""
    stored: pa.Schema = pq.ParquetFile(local_path(log.root, add["path"]), arrow_extensions_enabled=False).schema_arrow
    partitioned = bool(log.features & _PARTITIONS_IN_FILES)
    data = [one for one in log.fields if one["type"] != "void" and one["name"] not in log.partition_columns]
    names = [stored_name(one, log.mapping) for one in data]
    if log.features & {"materializePartitionColumns"} and not log.features & (_PARTITIONS_IN_FILES - {"materializePartitionColumns"}):
        asked = {stored_name(one, log.mapping) for one in log.fields if one["name"] in log.partition_columns}
        assert asked <= {*stored.names}, f"partition columns {asked - {*stored.names}} are not in {add['path']}"
        assert [name for name in stored.names if name in names] == names, f"columns of {add['path']} are {stored.names}"
    else:
        more = [stored_name(one, log.mapping) for one in log.fields if one["name"] in log.partition_columns] if partitioned else []
        if log.properties.get("delta.enableRowTracking") == "true":
            more += [log.properties[f"delta.rowTracking.materialized{what}ColumnName"] for what in ("RowId", "RowCommitVersion")]
        assert [*stored.names] == [*names, *more] or ({*stored.names} == {*names, *more} and stored.names[: len(names)] == names), (
            f"columns of {add['path']} are {stored.names}, not {[*names, *more]}"
        )
    if log.mapping != "none":
        for one, name in zip(data, names, strict=True):
            _check_ids(stored.field(name), one)


def _check_ids(stored: pa.Field, described: Action) -> None:
    wanted = (described.get("metadata") or {}).get("delta.columnMapping.id")
    assert wanted is None or (stored.metadata or {}).get(b"PARQUET:field_id") == str(wanted).encode(), f"field id of {stored.name}"
    _descend(stored.type, described["type"])


def _descend(stored: pa.DataType, kind: Any) -> None:
    if not isinstance(kind, dict):
        return
    if kind["type"] == "array":
        _descend(stored.value_type, kind["elementType"])
    elif kind["type"] == "map":
        _descend(stored.key_type, kind["keyType"])
        _descend(stored.item_type, kind["valueType"])
    else:
        for i, one in enumerate(kind["fields"]):
            _check_ids(stored.field(i), one)


def _check_indexed(log: Log, add: Action) -> None:
    """Counts of nulls are there for the leaves that the table's properties ask for by number, and for no more."""
    if log.properties.get("delta.dataSkippingStatsColumns") is not None:
        return
    limit = int(log.properties.get("delta.dataSkippingNumIndexedCols", 32))
    leaves = [leaf for one in log.fields if one["name"] not in log.partition_columns for leaf in _leaf_paths(one, log.mapping)]
    wanted = {*leaves[: limit if limit >= 0 else None]}
    found = {*_paths(json.loads(add["stats"]).get("nullCount") or {})}
    clustered = (
        json.loads(log.domains["delta.clustering"]["configuration"])["clusteringColumns"] if "delta.clustering" in log.domains else []
    )
    wanted |= {tuple(column) for column in clustered}
    assert found == wanted, f"statistics of {add['path']} cover {found}, not {wanted}"


def _leaf_paths(one: Action, mapping: str) -> list[tuple[str, ...]]:
    name = stored_name(one, mapping)
    if one["type"] == "void":
        return []
    if isinstance(one["type"], dict) and one["type"]["type"] == "struct":
        return [(name, *rest) for inner in one["type"]["fields"] for rest in _leaf_paths(inner, mapping)]
    return [(name,)]


def _paths(section: Action) -> list[tuple[str, ...]]:
    return [(name, *rest) for name, value in section.items() for rest in (_paths(value) if isinstance(value, dict) else [()])]
