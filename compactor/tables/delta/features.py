"""Every table feature that is known, with today's answer: honoured by a compaction, or refused and why. The one place to widen the list.

Protocol sections "Table Features", "Valid Feature Names in Table Features", and those of the features. Whatever is not named
here is refused by its name. Pure. It must never let a feature pass whose rules for writers the commit and the workers do not follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from compactor.tables.base import Refusal
from compactor.tables.delta.iceberg import iceberg_refusals
from compactor.tables.delta.protocol import features_in_force, mapping_mode
from compactor.tables.delta.row_tracking import row_tracking_refusals
from compactor.tables.delta.schema import schema_refusals
from compactor.tables.delta.state import Metadata, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature. why: what honouring it takes, or why it is refused."""

    name: str
    honoured: bool
    why: str


def _yes(name: str, why: str) -> Feature:
    return Feature(name=name, honoured=True, why=why)


def _no(name: str, why: str) -> Feature:
    return Feature(name=name, honoured=False, why=why)


_CATALOG = "its commits belong to a catalog, and writing to the log without it would lose data"
_ICEBERG = "its files must follow Iceberg's rules, which outputs do not yet"
_VARIANT = "variants are copied; files that hold them shredded are left out"

FEATURES = {
    feature.name: feature
    for feature in (
        _yes("appendOnly", "every remove says dataChange=false, which is allowed"),
        _yes("invariants", "no row is added, so none is checked"),
        _yes("checkConstraints", "no row is added, so none is checked"),
        _yes("generatedColumns", "values are copied"),
        _yes("identityColumns", "values are copied and the high-water mark is not touched"),
        _yes("allowColumnDefaults", "defaults never apply to a rewrite"),
        _yes("changeDataFeed", "no change files are written and change columns of inputs are dropped"),
        _yes("timestampNtz", "written without a zone"),
        _yes("columnMapping", "physical names and field ids are written, and inputs are matched by the table's mode"),
        _yes("deletionVectors", "deleted rows are dropped and removes carry the descriptor"),
        _yes("v2Checkpoint", "read in every form; written by a library that knows them"),
        _yes("domainMetadata", "domains of others are never written"),
        _yes("vacuumProtocolCheck", "reader and writer features are checked before a vacuum, too"),
        _yes("checkpointProtection", "logs are never cleaned up and protected versions get no checkpoint"),
        _yes("collations", "binary statistics stay valid"),
        _yes("collations-preview", "binary statistics stay valid"),
        _yes("inCommitTimestamp", "every commit carries a timestamp after that of the one before"),
        _yes("typeWidening", "inputs are cast to the table's current types"),
        _yes("typeWidening-preview", "inputs are cast to the table's current types"),
        _yes("rowTracking", "new files get fresh row ids, and rows keep theirs where the table wants it"),
        _yes("clustering", "only files that no clustering has placed are rewritten, with statistics of the clustering columns"),
        _yes("liquid", "only files that no clustering has placed are rewritten, with statistics of the clustering columns"),
        _yes("icebergCompatV1", "files hold their partition columns and field ids at every level, and say which version they keep"),
        _yes("icebergCompatV2", "files hold their partition columns and field ids at every level, and say which version they keep"),
        _no("icebergCompatV3", _ICEBERG),
        _no("icebergWriterCompatV1", _ICEBERG),
        _no("icebergWriterCompatV3", _ICEBERG),
        _yes("materializePartitionColumns", "partition columns are written into the files"),
        _yes("variantType", _VARIANT),
        _yes("variantType-preview", _VARIANT),
        _yes("variantShredding", _VARIANT),
        _yes("variantShredding-preview", _VARIANT),
        _no("catalogManaged", _CATALOG),
        _no("catalogOwned", _CATALOG),
        _no("catalogOwned-preview", _CATALOG),
        _no("coordinatedCommits", _CATALOG),
        _no("coordinatedCommits-preview", _CATALOG),
        _no("inCommitTimestamp-preview", "the preview's rules are not the final ones"),
        _no("geospatial", "geometry and geography values cannot be rewritten yet"),
        _no("adaptiveMetadata", "its log has another form"),
        _no("adaptiveMetadata-preview", "its log has another form"),
        _no("redirectReaderWriter-preview", "the table has moved"),
        _no("redirectWriterOnly-preview", "the table has moved"),
    )
}

_READER_VERSIONS = range(1, 4)
_WRITER_VERSIONS = range(1, 8)


def gate_features(protocol: Protocol, metadata: Metadata) -> list[Refusal]:
    """Every reason in protocol and schema why a compaction of such a table is refused; empty when all of it can be honoured.

    Reasons: `protocol:reader-4`, `feature:<name>`, `property:<key>`, `type:<name>`, `schema:<what>`. In a stable order.
    """
    refusals = _version_refusals(protocol)
    features = features_in_force(protocol)
    refusals += [refusal for name in sorted(features) if (refusal := _feature_refusal(name)) is not None]
    refusals += row_tracking_refusals(metadata, features) + iceberg_refusals(metadata, features)
    mode = mapping_mode(metadata, features)
    if mode not in ("none", "name", "id"):
        why = f'The column mapping mode "{mode}" (delta.columnMapping.mode) is not known.'
        return [*refusals, Refusal(reason="property:delta.columnMapping.mode", why=why)]
    return refusals + schema_refusals(metadata, features)


def _version_refusals(protocol: Protocol) -> list[Refusal]:
    refusals = []
    for kind, version, known in (
        ("reader", protocol.min_reader_version, _READER_VERSIONS),
        ("writer", protocol.min_writer_version, _WRITER_VERSIONS),
    ):
        if version not in known:
            why = f"The table asks for {kind} version {version} of the Delta protocol; versions up to {known[-1]} are known."
            refusals.append(Refusal(reason=f"protocol:{kind}-{version}", why=why))
    return refusals


def _feature_refusal(name: str) -> Refusal | None:
    feature = FEATURES.get(name)
    if feature is None:
        return Refusal(reason=f"feature:{name}", why=f'The table feature "{name}" is not known, so the table is left alone.')
    if not feature.honoured:
        return Refusal(reason=f"feature:{name}", why=f'The table feature "{name}" cannot be honoured: {feature.why}.')
    return None
