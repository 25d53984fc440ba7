"""Snapshot, survey and policy become a Plan. Pure, columnar and deterministic: equal inputs give equal plans, byte for byte, whatever the
order of the snapshot's rows. One array operation for all files at a time; Python steps only for groups, never for files.

The rules live elsewhere: what a file needs (classify), who is rewritten together (grouping, pack), in which order and within which caps
(order), and what it takes (cost). This module puts them in sequence and their outcome into Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from compactor.model.plan import GROUPS_SCHEMA, INPUTS_SCHEMA, LeftOut, Plan, Resources
from compactor.model.policy import Policy
from compactor.model.snapshot import Snapshot
from compactor.model.survey import FileFacts, Survey
from compactor.planning.classify import REASONS, UNDECIDED, Classes, Codes, Setting, classify, code
from compactor.planning.columns import Bools, FileColumns, Int64s, file_columns, named_partitions, positions_in
from compactor.planning.copies import Copied, copied
from compactor.planning.cost import (
    Assumptions,
    Load,
    buffers,
    copy_requests,
    decoded_by_path,
    decoded_estimate,
    group_memory,
    largest_decoded_by_path,
    read_requests,
    write_requests,
)
from compactor.planning.grouping import make_groups
from compactor.planning.groups import KINDS, Groups
from compactor.planning.order import by_gain, within_caps
from compactor.planning.predict import predict
from compactor.planning.target import effective_target
from compactor.planning.where import select


def plan(
    snapshot: Snapshot,
    survey: Survey,
    policy: Policy,
    resources: Resources,
    *,
    target_bytes: int | None = None,
    assumptions: Assumptions | None = None,
) -> Plan:
    """What a run would do. Every live file is an input of exactly one group or has exactly one reason.

    target_bytes: the target in force (see planning/target.py); None means the policy's own, else the default.
    Raises UsageError when the policy's `where` does not fit the table.
    """
    assumed = assumptions or Assumptions()
    target = effective_target(policy, None) if target_bytes is None else target_bytes
    setting = Setting(policy=policy, target_bytes=target, now_ms=snapshot.store_now_ms, compression=assumed.compression, busy=snapshot.busy)
    files = file_columns(snapshot.files, survey.files)
    classes = judge(snapshot, survey, files, setting)
    groups, reason = make_groups(files, classes, policy, target)
    groups = _cap(groups, files, policy, reason)
    outcome = _Outcome(snapshot=snapshot, survey=survey, files=files, classes=classes, groups=groups, reason=reason)
    return _assemble(outcome, setting, resources, assumed)


def judge(snapshot: Snapshot, survey: Survey, files: FileColumns, setting: Setting) -> Classes:
    """What each file needs by itself, before neighbours and caps. Raises UsageError as `plan` does."""
    selected = np.ones(len(files), dtype=np.bool_)
    if setting.policy.where is not None:
        selected = select(setting.policy.where, snapshot.partition_columns, snapshot.partitions)[files.partition]
    at, _ = positions_in(snapshot.files["path"], list(survey.unreadable))
    clustered = snapshot.files["clustered"].to_numpy() if snapshot.keeps_clustering else np.zeros(len(files), dtype=np.bool_)
    stale = _stale(snapshot, survey)[files.row]
    damaged, _ = positions_in(snapshot.files["path"], list(snapshot.quarantined))
    count = snapshot.files.num_rows
    kept_out = {
        LeftOut.QUARANTINED: _mask(count, damaged)[files.row],
        LeftOut.CLUSTERED: clustered[files.row],
        LeftOut.UNREADABLE: _mask(count, at)[files.row],
    }
    return classify(files, setting, selected, stale, kept_out)


def _stale(snapshot: Snapshot, survey: Survey) -> Bools:
    """Files that hold deleted rows, or dropped columns as far as that is known: without a footer it may be so."""
    stale = np.ones(snapshot.files.num_rows, dtype=np.bool_)
    current = [path for path, facts in survey.files.items() if not facts.extra_columns]
    stale[positions_in(snapshot.files["path"], current)[0]] = False
    deleted: Bools = snapshot.files["deleted_rows"].to_numpy() > 0
    masked: Bools = snapshot.files["deletes_id"].is_valid().to_numpy()
    return stale | deleted | masked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outcome:
    """What the stages made, on its way into Arrow."""

    snapshot: Snapshot
    survey: Survey
    files: FileColumns
    classes: Classes
    groups: Groups
    reason: Codes


def _cap(groups: Groups, files: FileColumns, policy: Policy, reason: Codes) -> Groups:
    """The groups of this run in order; files of the others get their reason in place."""
    kept, dropped = within_caps(by_gain(groups, files), groups.sums(files.size_bytes), policy)
    for why, which in dropped.items():
        reason[groups.pick(which).members] = code(why)
    return groups.pick(kept)


def _assemble(out: _Outcome, setting: Setting, resources: Resources, assumed: Assumptions) -> Plan:
    files, groups = out.files, out.groups
    output_bytes = groups.sums(out.classes.output_bytes)
    stitched = copied(files, groups, _surveyed(out), assumed, buffers(resources.memory_bytes).fetch)
    memory = _memory(out, (output_bytes, stitched), resources.memory_bytes, assumed)
    reads = _reads(out, stitched, buffers(resources.memory_bytes).fetch, assumed)
    sent = np.maximum(0, output_bytes - stitched.bytes) if assumed.store_copies else output_bytes
    writes = write_requests(sent, groups.outputs, assumed.part_bytes) + (stitched.row_groups if assumed.store_copies else 0)
    predicted = {"output_bytes": output_bytes, "memory_bytes": memory, "read_requests": reads, "write_requests": writes}
    table = _groups_table(out, {**predicted, "copied_bytes": stitched.bytes, "merged_bytes": stitched.merged})
    return Plan(
        table=out.snapshot.table,
        version=out.snapshot.version,
        policy=setting.policy,
        target_bytes=setting.target_bytes,
        groups=table,
        inputs=_inputs_table(out.snapshot.files, files.row[groups.members]),
        reasons=_reasons(out.reason, files.row),
        left_out=_counted(out.reason),
        prediction=predict(table, resources.parallelism, assumed),
        compression=setting.compression,
        not_copied=stitched.not_copied,
        partitions=named_partitions(out.snapshot),
    )


def _reads(out: _Outcome, stitched: Copied, whole_bytes: int, assumed: Assumptions) -> Int64s:
    """GETs for the inputs of each group. whole_bytes: a larger file is streamed, each of its column chunks by itself; but for row groups
    that are copied."""
    row_groups = np.ones(len(out.files), dtype=np.int64)
    for at, facts in _surveyed(out).items():
        row_groups[at] = len(facts.row_groups)
    chunks = row_groups * assumed.columns
    reads = read_requests(out.files.size_bytes, min(assumed.part_bytes, whole_bytes), chunks)
    spared = np.minimum(stitched.row_groups * assumed.columns, out.groups.sums(reads) - out.groups.counts())
    total: Int64s = out.groups.sums(reads) - spared + copy_requests(stitched.row_groups, stitched.bytes, assumed)
    return total


def _surveyed(out: _Outcome) -> dict[int, FileFacts]:
    """The surveyed footers, by index into the files of planning."""
    facts = out.survey.files
    at, which = positions_in(out.snapshot.files["path"], list(facts))
    where = np.empty(len(out.files), dtype=np.int64)
    where[out.files.row] = np.arange(len(out.files), dtype=np.int64)
    known = list(facts.values())
    return {int(i): known[int(k)] for i, k in zip(where[at], which, strict=True)}


def _memory(out: _Outcome, output_and_copied: tuple[Int64s, Copied], bound: int, assumed: Assumptions) -> Int64s:
    output_bytes, stitched = output_and_copied
    files, groups, facts = out.files, out.groups, out.survey.files
    at, which = positions_in(out.snapshot.files["path"], list(facts))
    where = np.empty(len(files), dtype=np.int64)
    where[files.row] = np.arange(len(files), dtype=np.int64)
    decoded = decoded_estimate(files.size_bytes, files.rows, assumed)
    decoded[where[at]] = decoded_by_path(facts)[which]
    row_group = decoded.copy()
    row_group[where[at]] = largest_decoded_by_path(facts)[which]
    load = Load(
        inputs=groups.sums(files.size_bytes),
        largest=groups.maxima(files.size_bytes),
        encoded=output_bytes // np.maximum(1, groups.outputs),
        each_output=groups.sums(decoded) // np.maximum(1, groups.outputs),
        row_group=groups.maxima(row_group),
        merged=stitched.merged,
        copied=stitched.surely,
        files=groups.counts(),
    )
    return group_memory(load, bound, assumed)


def _groups_table(out: _Outcome, predicted: Mapping[str, Int64s]) -> pa.Table:
    files, groups = out.files, out.groups
    rows = groups.sums(np.maximum(0, files.rows - files.deleted_rows))
    unknown = groups.sums(files.rows < 0) > 0
    kinds = pa.DictionaryArray.from_arrays(pa.array(groups.kind, pa.int8()), pa.array([str(k) for k in KINDS]))
    columns = {
        "group_id": np.arange(len(groups)),
        "kind": kinds.dictionary_decode(),
        "partition_id": files.partition[groups.members[groups.starts]],
        "first_input": groups.starts,
        "input_files": groups.counts(),
        "input_bytes": groups.sums(files.size_bytes),
        "input_rows": pa.array(rows, pa.int64(), mask=unknown),
        "output_files": groups.outputs,
        **predicted,
        "finishes": groups.finishes,
        "generation": np.minimum(groups.maxima(files.generation) + 1, np.iinfo(np.int16).max),
    }
    return pa.table([pa.array(columns[f.name]).cast(f.type) for f in GROUPS_SCHEMA], schema=GROUPS_SCHEMA)


def _inputs_table(files: pa.Table, rows: Int64s) -> pa.Table:
    names = [f.name for f in INPUTS_SCHEMA if f.name != "file"]
    taken = files.select(names).take(pa.array(rows)).combine_chunks()
    return pa.table([pa.chunked_array([pa.array(rows)]), *taken.columns], schema=INPUTS_SCHEMA)


def _reasons(reason: Codes, row: Int64s) -> pa.Array:
    by_row = np.empty_like(reason)
    by_row[row] = reason
    indices = pa.array(by_row, pa.int8(), mask=by_row == UNDECIDED)
    return pa.DictionaryArray.from_arrays(indices, pa.array([str(r) for r in REASONS])).dictionary_decode()


def _counted(reason: Codes) -> tuple[tuple[LeftOut, int], ...]:
    counts = np.bincount(reason[reason != UNDECIDED], minlength=len(REASONS)).tolist()
    return tuple((why, count) for why, count in zip(REASONS, counts, strict=True) if count)


def _mask(length: int, at: Int64s) -> Bools:
    mask = np.zeros(length, dtype=np.bool_)
    mask[at] = True
    return mask
