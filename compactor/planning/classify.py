"""What each file needs, or why it is left alone, before neighbours are looked at. Pure and columnar.

The bounds of a compaction (design rule 5) start here:

* A file that was finished for a target is exempt while the target in force is at most twice that. When it is oversized for a target of
  less than half of that (its owner wants much smaller files) it may be split again.
* A file of generation W or more is not merged or split again. A purge is the exception: it is charged to the rows that were deleted since,
  so a byte is rewritten at most W times plus once for every time that deletes made its file heavy. Purged outputs still count a
  generation, so that they join fewer merges, never more.
* A file whose encode debt is to be paid is rewritten although it was finished, but no oftener than any other: with its last rewrite only
  where that fills three quarters of the target. What comes of it has no debt.
* A file that is oversized but holds less than one and a half targets would fall apart into small files, so it counts as right-sized; so
  does a file that some policy calls small although it fills three quarters of the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from compactor.model.plan import LeftOut
from compactor.model.policy import Policy
from compactor.planning.columns import Bools, FileColumns, Int64s, heavy_with_deletes, indebted

Codes = npt.NDArray[np.int8]

REASONS: tuple[LeftOut, ...] = tuple(LeftOut)
UNDECIDED = -1
BUSY_FILES, CONTESTED_FILES = 100, 1000
"""A partition that others write to waits no longer once so many of its files want to be rewritten: the smaller number where they only
append, which no commit of ours disturbs; the larger where they change rows, and would meet us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What files are judged under: the policy, the target in force, the store's time, and predicted output bytes for each live byte of a
    file that others wrote. What a compaction wrote keeps its size. busy: partitions that others write to.
    """

    policy: Policy
    target_bytes: int
    now_ms: int
    compression: float = 1.0
    busy: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classes:
    """One element a file of FileColumns.

    output_bytes: what the file's live rows are predicted to need when rewritten. heavy: its deletes must be purged. indebted: too much of
    it is in small row groups that were copied.
    packable: to be packed with neighbours; split: to become several; neither, with reason UNDECIDED: to be rewritten alone.
    reason: index into REASONS, or UNDECIDED for a file that wants to be planned.
    """

    output_bytes: Int64s
    heavy: Bools
    indebted: Bools
    packable: Bools
    split: Bools
    reason: Codes


def code(reason: LeftOut) -> int:
    """Index of `reason` in REASONS."""
    return REASONS.index(reason)


def fills(output_bytes: Int64s, target_bytes: int) -> Bools:
    """Do these bytes reach 75 % of the target, so that a rewrite of them is finished?"""
    return 4 * output_bytes >= 3 * target_bytes


def classify(files: FileColumns, setting: Setting, selected: Bools, stale: Bools, kept_out: Mapping[LeftOut, Bools]) -> Classes:
    """Judge every file. `selected`, `stale` (what a purge is for) and those to be `kept_out`, by reason, have one element a file."""
    policy, target = setting.policy, setting.target_bytes
    output = np.floor(files.live_bytes * np.where(files.generation == 0, setting.compression, 1.0)).astype(np.int64)
    heavy = stale if policy.purge else heavy_with_deletes(files.rows, files.deleted_rows, policy.max_deleted_ratio)
    packable = ((files.size_bytes < policy.small_ratio * target) | heavy) & ~fills(output, target)
    oversized = (files.live_bytes > policy.oversized_ratio * target) & (2 * output >= 3 * target)
    one_row = oversized & (files.rows >= 0) & (files.rows - files.deleted_rows <= 1)
    split = oversized & ~one_row
    debtor = indebted(files.debt_bytes, files.size_bytes, policy.max_encode_debt)
    debtor &= packable | fills(output, target) | (files.generation < policy.max_write_amplification - 1)
    wanted = packable | split | heavy | debtor
    reason = np.full(len(files), UNDECIDED, dtype=np.int8)

    def leave(mask: Bools, why: LeftOut) -> None:
        reason[mask & (reason == UNDECIDED)] = code(why)

    leave(~selected, LeftOut.OTHER_PARTITION)
    if policy.purge and not policy.force_rewrite:
        leave(~stale, LeftOut.NOTHING_TO_PURGE)
    if not policy.force_rewrite:
        leave(one_row & ~heavy & ~debtor, LeftOut.INDIVISIBLE)
        leave(~wanted, LeftOut.RIGHT_SIZE)
        leave(_finished(files, target, split) & ~heavy & ~debtor, LeftOut.FINISHED)
    for why, which in kept_out.items():
        leave(which, why)
    leave(_young(files, setting), LeftOut.TOO_YOUNG)
    if not policy.force_rewrite:
        leave((files.generation >= policy.max_write_amplification) & ~heavy, LeftOut.WRITE_AMPLIFICATION)
    leave(_busy(files, setting, reason == UNDECIDED), LeftOut.BUSY)
    return Classes(output_bytes=output, heavy=heavy, indebted=debtor, packable=packable, split=split, reason=reason)


def _finished(files: FileColumns, target: int, split: Bools) -> Bools:
    comparable = (files.finished_for > 0) & (target <= 2 * files.finished_for)
    return comparable & (~split | (2 * target >= files.finished_for))


def _busy(files: FileColumns, setting: Setting, wanting: Bools) -> Bools:
    """Files of partitions that others write to, but where so many want to be rewritten that waiting costs more than the writers' conflicts:
    a partition that is never quiet is compacted too."""
    if not setting.busy:
        return np.zeros(len(files), dtype=np.bool_)
    partitions = int(files.partition.max(initial=0)) + 1
    waiting = np.bincount(files.partition[wanting], minlength=partitions)
    patience = np.zeros(partitions, dtype=np.int64)
    for number, contested in setting.busy.items():
        patience[number : number + 1] = CONTESTED_FILES if contested else BUSY_FILES
    waits: Bools = (waiting < patience)[files.partition]
    return waits


def _young(files: FileColumns, setting: Setting) -> Bools:
    """Files whose age is below the policy's. Without the store's time (0) no age is known and every file is young."""
    if setting.policy.min_age_s <= 0:
        return np.zeros(len(files), dtype=np.bool_)
    return (setting.now_ms - files.landed_ms) < setting.policy.min_age_s * 1000.0
