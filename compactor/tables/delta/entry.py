"""Builds the bytes of one log entry: commitInfo, row-id high-water mark, removes, adds (protocol section "Delta Log Entries"). Pure.

Every add and remove says `dataChange:false`; a remove is a copy of the add that it removes, path string and deletion vector untouched;
partition values are copied verbatim from the group's first input. It must never write `metaData`, `protocol` or a `txn` of a user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from compactor.errors import TableCorrupt
from compactor.model.commit import FinishedGroup
from compactor.model.rewrite import OutputFile
from compactor.tables.delta.compression import RATIO_TAG
from compactor.tables.delta.iceberg import TAG as ICEBERG_TAG
from compactor.tables.delta.paths import encode_path
from compactor.tables.delta.proof_tags import commit_tags, file_tags
from compactor.tables.delta.state import Action
from compactor.tables.delta.statistics import DEFAULT_STRING_PREFIX, LeafTypes, stats_json

_OPTIMIZE: Action = {
    "operation": "OPTIMIZE",
    "operationParameters": {"predicate": "[]", "zOrderBy": "[]", "clusterBy": "[]", "auto": False},
}
_PURGE: Action = {"operation": "REORG", "operationParameters": {"predicate": "[]", "applyPurge": True}}
TAG_FORMAT_VERSION = "1"
RUN_TAG = "compactor.runId"
GENERATION_TAG = "compactor.generation"
FINISHED_TAG = "compactor.finishedFor"
DEBT_TAG = "compactor.encodeDebt"
FORMAT_TAG = "compactor.formatVersion"
GROUPS_TAG = "compactor.groups"
PLANNED_TAG = "compactor.groupsPlanned"
ROW_TRACKING_DOMAIN = "delta.rowTracking"
ROWS_PRESERVED_TAG = "delta.rowTracking.preserved"
_COPIED = ("partitionValues", "size", "tags", "deletionVector", "baseRowId", "defaultRowCommitVersion", "stats")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTerms:
    """What an entry depends on besides its groups.

    in_commit_timestamp_ms: None unless the table has in-commit timestamps enabled.
    row_id_high_water_mark: last row id in use (-1: none) where row tracking is supported and not suspended; None otherwise.
    purge: the commit is there to get rid of deleted rows and dropped columns.
    keeps_row_ids: outputs hold the ids and versions that their rows had, and the entry says so.
    iceberg_compat: the version of Iceberg compatibility that outputs keep, which their tags say; None where none is enabled.
    tight_bounds: deletion vectors are supported, so statistics say that they are tight.
    """

    version: int
    read_version: int
    now_ms: int
    run_id: str
    transaction_id: str
    types: LeafTypes
    purge: bool = False
    string_prefix: int = DEFAULT_STRING_PREFIX
    tight_bounds: bool = False
    in_commit_timestamp_ms: int | None = None
    row_id_high_water_mark: int | None = None
    keeps_row_ids: bool = False
    iceberg_compat: int | None = None
    compression: float = 1.0
    planned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryGroup:
    """A group to write. `inputs`: the live add actions of its files, raw; `modified_ms`: of each output, by the store's clock.

    vectors: of each output the descriptor of the rows that are deleted in it from the start, or None.
    """

    finished: FinishedGroup
    inputs: Sequence[Action]
    modified_ms: Sequence[int]
    vectors: Sequence[Action | None]

    @property
    def outputs(self) -> tuple[OutputFile, ...]:
        return self.finished.result.outputs


def build_entry(terms: EntryTerms, groups: Sequence[EntryGroup], engine_info: str) -> bytes:
    """The entry as JSON lines, commitInfo first. `engine_info`: the writer's signature.

    Raises TableCorrupt when row ids are in use that the table's high-water mark does not know of.
    """
    adds, high_water_mark = _adds(terms, groups)
    actions: list[Action] = [{"commitInfo": _commit_info(terms, groups, engine_info)}]
    if high_water_mark is not None and high_water_mark != terms.row_id_high_water_mark:
        mark = orjson.dumps({"rowIdHighWaterMark": high_water_mark}).decode()
        actions.append({"domainMetadata": {"domain": ROW_TRACKING_DOMAIN, "configuration": mark, "removed": False}})
    actions.extend({"remove": remove_action(add, terms.now_ms)} for group in groups for add in group.inputs)
    actions.extend({"add": add} for add in adds)
    return b"".join(orjson.dumps(action) + b"\n" for action in actions)


def remove_action(add: Action, now_ms: int) -> Action:
    """The remove of a live file: its own add, byte-identical where the protocol compares."""
    copied = {key: add[key] for key in _COPIED if add.get(key) is not None}
    copied.setdefault("partitionValues", {})
    return {"path": add["path"], "deletionTimestamp": now_ms, "dataChange": False, "extendedFileMetadata": True, **copied}


def _adds(terms: EntryTerms, groups: Iterable[EntryGroup]) -> tuple[list[Action], int | None]:
    """The adds in order, and the row-id high-water mark after them."""
    mark = terms.row_id_high_water_mark
    adds: list[Action] = []
    for group in groups:
        _check_mark(mark, group.inputs)
        values = {name: value for add in group.inputs for name, value in (add.get("partitionValues") or {}).items()}  # some leave nulls out
        for output, modified_ms, vector in zip(group.outputs, group.modified_ms, group.vectors, strict=True):
            add = _add(terms, group.finished, output, values, vector)
            add["modificationTime"] = modified_ms
            if mark is not None:
                add |= {"baseRowId": mark + 1, "defaultRowCommitVersion": terms.version}
                mark += output.rows
            adds.append(add)
    return adds, mark


def _check_mark(mark: int | None, inputs: Iterable[Action]) -> None:
    """No row id may be given twice, so the mark must lie above those in use."""
    for add in inputs:
        if mark is not None and add.get("baseRowId", -1) > mark:
            raise TableCorrupt(f"Row ids from {add['baseRowId']} on are in use ({add['path']}), but the high-water mark is {mark}.")


def _add(
    terms: EntryTerms, finished: FinishedGroup, output: OutputFile, partition_values: Mapping[str, str | None], vector: Action | None
) -> Action:
    tight = None if not terms.tight_bounds else vector is None
    tags = {GENERATION_TAG: str(finished.generation), **file_tags(output)}
    if output.encode_debt_bytes:
        tags[DEBT_TAG] = str(output.encode_debt_bytes)
    if finished.finished_for_bytes is not None:
        tags[FINISHED_TAG] = str(finished.finished_for_bytes)
    if terms.iceberg_compat is not None:
        tags[ICEBERG_TAG] = str(terms.iceberg_compat)
    return {
        "path": encode_path(output.key),
        "partitionValues": partition_values,
        "size": output.size_bytes,
        "modificationTime": 0,
        "dataChange": False,
        "stats": stats_json(output, terms.types, tight_bounds=tight, prefix=terms.string_prefix),
        "tags": tags,
        **({} if vector is None else {"deletionVector": vector}),
    }


def _commit_info(terms: EntryTerms, groups: Sequence[EntryGroup], engine_info: str) -> Action:
    stamp = {} if terms.in_commit_timestamp_ms is None else {"inCommitTimestamp": terms.in_commit_timestamp_ms}
    return {
        **stamp,
        "timestamp": terms.now_ms,
        **(_PURGE if terms.purge else _OPTIMIZE),
        "readVersion": terms.read_version,
        "isolationLevel": "SnapshotIsolation",
        "isBlindAppend": False,
        "operationMetrics": _metrics(groups),
        "engineInfo": engine_info,
        "txnId": terms.transaction_id,
        "tags": {
            RUN_TAG: terms.run_id,
            FORMAT_TAG: TAG_FORMAT_VERSION,
            RATIO_TAG: str(terms.compression),
            GROUPS_TAG: pack_ids(group.finished.result.group_id for group in groups),
            **({PLANNED_TAG: str(terms.planned)} if terms.planned else {}),
            **commit_tags([group.finished.result for group in groups]),
            **({ROWS_PRESERVED_TAG: "true"} if terms.keeps_row_ids else {}),
        },
    }


def pack_ids(ids: Iterable[int]) -> str:
    """Group ids as text, runs folded: `0-17,19`."""
    runs: list[tuple[int, int]] = []
    for number in sorted(ids):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def unpack_ids(text: str) -> tuple[int, ...]:
    """The ids that `pack_ids` folded; nothing from any other text."""
    ids: list[int] = []
    for run in text.split(","):
        low, _, high = run.partition("-")
        if not low.isdecimal() or not (high or low).isdecimal():
            return ()
        ids.extend(range(int(low), int(high or low) + 1))
    return tuple(ids)


def _metrics(groups: Sequence[EntryGroup]) -> dict[str, str]:
    """The metrics that Spark writes for an OPTIMIZE, under its names and, as it does, all of them strings."""
    added = sorted(output.size_bytes for group in groups for output in group.outputs)
    removed = [add for group in groups for add in group.inputs]
    metrics = {
        "numAddedFiles": len(added),
        "numRemovedFiles": len(removed),
        "numAddedBytes": sum(added),
        "numRemovedBytes": sum(int(add["size"]) for add in removed),
        "numDeletionVectorsRemoved": sum(1 for add in removed if add.get("deletionVector")),
        "minFileSize": _quantile(added, 0),
        "p25FileSize": _quantile(added, 25),
        "p50FileSize": _quantile(added, 50),
        "p75FileSize": _quantile(added, 75),
        "maxFileSize": _quantile(added, 100),
    }
    return {name: str(value) for name, value in metrics.items()}


def _quantile(ordered: Sequence[int], percent: int) -> int:
    """The nearest-rank percentile; 0 when nothing was added."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0
