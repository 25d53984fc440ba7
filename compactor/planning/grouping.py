"""Which files are rewritten together. Pure and columnar.

Small files of one partition, and files whose deletes leave little of them, are packed with their neighbours in file order; an oversized
file is split alone; a middling file with many deletes is purged alone, one with encode debt to pay is encoded alone; a forced rewrite takes
the rest alone too.

The bounds of design rule 5, partition by partition, with W = max_write_amplification and a file called *old* from generation W-1 on:

* When a partition's packable bytes reach 75 % of the target, everything is packed into finishing groups, old files included.
* Otherwise one group of the *fresh* (not old) files may be made, whose output is unfinished. It needs min_input_files files, or deletes
  to purge, or bytes that are no longer small. Old files wait until they fill a target. Old files with deletes to purge are rewritten
  apart from fresh ones, whose generation they would spoil.

An unfinished output may turn out larger than predicted and so fill a target together with old files that wait. A second run must not act
on that, so a filled partition is packed only when something in it is new: a file that was never rewritten, two fresh files, deletes to
purge, or enough files that were finished for a much smaller target. After a run that left an unfinished output none of these is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compactor.model.plan import GroupKind, LeftOut
from compactor.model.policy import Policy
from compactor.planning.classify import UNDECIDED, Classes, Codes, code, fills
from compactor.planning.columns import Bools, FileColumns, Int64s
from compactor.planning.groups import Groups, join, kind_code, reduce_runs, run_lengths, runs_of
from compactor.planning.pack import outputs_for, pack


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """Everything that grouping looks at."""

    files: FileColumns
    classes: Classes
    policy: Policy
    target_bytes: int

    def output_bytes(self, members: Int64s) -> Int64s:
        return self.classes.output_bytes[members]

    def runs(self, members: Int64s) -> Int64s:
        return runs_of(self.files.partition[members])


def make_groups(files: FileColumns, classes: Classes, policy: Policy, target_bytes: int) -> tuple[Groups, Codes]:
    """Group every undecided file, or give it its reason. Returns the groups, in no particular order, and the reason of every file
    (UNDECIDED for members of groups)."""
    case = _Case(files=files, classes=classes, policy=policy, target_bytes=target_bytes)
    undecided = classes.reason == UNDECIDED
    singles = _singles(case, np.flatnonzero(undecided & ~classes.packable))
    packed, reason = _packed(case, np.flatnonzero(undecided & classes.packable))
    return join([singles, *packed]), reason


def _singles(case: _Case, alone: Int64s) -> Groups:
    """Groups of one file: splits, purges of what stays well-sized, and forced rewrites."""
    split = case.classes.split[alone]
    outputs = np.where(split, outputs_for(case.output_bytes(alone), case.target_bytes), 1)
    return _groups(case, alone, np.arange(alone.shape[0], dtype=np.int64), outputs, split=split)


def _packed(case: _Case, members: Int64s) -> tuple[list[Groups], Codes]:
    reason = case.classes.reason.copy()
    runs = case.runs(members)
    finishing = np.repeat(_filled(case, members, runs) | case.policy.force_rewrite | case.policy.purge, run_lengths(runs, members.shape[0]))
    full, rest = members[finishing], members[~finishing]
    starts, outputs = pack(case.output_bytes(full), case.runs(full), case.target_bytes)
    fresh, purged, few, bound = _unfinished(case, rest)
    reason[few] = code(LeftOut.TOO_FEW)
    reason[bound] = code(LeftOut.WRITE_AMPLIFICATION)
    return [_groups(case, full, starts, outputs), fresh, purged], reason


def _filled(case: _Case, members: Int64s, runs: Int64s) -> Bools:
    """Per partition: do its packable files fill a target, and is anything in it new?"""
    size, generation = case.output_bytes(members), case.files.generation[members]
    new = (generation == 0) | case.classes.heavy[members]
    fresh = generation < case.policy.max_write_amplification - 1
    outgrown = np.where(case.files.finished_for[members] > 0, size, 0)
    renewed = (_totals(new, runs) > 0) | (_totals(fresh, runs) > 1) | fills(_totals(outgrown, runs), case.target_bytes)
    return fills(_totals(size, runs), case.target_bytes) & renewed


def _unfinished(case: _Case, members: Int64s) -> tuple[Groups, Groups, Int64s, Int64s]:
    """Of partitions that cannot fill a target: the fresh groups, the purges of old files, files too few, files held by the bound."""
    policy, runs = case.policy, case.runs(members)
    lengths = run_lengths(runs, members.shape[0])
    heavy = case.classes.heavy[members]
    old = case.files.generation[members] >= policy.max_write_amplification - 1
    fresh_files = _totals(~old, runs)
    fresh_bytes = _totals(np.where(old, 0, case.output_bytes(members)), runs)
    enough = (fresh_files >= policy.min_input_files) | (fresh_bytes >= policy.small_ratio * case.target_bytes)
    made = (_totals(~old & heavy, runs) > 0) | ((fresh_files >= 2) & enough)
    filled = fills(_totals(case.output_bytes(members), runs), case.target_bytes)
    few = ~made & ~filled & (lengths < max(2, policy.min_input_files))
    in_fresh, in_purge = ~old & np.repeat(made, lengths), old & heavy
    left, too_few = ~in_fresh & ~in_purge, (~old & ~np.repeat(filled, lengths)) | np.repeat(few, lengths)
    groups = [_group_a_partition(case, members[chosen]) for chosen in (in_fresh, in_purge)]
    return groups[0], groups[1], members[left & too_few], members[left & ~too_few]


def _totals(values: npt.NDArray[np.generic], runs: Int64s) -> Int64s:
    return reduce_runs(np.add, values, runs)


def _group_a_partition(case: _Case, members: Int64s) -> Groups:
    starts = case.runs(members)
    return _groups(case, members, starts, np.ones_like(starts))


def _groups(case: _Case, members: Int64s, starts: Int64s, outputs: Int64s, *, split: Bools | None = None) -> Groups:
    """Groups of these members, with what follows from the members: kind, possible outputs, whether they finish."""
    files, heavy = case.files, case.classes.heavy[members].astype(np.int64)
    counts = run_lengths(starts, members.shape[0])
    heavies = reduce_runs(np.add, heavy, starts)
    kind = np.where(counts > 1, kind_code(GroupKind.MERGE), kind_code(GroupKind.FORCE))
    debtors = reduce_runs(np.add, case.classes.indebted[members].astype(np.int64), starts)
    kind = np.where((counts == 1) & (debtors == 1), kind_code(GroupKind.DEBT), kind)
    kind = np.where(heavies == counts, kind_code(GroupKind.PURGE), kind)
    if split is not None:
        kind = np.where(split, kind_code(GroupKind.SPLIT), kind)
    rows = reduce_runs(np.add, np.maximum(0, files.rows - files.deleted_rows)[members], starts)
    unknown = reduce_runs(np.maximum, files.rows[members] < 0, starts) > 0
    return Groups(
        members=members,
        starts=starts,
        outputs=np.where(unknown, outputs, np.minimum(outputs, rows)).astype(np.int64),
        kind=kind.astype(np.int8),
        finishes=fills(reduce_runs(np.add, case.output_bytes(members), starts), case.target_bytes),
    )
