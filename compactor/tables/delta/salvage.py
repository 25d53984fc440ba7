"""What of a request can still be committed: groups that are proven, whose inputs are live and whose outputs are there.

Drops groups, each with its reason, and never repairs one: whether a group that lost rows can be saved is for rescue.py to say. Reads the
store; writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from compactor.model.commit import FinishedGroup
from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped
from compactor.model.snapshot import Snapshot
from compactor.storage.base import ObjectMeta, ObjectStore, in_memory
from compactor.tables.delta.actions import raw_adds
from compactor.tables.delta.conflicts import INPUT_VANISHED, TABLE_CHANGED, Terms, Verdict, file_key, judge
from compactor.tables.delta.entry import EntryGroup
from compactor.tables.delta.row_tracking import keeps_row_ids, numbering
from compactor.tables.delta.schema_change import dropped_columns
from compactor.tables.delta.state import Action, LogEntry

PROOF = "proof"
OUTPUT_VANISHED = "output-vanished"
STORAGE = "storage"
IN_FLIGHT = 16

Problem = tuple[str, str, str | None]
"""Reason code, sentence, file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """A group whose inputs lost rows. group: with the inputs that are still live, as they are now, and the fingerprint of the rows left.

    adds: their raw adds; vectors: for each output the descriptor of its deleted rows, or None; rows: how many these are in all.
    """

    group: FinishedGroup
    adds: Mapping[FileKey, Action]
    vectors: tuple[Action | None, ...]
    rows: int


