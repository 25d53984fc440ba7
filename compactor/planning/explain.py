"""Why a file, a partition or a whole table is or is not in the next plan: class, thresholds in numbers, and what would change it. Pure.

Explains a plan that was made; it decides nothing, and judges each file by the same code as planning does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compactor.errors import UsageError
from compactor.model.plan import LeftOut, Plan
from compactor.model.predicate import Comparison, NullTest, Predicate, Term
from compactor.model.snapshot import Snapshot
from compactor.planning.columns import Bools, Int64s
from compactor.planning.describe import REASON_SENTENCES, what_would_change
from compactor.planning.diff import GroupSummary
from compactor.planning.where import select
from compactor.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers in force. fills_at_bytes: predicted output from which a group is finished."""

    target_bytes: int
    small_below_bytes: int
    oversized_above_bytes: int
    fills_at_bytes: int
    min_input_files: int
    max_deleted_ratio: float
    min_age_s: float
    quiet_s: float
    max_write_amplification: int
    max_encode_debt: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExplanation:
    """One live file. size_class: `small`, `right-size` or `oversized`; reason: None when it is planned, and then `group` is its group."""

    table: str
    version: int
    path: str
    partition: tuple[tuple[str, str | None], ...]
    size_bytes: int
    size_class: str
    rows: int | None
    deleted_rows: int
    generation: int
    finished_for_bytes: int | None
    age_s: float | None
    thresholds: Thresholds
    group: GroupSummary | None
    reason: LeftOut | None
    why: str
    change: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutFiles:
    """Files left out for one reason."""

    reason: LeftOut
    files: int
    bytes: int
    why: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionExplanation:
    """All live files of some partitions (of the whole table when nothing was selected)."""

    table: str
    version: int
    selected: str | None
    partitions: int
    files: int
    bytes: int
    small_files: int
    oversized_files: int
    thresholds: Thresholds
    groups: tuple[GroupSummary, ...]
    left_out: tuple[LeftOutFiles, ...]


def explain_file(snapshot: Snapshot, plan: Plan, path: str) -> FileExplanation:
    """Why the live file `path` (as the log writes it, or its name alone) is or is not in `plan`. Raises UsageError when there is none."""
    row = _row_of(snapshot, path)
    file = snapshot.files.slice(row, 1).to_pylist()[0]
    limits = _thresholds(plan)
    group = _group_of(snapshot, plan, row)
    said = plan.reasons[row].as_py()
    reason = None if said is None else LeftOut(said)
    size_class = _size_class(file["size_bytes"], limits)
    aged = snapshot.store_now_ms - file["landed_ms"] if snapshot.store_now_ms else None
    return FileExplanation(
        table=snapshot.table.uri,
        version=snapshot.version,
        path=file["path"],
        partition=_partition(snapshot, file["partition_id"]),
        size_bytes=file["size_bytes"],
        size_class=size_class,
        rows=file["rows"],
        deleted_rows=file["deleted_rows"],
        generation=file["generation"],
        finished_for_bytes=file["finished_for_bytes"],
        age_s=None if aged is None else aged / 1000,
        thresholds=limits,
        group=group,
        reason=reason,
        why=_why_planned(group, size_class) if group else _why_left(snapshot, LeftOut(said), file["path"]),
        change=None if reason is None else _change(snapshot, plan, reason, _files_of(snapshot, file["partition_id"]), file["generation"]),
    )


def of_partition(text: str, columns: Sequence[str] = ()) -> Predicate:
    """The partition that people write as `date=2026-01-01/region=eu` (`null` for null; not every column must be named).

    columns: names of the partition columns; with them, names and values may have slashes of their own.
    Raises UsageError when it is not so written.
    """
    terms: list[Term] = []
    for part in _parts(text, columns):
        column, equals, value = part.partition("=")
        if not equals or not column.strip():
            raise UsageError(f'"{text}" is not a partition such as "date=2026-01-01" or "date=2026-01-01/region=eu".')
        quoted = "'" + value.replace("'", "''") + "'"
        null = NullTest(column=column.strip())
        terms.append(null if value == "null" else Comparison(column=column.strip(), operator="=", literal=quoted))
    return Predicate(text=text, terms=tuple(terms))


def _parts(text: str, columns: Sequence[str]) -> list[str]:
    """The text cut where the name of a column follows a slash; cut at every slash where it does not begin with one."""
    named = tuple(f"{column}=" for column in columns)
    if not named or not text.startswith(named):
        return text.split("/")
    starts = [0, *(i + 1 for i, character in enumerate(text) if character == "/" and text.startswith(named, i + 1))]
    return [text[start:end] for start, end in zip(starts, [*(start - 1 for start in starts[1:]), len(text)], strict=True)]


def explain_partitions(snapshot: Snapshot, plan: Plan, selected: Predicate | None) -> PartitionExplanation:
    """Why the files of the selected partitions (None: of the table) are or are not in `plan`.

    Raises UsageError when the predicate does not fit the table or selects nothing.
    """
    partition = _ints(snapshot, "partition_id")
    here = np.ones(partition.shape[0], dtype=np.bool_)
    if selected is not None:
        here = select(selected, snapshot.partition_columns, snapshot.partitions)[partition]
        if not here.any():
            names = ", ".join(column.name for column in snapshot.partition_columns)
            where = f"version {snapshot.version} of {snapshot.table.uri}"
            raise UsageError(f"There is no live file where {selected.text} in {where}; its partition columns are {names}.")
    size, limits = _ints(snapshot, "size_bytes"), _thresholds(plan)
    ids = set(partition[here].tolist())
    groups = plan.groups["partition_id"].to_numpy()
    return PartitionExplanation(
        table=snapshot.table.uri,
        version=snapshot.version,
        selected=None if selected is None else selected.text,
        partitions=len(ids),
        files=int(here.sum()),
        bytes=int(size[here].sum()),
        small_files=int((here & (size < limits.small_below_bytes)).sum()),
        oversized_files=int((here & (size > limits.oversized_above_bytes)).sum()),
        thresholds=limits,
        groups=tuple(_summary(snapshot, plan, index) for index in np.flatnonzero(np.isin(groups, list(ids))).tolist()),
        left_out=tuple(_left_out(snapshot, plan, here, size)),
    )


