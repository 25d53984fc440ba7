"""Groups: the columnar value that grouping makes and ordering, caps and costs look at. One element a group, no object a file. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compactor.model.plan import GroupKind
from compactor.planning.columns import Bools, Int64s

KINDS: tuple[GroupKind, ...] = tuple(GroupKind)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """One element a group; `members` one element a planned file.

    members: indices into FileColumns, group after group, in file order within each. starts: index into members of each group's first.
    outputs: files to make. kind: index into KINDS.
    """

    members: Int64s
    starts: Int64s
    outputs: Int64s
    kind: npt.NDArray[np.int8]
    finishes: Bools

    def __len__(self) -> int:
        return int(self.starts.shape[0])

    def counts(self) -> Int64s:
        """Files of each group."""
        return np.diff(np.append(self.starts, self.members.shape[0]))

    def sums(self, values: npt.NDArray[np.generic]) -> Int64s:
        """Per group, the sum of a column of FileColumns."""
        return reduce_runs(np.add, values[self.members], self.starts)

    def maxima(self, values: Int64s) -> Int64s:
        """Per group, the largest of a column of FileColumns."""
        return reduce_runs(np.maximum, values[self.members], self.starts)

    def pick(self, wanted: Int64s) -> Groups:
        """These groups, in this order."""
        counts = self.counts()[wanted]
        starts = np.cumsum(counts) - counts
        shift = np.repeat(self.starts[wanted] - starts, counts)
        return Groups(
            members=self.members[np.arange(shift.shape[0], dtype=np.int64) + shift],
            starts=starts,
            outputs=self.outputs[wanted],
            kind=self.kind[wanted],
            finishes=self.finishes[wanted],
        )


def kind_code(kind: GroupKind) -> int:
    """Index of `kind` in KINDS."""
    return KINDS.index(kind)


def join(parts: Sequence[Groups]) -> Groups:
    """All groups of all parts, part after part."""
    sizes = np.array([p.members.shape[0] for p in parts], dtype=np.int64)
    offsets = (np.cumsum(sizes) - sizes).tolist()
    return Groups(
        members=np.concatenate([p.members for p in parts]),
        starts=np.concatenate([p.starts + offset for p, offset in zip(parts, offsets, strict=True)]),
        outputs=np.concatenate([p.outputs for p in parts]),
        kind=np.concatenate([p.kind for p in parts]),
        finishes=np.concatenate([p.finishes for p in parts]),
    )


def runs_of(values: Int64s) -> Int64s:
    """Index of the first element of each run of equal values."""
    if values.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.flatnonzero(np.diff(values)) + 1])


def run_lengths(runs: Int64s, total: int) -> Int64s:
    """Lengths of the runs that begin at `runs` in `total` elements."""
    return np.diff(np.append(runs, total))


def reduce_runs(how: np.ufunc, values: npt.NDArray[np.generic], runs: Int64s) -> Int64s:
    """One int64 a run: `how` over its values. Runs are never empty."""
    if runs.shape[0] == 0:
        return np.empty(0, dtype=np.int64)
    reduced: Int64s = how.reduceat(values.astype(np.int64, copy=False), runs)
    return reduced
