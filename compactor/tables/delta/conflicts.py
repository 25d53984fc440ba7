"""Judges rewritten groups against the versions that other writers took meanwhile. Pure: values in, one verdict a group out.

A group survives when every file it removes is still there as it was read, and when the table has not changed in a way that makes its
outputs wrong or badly described. Only groups whose own inputs were touched are dropped; a change of the table's terms drops them all
(protocol sections "Change Metadata", "Protocol Evolution", "Domain Metadata", "Row Tracking").

A verdict of "kept" is necessary, never sufficient: the committer checks every (path, deletes) again at the version it builds on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compactor.model.commit import FinishedGroup
from compactor.model.plan import FileKey
from compactor.model.snapshot import Snapshot
from compactor.tables.delta.clustering import clustering_columns
from compactor.tables.delta.columns import deletes_id
from compactor.tables.delta.paths import canonical
from compactor.tables.delta.schema_change import schema_change
from compactor.tables.delta.state import Action, DeltaState, LogEntry, Metadata

INPUT_VANISHED = "input-vanished"
TABLE_CHANGED = "table-changed"

_HARMLESS_WHEN_ADDED = frozenset(
    {
        "allowColumnDefaults", "appendOnly", "changeDataFeed", "checkConstraints", "checkpointProtection", "deletionVectors",
        "domainMetadata", "generatedColumns", "identityColumns", "inCommitTimestamp", "invariants", "rowTracking", "timestampNtz",
        "typeWidening", "typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck",
    }
)  # fmt: skip
"""Features whose arrival leaves written files right: what they ask of an entry is computed anew for every attempt."""

_SHAPING = frozenset(
    {
        "delta.columnMapping.mode", "delta.dataSkippingNumIndexedCols", "delta.dataSkippingStatsColumns",
        "delta.dataSkippingStringPrefixLength", "delta.enableRowTracking", "delta.enableVariantShredding",
        "delta.parquet.compression.codec", "delta.parquet.format.version", "delta.rowTracking.materializedRowCommitVersionColumnName",
        "delta.rowTracking.materializedRowIdColumnName", "delta.writePartitionColumnsToParquet",
    }
)  # fmt: skip
_SHAPING_PREFIXES = ("delta.enableIceberg", "delta.universalFormat.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of a table at one version, as far as written files depend on them. `features`: legacy versions already spelled out."""

    features: frozenset[str]
    metadata: Metadata
    domains: Mapping[str, str]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Terms:
        """The terms of a loaded snapshot."""
        state = snapshot.state
        assert isinstance(state, DeltaState)
        return cls(features=snapshot.features, metadata=state.metadata, domains=state.domains)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a group may still be committed. `reason` is None when it is kept, else a code of GroupDropped; `detail` a sentence."""

    group_id: int
    reason: str | None = None
    detail: str = "no winner touched it"
    file: str | None = None

    @property
    def kept(self) -> bool:
        return self.reason is None


def file_key(action: Action) -> FileKey:
    """Identity of an add or remove: its path as written and its deletion vector (protocol section "Deletion Vectors")."""
    vector = action.get("deletionVector")
    return FileKey(path=action["path"], deletes_id=deletes_id(vector) if vector else None)


def judge(groups: Sequence[FinishedGroup], winners: Sequence[LogEntry], before: Terms, after: Terms) -> tuple[Verdict, ...]:
    """One verdict for each group, in order. `winners`: the versions taken since the groups were last judged, in order of version.

    before: the terms under which the groups were read and written; after: the terms at the last winner.
    """
    change = table_change(before, after)
    if change is not None:
        return tuple(Verdict(group_id=group.result.group_id, reason=TABLE_CHANGED, detail=change) for group in groups)
    touched = _touched_inputs(groups, winners)
    return tuple(_verdict(group, touched, before, after) for group in groups)


def table_change(before: Terms, after: Terms) -> str | None:
    """Why outputs written under `before` must not be committed under `after`, in a sentence; None when they may."""
    old, new = before.metadata, after.metadata
    if old.id != new.id:
        return "the table was replaced: its id changed"
    if old.partition_columns != new.partition_columns:
        return "the partition columns changed"
    gone = sorted(before.features - after.features)
    if gone:
        return f"the table feature {gone[0]} was removed"
    came = sorted(after.features - before.features - _HARMLESS_WHEN_ADDED)
    if came:
        return f"the table feature {came[0]} was added"
    for key in sorted({*old.configuration, *new.configuration}):
        if _shapes_files(key) and old.configuration.get(key) != new.configuration.get(key):
            return f"the table property {key} changed"
    return schema_change(old, new, after.features)


def _shapes_files(key: str) -> bool:
    return key in _SHAPING or key.startswith(_SHAPING_PREFIXES)


def _touched_inputs(groups: Iterable[FinishedGroup], winners: Iterable[LogEntry]) -> dict[str, str]:
    """What happened to inputs that winners removed or gave other deletes, as a sentence; by canonical path, first event only."""
    deletes = {canonical(key.path): key.deletes_id for group in groups for key in group.inputs}
    touched: dict[str, str] = {}
    for winner in winners:
        changed = {canonical(add["path"]) for add in winner.adds if _other_deletes(add, deletes)}
        removed = {canonical(remove["path"]) for remove in winner.removes}
        for path in sorted((changed | removed) & deletes.keys()):
            what = "marked other rows of it as deleted" if path in changed else "removed it"
            touched.setdefault(path, f"version {winner.version} ({_author(winner)}) {what}")
    return touched


def _other_deletes(add: Action, deletes: Mapping[str, str | None]) -> bool:
    path = canonical(add["path"])
    return path in deletes and deletes[path] != file_key(add).deletes_id


def _author(winner: LogEntry) -> str:
    info = winner.commit_info or {}
    words = [str(info[key]) for key in ("operation", "engineInfo") if info.get(key)]
    return " by ".join(words) or "unnamed writer"


def _verdict(group: FinishedGroup, touched: Mapping[str, str], before: Terms, after: Terms) -> Verdict:
    group_id = group.result.group_id
    for key in group.inputs:
        what = touched.get(canonical(key.path))
        if what is not None:
            return Verdict(group_id=group_id, reason=INPUT_VANISHED, detail=f"{key.path}: {what}", file=key.path)
    if clustering_columns(before.features, before.domains) != clustering_columns(after.features, after.domains):
        missing = _uncovered(group, after.features, after.domains)
        if missing is not None:
            detail = f"the table is now clustered by {missing}, for which its outputs have no statistics"
            return Verdict(group_id=group_id, reason=TABLE_CHANGED, detail=detail)
    return Verdict(group_id=group_id)


def _uncovered(group: FinishedGroup, features: frozenset[str], domains: Mapping[str, str]) -> str | None:
    """The first clustering column (physical name) without statistics in some output of the group."""
    for path in clustering_columns(features, domains):
        for output in group.result.outputs:
            if all(statistics.path != path for statistics in output.statistics):
                return ".".join(path)
    return None
