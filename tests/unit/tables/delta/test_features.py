"""The feature gate."""

from __future__ import annotations

import json

import pytest

from compactor.tables.delta.features import FEATURES, gate_features
from compactor.tables.delta.protocol import features_in_force, parse_metadata
from compactor.tables.delta.state import Metadata, Protocol

SCHEMA = json.dumps({"type": "struct", "fields": [{"name": "a", "type": "long", "nullable": True, "metadata": {}}]})
REFUSED_TODAY = [
    "adaptiveMetadata", "adaptiveMetadata-preview", "catalogManaged", "catalogOwned", "catalogOwned-preview",
    "coordinatedCommits", "coordinatedCommits-preview", "geospatial", "icebergCompatV3",
    "icebergWriterCompatV1", "icebergWriterCompatV3", "inCommitTimestamp-preview",
    "redirectReaderWriter-preview", "redirectWriterOnly-preview",
]  # fmt: skip


def metadata(**properties: str) -> Metadata:
    return parse_metadata({"id": "i", "schemaString": SCHEMA, "partitionColumns": [], "configuration": properties}, "t")


def protocol(*features: str) -> Protocol:
    return Protocol(min_reader_version=3, min_writer_version=7, writer_features=frozenset(features))


def test_the_list_of_refused_features_changes_only_on_purpose() -> None:
    """Whoever honours another feature changes this list too, and shows in the same change why rows keep their meaning."""
    assert sorted(name for name, feature in FEATURES.items() if not feature.honoured) == REFUSED_TODAY


@pytest.mark.parametrize("name", [*REFUSED_TODAY, "blahabl"])
def test_refused_features_are_named(name: str) -> None:
    """A refused or unknown feature gives exactly one refusal with its name, whether readers or only writers must know it."""
    for found in (protocol(name, "appendOnly"), Protocol(min_reader_version=3, min_writer_version=7, reader_features=frozenset({name}))):
        refusals = gate_features(found, metadata())
        assert [(r.reason, name in r.why) for r in refusals] == [(f"feature:{name}", True)]


def test_honoured_features_pass() -> None:
    """All honoured features together are no reason to refuse."""
    assert gate_features(protocol(*(name for name, feature in FEATURES.items() if feature.honoured)), metadata()) == []


def test_row_tracking_passes_where_ids_can_be_kept() -> None:
    """Row tracking passes, supported or enabled; enabled without the names of both columns, or suspended too, it is refused by property."""
    tracked = protocol("rowTracking", "domainMetadata")
    prefix = "delta.rowTracking.materialized"
    names = {f"{prefix}RowIdColumnName": "_i", f"{prefix}RowCommitVersionColumnName": "_v"}
    enabled = {"delta.enableRowTracking": "true"}
    assert gate_features(tracked, metadata()) == []
    assert gate_features(tracked, metadata(**{"delta.rowTrackingSuspended": "true"})) == []
    assert gate_features(tracked, metadata(**enabled, **names)) == []
    assert [r.reason for r in gate_features(tracked, metadata(**enabled))] == [f"property:{name}" for name in names]
    both = metadata(**enabled, **names, **{"delta.rowTrackingSuspended": "true"})
    assert [r.reason for r in gate_features(tracked, both)] == ["property:delta.rowTrackingSuspended"]


@pytest.mark.parametrize(
    ("reader", "writer", "expected"),
    [
        (1, 1, set()),
        (1, 2, {"appendOnly", "invariants"}),
        (1, 3, {"appendOnly", "invariants", "checkConstraints"}),
        (1, 4, {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"}),
        (2, 5, {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "columnMapping"}),
        (2, 6, {"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "columnMapping", "identityColumns"}),
        (2, 7, {"columnMapping"}),
        (1, 7, set()),
    ],
)
def test_legacy_versions_are_spelled_out(reader: int, writer: int, expected: set[str]) -> None:
    """Legacy protocol versions mean the features that the protocol says, and all of those are honoured."""
    found = Protocol(min_reader_version=reader, min_writer_version=writer)
    assert features_in_force(found) == expected
    assert gate_features(found, metadata()) == []


@pytest.mark.parametrize(
    ("reader", "writer", "reason"), [(4, 7, "protocol:reader-4"), (3, 8, "protocol:writer-8"), (0, 7, "protocol:reader-0")]
)
def test_unknown_versions_are_refused(reader: int, writer: int, reason: str) -> None:
    """A protocol version that is not known refuses the table, whatever features it has."""
    assert [r.reason for r in gate_features(Protocol(min_reader_version=reader, min_writer_version=writer), metadata())] == [reason]


def test_an_unknown_mapping_mode_is_refused() -> None:
    """A column mapping mode that is not known is refused by its key."""
    refusals = gate_features(protocol("columnMapping"), metadata(**{"delta.columnMapping.mode": "hash"}))
    assert [r.reason for r in refusals] == ["property:delta.columnMapping.mode"]
