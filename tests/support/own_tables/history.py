"""Own tables of log and protocol features: checkpoints of every kind, timestamps, row ids, constraints, and what must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from support.delta_tables import HandTable, append, make_table, mask_rows, table_of, write_checkpoint, write_with_deltalake
from support.own_tables.registry import add_file, commit_files, own, own_each, plain

BASICS = ["appendOnly", "invariants"]
_MORE = table_of(n=[70, 71], s=["a", None], x=[0.5, 1.5])


@own_each(
    v1_1={"versions": (1, 1)}, v1_3={"versions": (1, 3)}, v1_4={"versions": (1, 4)}, v1_6={"versions": (1, 6)}, v2_6={"versions": (2, 6)}
)
def legacy_protocol(root: Path, versions: tuple[int, int]) -> HandTable:
    return plain(root, versions=versions)


@own_each(
    classic={"kind": "classic"},
    multi_part={"kind": "multi-part", "parts": 3},
    v2_json={"kind": "v2-json"},
    v2_parquet={"kind": "v2-parquet"},
    v2_classic={"kind": "v2-classic"},
    v2_json_sidecars={"kind": "v2-json", "sidecars": 2},
    v2_parquet_sidecars={"kind": "v2-parquet", "sidecars": 3},
    struct_statistics={"kind": "classic", "stats": "struct"},
    both_statistics={"kind": "classic", "stats": "both"},
    no_statistics={"kind": "classic", "stats": "none"},
    without_hint={"kind": "classic", "hint": False},
)
def checkpointed(root: Path, kind: str, **more: Any) -> HandTable:
    """A checkpoint with the entries before it gone, and one more entry."""
    table = plain(root, features=["v2Checkpoint", "deletionVectors", *BASICS])
    mask_rows(table, table.live()[0], [1])
    write_checkpoint(table, kind=kind, **more)
    for path in sorted(table.log.glob("*.json")):
        if path.stem.isdigit() and int(path.stem) < table.version:
            path.unlink()
    append(table, _MORE)
    return table


@own()
def in_commit_timestamps(root: Path) -> HandTable:
    """The last entry's timestamp is in the future: ours must come after it all the same."""
    table = plain(root, features=["inCommitTimestamp", *BASICS], properties={"delta.enableInCommitTimestamps": "true"})
    first = table.log / f"{0:020d}.json"
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    lines[0]["commitInfo"]["inCommitTimestamp"] = 1_767_225_600_000
    first.write_text("".join(json.dumps(line) + "\n" for line in lines))
    table.commit([{"add": add_file(table, _MORE)}], inCommitTimestamp=4_102_444_800_000)
    return table


@own()
def change_data_feed(root: Path) -> HandTable:
    table = plain(root, features=["changeDataFeed", *BASICS], properties={"delta.enableChangeDataFeed": "true"})
    append(table, _MORE)
    return table


@own()
def change_data_feed_of_deltalake(root: Path) -> None:
    from deltalake import DeltaTable

    batches = [table_of(id=[1, 2, 3], v=["a", "b", "c"]), table_of(id=[4, 5], v=["d", None])]
    write_with_deltalake(root, batches, configuration={"delta.enableChangeDataFeed": "true"})
    DeltaTable(str(root)).update({"v": "'changed'"}, predicate="id = 2")
    DeltaTable(str(root)).delete("id = 4")


@own()
def append_only(root: Path) -> HandTable:
    return plain(root, properties={"delta.appendOnly": "true"})


@own()
def invariants(root: Path) -> HandTable:
    rule = json.dumps({"expression": {"expression": "n >= 0"}})
    return plain(root, field_metadata={"n": {"delta.invariants": rule}})


@own()
def check_constraints(root: Path) -> HandTable:
    """Old rows that a constraint of today would not let in stay as they are."""
    return plain(root, features=["checkConstraints", *BASICS], properties={"delta.constraints.small": "n < 5"})


@own()
def generated_columns(root: Path) -> HandTable:
    return plain(root, features=["generatedColumns", *BASICS], field_metadata={"x": {"delta.generationExpression": "n / 4"}})


@own()
def identity_columns(root: Path) -> HandTable:
    marks = {
        "delta.identity.start": 0,
        "delta.identity.step": 1,
        "delta.identity.highWaterMark": 19,
        "delta.identity.allowExplicitInsert": False,
    }
    return plain(root, features=["identityColumns", *BASICS], field_metadata={"n": marks})


@own()
def column_defaults(root: Path) -> HandTable:
    """A default is for new rows only: a file without the column has nulls."""
    table = plain(root, features=["allowColumnDefaults", *BASICS], field_metadata={"s": {"CURRENT_DEFAULT": "'new'"}})
    return commit_files(table, add_file(table, pa.table({"n": [80, 81]})))


