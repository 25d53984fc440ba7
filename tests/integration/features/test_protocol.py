"""Features that a compaction honours by leaving things alone, and all those that it refuses by name."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, table_of, variants
from support.row_ids import tracked_rows
from support.same_rows import FORCED, compacted, refused

import compactor
from compactor.model.run import RunStatus
from compactor.tables.delta.features import FEATURES
from compactor.wiring import open_table

REFUSED = sorted(name for name, feature in FEATURES.items() if not feature.honoured)
TRACKED = {
    "delta.enableRowTracking": "true",
    "delta.rowTracking.materializedRowIdColumnName": "_i",
    "delta.rowTracking.materializedRowCommitVersionColumnName": "_v",
}


def simple(root: Path, features: list[str] | None = None, **more: Any) -> HandTable:
    """Twelve rows in six files."""
    return make_table(root, table_of(n=range(12), s=["x"] * 12), files=6, features=features, **more)


@pytest.mark.parametrize(
    "name", [*REFUSED, "timestampNanos", "intervalType", "geospatial-dev", "redirectReaderWriter", "someFutureFeature"]
)
def test_features_that_cannot_be_honoured_are_refused(tmp_path: Path, name: str) -> None:
    """The table is refused with the feature's name and exit code 3, and not a byte of it changes."""
    refused(simple(tmp_path / "t", ["appendOnly", name]), f'"{name}"')


@pytest.mark.parametrize("kind", ["geometry(4326)", "geography(4326)", "interval day to second", "timestamp_nanos", "varchar(3)", "udt"])
def test_types_that_cannot_be_rewritten_are_refused(tmp_path: Path, kind: str) -> None:
    """A column of an unknown type refuses the table by the type's name."""
    table = simple(tmp_path / "t")
    table.fields.append({"name": "odd", "type": kind, "nullable": True, "metadata": {}})
    table.metadata["schemaString"] = json.dumps({"type": "struct", "fields": table.fields})
    table.commit([{"metaData": table.metadata}])
    refused(table, f'"{kind}"')


@pytest.mark.parametrize(("reader", "writer"), [(4, 7), (3, 8), (1, 9)])
def test_protocol_versions_to_come_are_refused(tmp_path: Path, reader: int, writer: int) -> None:
    """A protocol version that is not known refuses the table."""
    refused(simple(tmp_path / "t", versions=(reader, writer)), "version")


@pytest.mark.parametrize(("reader", "writer"), [(1, 1), (1, 2), (1, 3), (1, 4), (1, 6), (2, 6), (1, 7)])
def test_legacy_protocols_are_honoured(tmp_path: Path, reader: int, writer: int) -> None:
    """Every legacy protocol version is compacted, and its protocol and metadata are not touched."""
    table = simple(tmp_path / "t", versions=(reader, writer))
    compacted(table)
    text = (table.log / f"{table.version:020d}.json").read_text()
    assert "metaData" not in text
    assert '"protocol"' not in text


QUIET: dict[str, dict[str, str]] = {
    "appendOnly": {"delta.appendOnly": "true"},
    "invariants": {},
    "checkConstraints": {"delta.constraints.small": "n < 3"},
    "generatedColumns": {},
    "identityColumns": {},
    "allowColumnDefaults": {},
    "domainMetadata": {},
    "v2Checkpoint": {"delta.checkpointPolicy": "v2"},
    "vacuumProtocolCheck": {},
    "checkpointProtection": {"delta.requireCheckpointProtectionBeforeVersion": "5"},
    "collations": {},
    "collations-preview": {},
    "inCommitTimestamp": {"delta.enableInCommitTimestamps": "true"},
}


