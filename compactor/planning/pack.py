"""Bins of about the target size from runs of small files, in order. Pure.

A run (the small files of one partition) becomes round(bytes / target) outputs of equal size. Cuts fall between files, as near to the even
share as the files allow; where no file ends near enough (files of half a target, say), the neighbouring outputs stay in one group whose
rows are divided evenly by the worker. So that the outcome is stable, every output of a run of two or more gets between 0.75 and 1.25
targets, and the single output of a shorter run less than 1.5: nothing small is ever left over beside a bin.

Runs that make one output are handled all at once; longer ones cost one Python step for each group, never for each file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from compactor.planning.columns import Int64s


def outputs_for(size_bytes: Int64s, target_bytes: int) -> Int64s:
    """How many outputs of about the target size these bytes make: rounded half up, at least one."""
    return np.maximum(1, (2 * size_bytes + target_bytes) // (2 * target_bytes))


def pack(size_bytes: Int64s, runs: Int64s, target_bytes: int) -> tuple[Int64s, Int64s]:
    """Cut runs of files into groups.

    size_bytes: predicted bytes of each file, run after run. runs: index of the first file of each run.
    Returns (starts, outputs): the index of the first file of each group, and how many outputs each group makes.
    """
    if runs.shape[0] == 0:
        return runs, runs
    outputs = outputs_for(np.add.reduceat(size_bytes, runs), target_bytes)
    ends = np.append(runs[1:], size_bytes.shape[0])
    long = np.flatnonzero(outputs > 1)
    starts_of_long: list[int] = []
    outputs_of_long: list[int] = []
    prefix = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(size_bytes)]).data
    for begin, end in zip(runs[long].tolist(), ends[long].tolist(), strict=True):
        for start, made in _groups(prefix, begin, end, target_bytes):
            starts_of_long.append(start)
            outputs_of_long.append(made)
    short = outputs == 1
    starts = np.concatenate([runs[short], np.array(starts_of_long, dtype=np.int64)])
    made_by = np.concatenate([outputs[short], np.array(outputs_of_long, dtype=np.int64)])
    order = np.argsort(starts, kind="stable")
    return starts[order], made_by[order]


def _groups(prefix: memoryview[int], begin: int, end: int, target: int) -> Iterator[tuple[int, int]]:
    """(first file, outputs) of each group of one run. `prefix[i]`: bytes of all files before i."""
    while begin < end:
        cut, outputs = _first_group(prefix, begin, end, target)
        yield begin, outputs
        begin = cut


def _first_group(prefix: memoryview[int], begin: int, end: int, target: int) -> tuple[int, int]:
    """Where the first group ends, and its outputs: the fewest shares for which both it and the rest divide into well-sized outputs."""
    base, total = prefix[begin], prefix[end] - prefix[begin]
    shares = _outputs(total, target)
    for taken in range(1, shares):
        ideal = base + total * taken // shares
        after = bisect_left(prefix, ideal, begin + 1, end)
        before = after - 1
        nearest = (after, before) if prefix[after] - ideal <= ideal - prefix[before] else (before, after)
        for cut in nearest:
            rest = prefix[end] - prefix[cut]
            if begin < cut < end and _fits(prefix[cut] - base, taken, target) and _fits(rest, _outputs(rest, target), target):
                return cut, taken
    return end, shares


def _outputs(size: int, target: int) -> int:
    return max(1, (2 * size + target) // (2 * target))


def _fits(size: int, outputs: int, target: int) -> bool:
    return 3 * target * outputs <= 4 * size <= 5 * target * outputs