def _left_out(snapshot: Snapshot, plan: Plan, here: Bools, size: Int64s) -> list[LeftOutFiles]:
    reasons = plan.reasons.to_numpy(zero_copy_only=False)
    found = []
    for reason in LeftOut:
        mask = here & (reasons == reason.value)
        if mask.any():
            change = _change(snapshot, plan, reason, here)
            found.append(
                LeftOutFiles(reason=reason, files=int(mask.sum()), bytes=int(size[mask].sum()), why=REASON_SENTENCES[reason], change=change)
            )
    return found


def _change(snapshot: Snapshot, plan: Plan, reason: LeftOut, here: Bools, generation: int | None = None) -> str:
    """What would bring files that are left out for `reason` into a plan. `here`: the files of their partitions."""
    partition, size = _ints(snapshot, "partition_id"), _ints(snapshot, "size_bytes")
    few = here & (plan.reasons.to_numpy(zero_copy_only=False) == LeftOut.TOO_FEW.value)
    one_place = np.unique(partition[here]).shape[0] == 1
    waiting = (int(few.sum()), int(size[few].sum())) if one_place else None
    return what_would_change(reason, plan.policy, plan.target_bytes, waiting, generation)


def _thresholds(plan: Plan) -> Thresholds:
    policy, target = plan.policy, plan.target_bytes
    return Thresholds(
        target_bytes=target,
        small_below_bytes=int(np.ceil(policy.small_ratio * target)),
        oversized_above_bytes=int(policy.oversized_ratio * target),
        fills_at_bytes=-(-3 * target // 4),
        min_input_files=policy.min_input_files,
        max_deleted_ratio=policy.max_deleted_ratio,
        min_age_s=policy.min_age_s,
        quiet_s=policy.quiet_s,
        max_write_amplification=policy.max_write_amplification,
        max_encode_debt=policy.max_encode_debt,
    )


def _size_class(size: int, limits: Thresholds) -> str:
    if size < limits.small_below_bytes:
        return "small"
    return "oversized" if size > limits.oversized_above_bytes else "right-size"


def _row_of(snapshot: Snapshot, path: str) -> int:
    paths: list[str] = snapshot.files["path"].to_pylist()
    if path in paths:
        return paths.index(path)
    named = [row for row, known in enumerate(paths) if known.rpartition("/")[2] == path]
    where = f"version {snapshot.version} of {snapshot.table.uri}"
    if len(named) > 1:
        raise UsageError(f"{len(named)} live files in {where} are called {path}; give the whole path below the table.")
    if not named:
        raise UsageError(f"There is no live file {path} in {where}.")
    return named[0]


def _group_of(snapshot: Snapshot, plan: Plan, row: int) -> GroupSummary | None:
    at = np.flatnonzero(plan.inputs["file"].to_numpy() == row)
    if at.shape[0] == 0:
        return None
    index = int(np.searchsorted(plan.groups["first_input"].to_numpy(), at[0], side="right")) - 1
    return _summary(snapshot, plan, index)


def _summary(snapshot: Snapshot, plan: Plan, index: int) -> GroupSummary:
    row = plan.groups.slice(index, 1).to_pylist()[0]
    return GroupSummary(
        group_id=row["group_id"],
        kind=row["kind"],
        partition=_partition(snapshot, row["partition_id"]),
        input_files=row["input_files"],
        input_bytes=row["input_bytes"],
        output_files=row["output_files"],
    )


def _why_planned(group: GroupSummary, size_class: str) -> str:
    size, become = format_bytes(group.input_bytes), f"{group.output_files:,} file{'' if group.output_files == 1 else 's'}"
    match group.kind:
        case "split":
            return f"It is oversized, and group {group.group_id} splits it into {become}."
        case "force":
            return f"A rewrite is forced: group {group.group_id} makes {become} of {group.input_files:,} ({size})."
        case "purge":
            return (
                f"Too many of its rows are deleted: group {group.group_id} makes {become} of {group.input_files:,} ({size}) without them."
            )
        case "encode-debt":
            return f"Much of it is in small row groups that were copied: group {group.group_id} encodes it anew ({size})."
        case _:
            why = "It is small" if size_class == "small" else "Its deleted rows leave little of it"
            return f"{why}, and group {group.group_id} merges {group.input_files:,} files ({size}) into {become}."


def _why_left(snapshot: Snapshot, reason: LeftOut, path: str) -> str:
    found = snapshot.quarantined.get(path) if reason is LeftOut.QUARANTINED else None
    return REASON_SENTENCES[reason] if found is None else f"{REASON_SENTENCES[reason]} {found}"


def _partition(snapshot: Snapshot, partition_id: int) -> tuple[tuple[str, str | None], ...]:
    values = snapshot.partitions
    return tuple((column.name, values[column.physical_name][partition_id].as_py()) for column in snapshot.partition_columns)


def _files_of(snapshot: Snapshot, partition_id: int) -> Bools:
    here: Bools = _ints(snapshot, "partition_id") == partition_id
    return here


def _ints(snapshot: Snapshot, name: str) -> Int64s:
    values: Int64s = snapshot.files[name].to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return values