class Rescue(Protocol):
    """Saves a group on a snapshot, or says why not; no words: that it is not worth a word. See rescue.py."""

    def rescue(self, group_id: int, target: Snapshot) -> Rescued | str: ...
    def reproven(self, group: Rescued, target: Snapshot) -> Rescued | str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Groups that may still be committed and those dropped on the way. `adds`: raw add actions of all inputs, as last seen live.

    rescued: of the groups that lost rows, how they were saved, by their ids. narrowed: whether columns were dropped since they were read.
    """

    groups: tuple[FinishedGroup, ...]
    dropped: tuple[GroupDropped, ...] = ()
    adds: Mapping[FileKey, Action]
    rescued: Mapping[int, Rescued] = field(default_factory=dict)
    narrowed: bool = False

    def without(self, problem: Callable[[FinishedGroup], Problem | None]) -> Candidates:
        """Those groups for which `problem` finds none; the others join the dropped."""
        kept: list[FinishedGroup] = []
        dropped = list(self.dropped)
        for group in self.groups:
            found = problem(group)
            if found is None:
                kept.append(group)
            else:
                reason, detail, file = found
                dropped.append(GroupDropped(group_id=group.result.group_id, reason=reason, detail=detail, file=file))
        return replace(self, groups=tuple(kept), dropped=tuple(dropped))


def proven(store: ObjectStore, snapshot: Snapshot, groups: Sequence[FinishedGroup]) -> Candidates:
    """The groups whose inputs are live in `snapshot` and whose row counts agree: log, files read, files written."""
    rows = live_rows(snapshot, (key for group in groups for key in group.inputs))
    found = live_only(Candidates(groups=tuple(groups), adds={}), rows, snapshot.version)
    counts = _log_rows(snapshot, rows)
    found = found.without(lambda group: _unproven(group, counts))
    keys = [key for group in found.groups for key in group.inputs]
    actions = raw_adds(store, snapshot, [rows[key] for key in keys]) if keys else []
    adds = dict(zip(keys, actions, strict=True))
    return replace(found.without(lambda group: _mixed(group, adds)), adds=adds)


def _mixed(group: FinishedGroup, adds: Mapping[FileKey, Action]) -> Problem | None:
    """Outputs carry one partition map, so all inputs must have exactly that one; a column that is not in it is null."""
    first = _values(adds[group.inputs[0]])
    for key in group.inputs:
        if _values(adds[key]) != first:
            return PROOF, f"{key.path} lies in another partition than the first input of its group", key.path
    return None


def _values(add: Action) -> dict[str, str]:
    return {name: value for name, value in (add.get("partitionValues") or {}).items() if value is not None}


def live_rows(snapshot: Snapshot, keys: Iterable[FileKey]) -> dict[FileKey, int]:
    """Rows of `snapshot.files` of those keys that are live there: same path string, same deletes."""
    wanted = set(keys)
    rows = rows_of(snapshot, {key.path for key in wanted})
    some = snapshot.files.select(["path", "deletes_id"]).take(rows)
    pairs = zip(some["path"].to_pylist(), some["deletes_id"].to_pylist(), rows.to_pylist(), strict=True)
    live = {FileKey(path=path, deletes_id=deletes): row for path, deletes, row in pairs}
    return {key: live[key] for key in wanted if key in live}


def any_live(snapshot: Snapshot, paths: set[str]) -> bool:
    """Whether one of these paths of the log is live, whatever its deletes."""
    return bool(len(rows_of(snapshot, paths)))


def rows_of(snapshot: Snapshot, paths: set[str]) -> pa.Array:
    """Rows of `snapshot.files` of the live files at these paths of the log, whatever their deletes."""
    column = snapshot.files["path"]
    return pc.indices_nonzero(pc.is_in(column, value_set=pa.array(sorted(paths), column.type)))


def live_only(candidates: Candidates, live: Mapping[FileKey, int], version: int) -> Candidates:
    """Drop every group of which an input is not live at `version`, or which two groups claim: the check that nothing else replaces."""
    claimed: set[FileKey] = set()

    def problem(group: FinishedGroup) -> Problem | None:
        for key in group.inputs:
            if key not in live:
                return INPUT_VANISHED, f"{key.path} is not live at version {version} as it was read", key.path
        if not claimed.isdisjoint(group.inputs) or len(set(group.inputs)) != len(group.inputs):
            return PROOF, "a file is an input of two groups, or twice of this one", None
        claimed.update(group.inputs)
        return None

    return candidates.without(problem)


def _log_rows(snapshot: Snapshot, rows: Mapping[FileKey, int]) -> dict[FileKey, int | None]:
    """Rows that a reader sees of each file by the log; None when the log does not say."""
    taken = snapshot.files.take(pa.array(list(rows.values()), pa.int64()))
    seen = pc.subtract(taken["rows"], taken["deleted_rows"]).to_pylist()
    return dict(zip(rows, seen, strict=True))


def _unproven(group: FinishedGroup, counts: Mapping[FileKey, int | None]) -> Problem | None:
    result = group.result
    if not group.inputs:
        return PROOF, "it has no inputs", None
    written = sum(output.rows for output in result.outputs)
    if written != result.input_rows:
        return PROOF, f"{result.input_rows} rows were read but {written} written", None
    expected = [counts[key] for key in group.inputs]
    by_log = sum(count for count in expected if count is not None)
    if None not in expected and by_log != result.input_rows:
        return PROOF, f"the log counts {by_log} rows in its inputs but {result.input_rows} were read", None
    return None


def judged(candidates: Candidates, winners: Sequence[LogEntry], before: Terms, after: Snapshot, rescue: Rescue) -> Candidates:
    """The groups that outlive `winners` by the rules of conflicts.py and are live in `after`, with their adds as the winners left them.

    A group that lost inputs, or rows of them, is kept as `rescue` saves it, if it does.
    """
    terms = Terms.of(after)
    verdicts: dict[int, Verdict] = {v.group_id: v for v in judge(candidates.groups, winners, before, terms)}
    saved: dict[int, Rescued] = {}

    def problem(group: FinishedGroup) -> Problem | None:
        verdict = verdicts[group.result.group_id]
        if verdict.reason != INPUT_VANISHED:
            return None if verdict.reason is None else (verdict.reason, verdict.detail, verdict.file)
        found = rescue.rescue(group.result.group_id, after)
        if isinstance(found, str):
            return INPUT_VANISHED, f"{verdict.detail}; {found}" if found else verdict.detail, verdict.file
        (again,) = judge([found.group], (), before, terms)
        if again.reason is not None:
            return again.reason, again.detail, again.file
        saved[group.result.group_id] = replace(found, group=_without_digests(found.group)) if candidates.narrowed else found
        return None

    kept = candidates.without(problem)
    kept = replace(
        kept,
        groups=tuple(saved[g.result.group_id].group if g.result.group_id in saved else g for g in kept.groups),
        rescued={**kept.rescued, **saved},
    )
    kept = live_only(kept, live_rows(after, (key for group in kept.groups for key in group.inputs)), after.version)
    fresh = _refreshed(kept.adds, winners)
    if keeps_row_ids(before.metadata, before.features):
        kept = kept.without(lambda g: None if g.result.group_id in saved else _renumbered(g, kept.adds, fresh))
    for rescued in saved.values():
        fresh.update(rescued.adds)
    kept = replace(kept, adds=fresh)
    return _reproven(kept, before, after, rescue) if any(winner.metadata is not None for winner in winners) else kept


def _reproven(candidates: Candidates, before: Terms, after: Snapshot, rescue: Rescue) -> Candidates:
    """The groups with the proofs that their rows have now that columns were dropped since they were read, or came back after that."""
    terms = Terms.of(after)
    dropped = dropped_columns(before.metadata, terms.metadata, terms.features)
    if not dropped and not candidates.narrowed:
        return candidates
    again: dict[int, Rescued] = {}

    def problem(group: FinishedGroup) -> Problem | None:
        group_id = group.result.group_id
        whole = Rescued(
            group=_without_digests(group),
            adds={key: candidates.adds[key] for key in group.inputs},
            vectors=(None,) * len(group.result.outputs),
            rows=0,
        )
        saved = candidates.rescued.get(group_id)
        found = rescue.reproven(whole if saved is None else replace(saved, group=whole.group), after)
        if isinstance(found, str):
            return TABLE_CHANGED, f"the column {(*dropped, '?')[0]} was dropped, and {found}", None
        again[group_id] = found
        return None

    kept = candidates.without(problem)
    return replace(
        kept,
        groups=tuple(again[group.result.group_id].group for group in kept.groups),
        rescued={**kept.rescued, **{group_id: found for group_id, found in again.items() if group_id in kept.rescued}},
        narrowed=True,
    )


def _without_digests(group: FinishedGroup) -> FinishedGroup:
    """Its outputs without the digests of their rows, which were taken with columns that are gone."""
    outputs = tuple(replace(output, fingerprint=None) for output in group.result.outputs)
    return replace(group, result=replace(group.result, outputs=outputs))


def _renumbered(group: FinishedGroup, before: Mapping[FileKey, Action], after: Mapping[FileKey, Action]) -> Problem | None:
    """Outputs hold ids that were computed from the numbers that their inputs had when they were read."""
    for key in group.inputs:
        if numbering(before[key]) != numbering(after[key]):
            return TABLE_CHANGED, f"{key.path} was given other row ids", key.path
    return None


def _refreshed(adds: Mapping[FileKey, Action], winners: Iterable[LogEntry]) -> dict[FileKey, Action]:
    """A winner may have added an input again with other statistics, tags or row ids: the remove copies what is live."""
    fresh = dict(adds)
    for winner in winners:
        for add in winner.adds:
            key = file_key(add)
            if key in fresh:
                fresh[key] = add
    return fresh


def with_outputs(store: ObjectStore, candidates: Candidates) -> tuple[Candidates, tuple[EntryGroup, ...]]:
    """The groups of which every output exists with the size written, and the same as groups of an entry."""
    found = _heads(store, [output.key for group in candidates.groups for output in group.result.outputs])
    claimed: set[str] = set()

    def problem(group: FinishedGroup) -> Problem | None:
        for output in group.result.outputs:
            if output.key in claimed:
                return PROOF, f"the output {output.key} is named twice", output.key
            claimed.add(output.key)
            meta = found[output.key]
            if meta is None:
                return OUTPUT_VANISHED, f"the output {output.key} was deleted before it was committed", output.key
            if meta.size_bytes != output.size_bytes:
                return STORAGE, f"the output {output.key} has {meta.size_bytes} bytes; {output.size_bytes} were written", output.key
        return None

    kept = candidates.without(problem)
    return kept, tuple(_entry_group(group, kept, found) for group in kept.groups)


def _entry_group(group: FinishedGroup, kept: Candidates, found: Mapping[str, ObjectMeta | None]) -> EntryGroup:
    metas = [found[output.key] for output in group.result.outputs]
    rescued = kept.rescued.get(group.result.group_id)
    return EntryGroup(
        finished=group,
        inputs=tuple(kept.adds[key] for key in group.inputs),
        vectors=rescued.vectors if rescued is not None else (None,) * len(metas),
        modified_ms=tuple(meta.modified_ms for meta in metas if meta is not None),
    )


def _heads(store: ObjectStore, keys: Sequence[str]) -> dict[str, ObjectMeta | None]:
    """One HEAD an object, several at once; one by one in memory, so that a simulation repeats itself."""
    if len(keys) < 2 or in_memory(store):
        return {key: store.head(key) for key in keys}
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="head") as pool:
        return dict(zip(keys, pool.map(store.head, keys), strict=True))
