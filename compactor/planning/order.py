"""In which order groups run, and which of them fit into the caps of one run. Pure.

By gain: files removed per byte rewritten, then deleted bytes dropped per byte rewritten, so that a capped run does what helps readers most
for its bytes; ties by partition, then by the first file in file order. Splits remove no file and come last.
"""

from __future__ import annotations

import numpy as np

from compactor.model.plan import LeftOut
from compactor.model.policy import Policy
from compactor.planning.columns import FileColumns, Int64s
from compactor.planning.groups import Groups


def by_gain(groups: Groups, files: FileColumns) -> Int64s:
    """Indices of all groups, best first."""
    size = groups.sums(files.size_bytes)
    per_byte = 1.0 / np.maximum(1, size)
    removed = (groups.counts() - groups.outputs) * per_byte
    purged = (size - groups.sums(files.live_bytes)) * per_byte
    first = groups.members[groups.starts]  # FileColumns is sorted by partition and file order, so this breaks ties by both
    return np.lexsort((first, -purged, -removed)).astype(np.int64)


def within_caps(order: Int64s, sizes: Int64s, policy: Policy) -> tuple[Int64s, dict[LeftOut, Int64s]]:
    """Which groups of `order` (best first) fit, and which do not, by reason. `sizes`: input bytes of each group.

    A group that would exceed max_bytes is passed over; smaller ones after it may still fit.
    """
    if policy.max_bytes is None and policy.max_groups is None:
        return order, {}
    taken = order if policy.max_bytes is None else _within_bytes(order, sizes, policy.max_bytes)
    over_bytes = np.setdiff1d(order, taken, assume_unique=True)
    kept = taken if policy.max_groups is None else taken[: policy.max_groups]
    return kept, {LeftOut.BYTE_CAP: over_bytes, LeftOut.GROUP_CAP: taken[kept.shape[0] :]}


def _within_bytes(order: Int64s, sizes: Int64s, max_bytes: int) -> Int64s:
    taken, rest = [], max_bytes
    for group, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        if size <= rest:
            taken.append(group)
            rest -= size
    return np.array(taken, dtype=np.int64)