@pytest.mark.parametrize("name", QUIET)
def test_features_that_ask_nothing_of_a_rewrite(tmp_path: Path, name: str) -> None:
    """A table with the feature in force is compacted with the same rows, constraints unasked, twice over."""
    table = simple(tmp_path / "t", [name, *(["domainMetadata"] if name != "domainMetadata" else [])], properties=QUIET[name])
    if name == "inCommitTimestamp":
        path = table.log / f"{0:020d}.json"
        first, *rest = path.read_text().splitlines()
        info = {"commitInfo": {"inCommitTimestamp": 4_102_444_800_000, **json.loads(first)["commitInfo"]}}
        path.write_text("\n".join([json.dumps(info), *rest]) + "\n")
    compacted(table)
    compacted(table)
    stamps = [
        json.loads((table.log / f"{version:020d}.json").read_text().splitlines()[0])["commitInfo"].get("inCommitTimestamp")
        for version in (1, 2)
    ]
    assert stamps == ([4_102_444_800_001, 4_102_444_800_002] if name == "inCommitTimestamp" else [None, None])


def test_identity_columns_keep_their_high_water_mark(tmp_path: Path) -> None:
    """Values of an identity column are copied and its metadata is not written."""
    about = {
        "n": {
            "delta.identity.start": 0,
            "delta.identity.step": 1,
            "delta.identity.highWaterMark": 11,
            "delta.identity.allowExplicitInsert": False,
        }
    }
    table = simple(tmp_path / "t", ["identityColumns"], field_metadata=about)
    compacted(table)
    assert "metaData" not in (table.log / f"{table.version:020d}.json").read_text()


def test_a_compaction_is_invisible_to_change_data(tmp_path: Path) -> None:
    """The change feed, read by deltalake, holds exactly what writers changed; the compaction adds nothing to it."""
    from deltalake import DeltaTable

    table = simple(tmp_path / "t", ["changeDataFeed"], properties={"delta.enableChangeDataFeed": "true"})
    compacted(table)
    append(table, table_of(n=[100], s=["y"]))
    changes = pa.table(DeltaTable(table.uri).load_cdf(starting_version=0).read_all())
    assert sorted(changes["n"].to_pylist()) == [*range(12), 100]
    assert set(changes["_commit_version"].to_pylist()) == {0, 2}


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"delta.universalFormat.enabledFormats": "iceberg"}, "iceberg metadata"),
        ({"delta.compatibility.symlinkFormatManifest.enabled": "true"}, "symlink manifests"),
    ],
)
def test_what_lags_behind_is_said(tmp_path: Path, properties: dict[str, str], word: str) -> None:
    """Metadata of other formats and symlink manifests are not kept up, and the run says so."""
    run = compacted(simple(tmp_path / "t", properties=properties))
    assert [word in warning for warning in run.warnings] == [True]


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_everything_at_once(tmp_path: Path, executor: str) -> None:
    """Row ids, variants, deletes, mapped columns and partition columns inside files hold together, on every executor on one machine."""
    features = [
        "appendOnly",
        "columnMapping",
        "deletionVectors",
        "domainMetadata",
        "materializePartitionColumns",
        "rowTracking",
        "variantType",
    ]
    rows = pa.table({"n": range(40), "v": variants([bytes([12, i]) for i in range(40)]), "p": [f"p{i % 4}" for i in range(40)]})
    table = make_table(tmp_path / "t", rows, files=3, partition_by=["p"], features=features, mapping="id", properties=TRACKED)
    for add in table.live()[::2]:
        mask_rows(table, add, [0])
    before = tracked_rows(table)
    run = compacted(table, FORCED.model_copy(update={"executor": executor}))
    assert (run.status, run.files_added) == (RunStatus.COMMITTED, 4)
    assert tracked_rows(table) == before


def test_what_workers_are_told_travels(tmp_path: Path) -> None:
    """Specs with constants, row ids and variants survive being pickled, as other processes get them."""
    features = ["domainMetadata", "materializePartitionColumns", "rowTracking", "variantType"]
    rows = pa.table({"v": variants([b"\\x0c\\x01"]), "p": ["a"]})
    table = make_table(tmp_path / "t", rows, partition_by=["p"], features=features, properties=TRACKED)
    opened, _ = open_table(table.uri, compactor.Settings())
    spec = opened.read_spec(opened.load())
    again = pickle.loads(pickle.dumps(spec))  # noqa: S301 - our own bytes
    assert (again.constants.names, again.row_ids, again.match) == (["p"], spec.row_ids, spec.match)
    assert again.schema.equals(spec.schema, check_metadata=True)
    assert not again.schema.field("v").type.field(0).nullable