@own_each(
    vacuum_check={"features": ["vacuumProtocolCheck"]},
    checkpoint_protection={"features": ["checkpointProtection"], "properties": {"delta.requireCheckpointProtectionBeforeVersion": "1"}},
    domains={"features": ["domainMetadata"], "domains": {"someone.else": '{"a":1}'}},
    collations={"features": ["collations-preview", "domainMetadata"]},
)
def feature_of(root: Path, features: list[str], **more: Any) -> HandTable:
    return plain(root, features=[*features, *BASICS], **more)


TRACKED = {
    "delta.enableRowTracking": "true",
    "delta.rowTracking.materializedRowIdColumnName": "_row-id-1",
    "delta.rowTracking.materializedRowCommitVersionColumnName": "_row-version-1",
}


@own_each(
    supported={},
    enabled={"properties": TRACKED},
    suspended={"properties": {"delta.rowTrackingSuspended": "true"}},
    mapped={"properties": TRACKED, "mapping": "id"},
)
def row_tracking(root: Path, **more: Any) -> HandTable:
    table = plain(root, features=["rowTracking", "domainMetadata", "deletionVectors", "columnMapping", *BASICS], **more)
    mask_rows(table, table.live()[0], [0, 3])
    append(table, _MORE)
    return table


CLUSTERED = {"delta.clustering": json.dumps({"clusteringColumns": [["n"]], "domainName": "delta.clustering"})}


@own()
def clustered(root: Path) -> HandTable:
    """Files that nobody has clustered yet may be merged."""
    return plain(root, features=["clustering", "domainMetadata", *BASICS], domains=CLUSTERED)


@own(left=1)
def clustered_in_part(root: Path) -> HandTable:
    """A file that a clustering wrote keeps its place."""
    table = plain(root, features=["clustering", "domainMetadata", *BASICS], domains=CLUSTERED)
    done = add_file(table, _MORE)
    return commit_files(table, {**done, "clusteringProvider": "liquid", "tags": {"ZCUBE_ID": "1", "ZCUBE_ZORDER_BY": "n"}})


@own_each(v1={"number": 1}, v2={"number": 2})
def iceberg_compat(root: Path, number: int) -> HandTable:
    rows = table_of(n=range(12), s=[f"t{i}" for i in range(12)], p=["a", "b", "c"] * 4)
    properties = {f"delta.enableIcebergCompatV{number}": "true"}
    features = [f"icebergCompatV{number}", "columnMapping", *BASICS]
    return make_table(root, rows, files=3, partition_by=["p"], mapping="name", features=features, properties=properties)


@own_each(
    none={"delta.dataSkippingNumIndexedCols": "0"},
    all={"delta.dataSkippingNumIndexedCols": "-1"},
    two={"delta.dataSkippingNumIndexedCols": "2"},
    named={"delta.dataSkippingStatsColumns": "s, `x`"},
    short={"delta.dataSkippingStringPrefixLength": "3"},
)
def statistics_of(root: Path, **properties: str) -> HandTable:
    return plain(root, properties=properties)


@own()
def symlink_manifests(root: Path) -> HandTable:
    return plain(root, properties={"delta.compatibility.symlinkFormatManifest.enabled": "true"})


def _refused(feature: str) -> None:
    def build(root: Path) -> HandTable:
        return plain(root, features=[feature, *BASICS])

    build.__name__ = f"refused_{feature}"
    own("refused", feature)(build)


for _feature in (
    "catalogManaged",
    "catalogOwned-preview",
    "geospatial",
    "adaptiveMetadata",
    "redirectReaderWriter-preview",
    "neverHeardOf",
):
    _refused(_feature)


@own("refused", "writer version 9")
def refused_newer_protocol(root: Path) -> HandTable:
    return plain(root, versions=(1, 9))


@own("refused", "coordinatedCommits")
def refused_coordinated_commits(root: Path) -> HandTable:
    properties = {"delta.coordinatedCommits.commitCoordinator-preview": "dynamodb"}
    return plain(root, features=["coordinatedCommits-preview", "inCommitTimestamp", *BASICS], properties=properties)


@own("refused", "not below the table's root")
def refused_shallow_clone(root: Path) -> HandTable:
    """Files of another table, which nobody allowed to be touched."""
    table = plain(root)
    other = root.parent / f"{root.name}-source"
    source = plain(other)
    far = {**source.live()[0], "path": f"file://{(other / source.live()[0]['path']).resolve()}"}
    return commit_files(table, far)
