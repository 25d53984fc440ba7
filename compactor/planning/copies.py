"""Which bytes of a plan will be copied as they are encoded, and why the others will not, as far as log and surveyed footers tell. Pure.

Workers choose for each row group from its own footer (rewriting/choose.py); this says beforehand what they will find. A footer that nobody
has read counts as not copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compactor.model.engine import EngineChoice
from compactor.model.survey import FileFacts
from compactor.planning.columns import FileColumns, Int64s
from compactor.planning.groups import Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Bytes and row groups that will be copied, one element a group. not_copied: bytes of files by reason, the most first."""

    bytes: Int64s
    row_groups: Int64s
    not_copied: tuple[tuple[str, int], ...]


def copied(files: FileColumns, groups: Groups, surveyed: Mapping[int, FileFacts], choice: EngineChoice) -> Copied:
    """surveyed: facts by index into `files`."""
    size, count = np.zeros(len(groups), dtype=np.int64), np.zeros(len(groups), dtype=np.int64)
    reasons: dict[str, int] = {}
    if choice.mode not in ("auto", "stitch"):
        return Copied(bytes=size, row_groups=count, not_copied=())
    least = choice.copied_bytes if choice.mode == "auto" else 0
    group_of = np.repeat(np.arange(len(groups), dtype=np.int64), groups.counts())
    sizes = files.size_bytes[groups.members]
    deleted = files.deleted_rows[groups.members] > 0
    known = np.isin(groups.members, np.fromiter(surveyed, dtype=np.int64, count=len(surveyed)))
    unknown = ~deleted & ~known
    for code, which in (("deletes", deleted), ("small", unknown & (sizes < least)), ("not-surveyed", unknown & (sizes >= least))):
        reasons[code] = int(sizes[which].sum())
    totals = groups.sums(files.size_bytes)
    for at in np.flatnonzero(known & ~deleted).tolist():
        facts, group = surveyed[int(groups.members[at])], int(group_of[at])
        outputs = int(groups.outputs[group])
        most = int(totals[group]) * 3 // outputs // 2 if outputs > 1 else None  # workers look at what is beside a row group, too
        for row_group in facts.row_groups:
            why = facts.not_copied or _too_small_or_large(row_group.compressed_bytes, least, most)
            if why is None:
                size[group] += row_group.compressed_bytes
                count[group] += 1
            else:
                reasons[why] = reasons.get(why, 0) + row_group.compressed_bytes
    told = sorted(((code, total) for code, total in reasons.items() if total), key=lambda one: (-one[1], one[0]))
    return Copied(bytes=size, row_groups=count, not_copied=tuple(told))


def _too_small_or_large(size_bytes: int, least: int, most: int | None) -> str | None:
    if size_bytes < least:
        return "small"
    return "large" if most is not None and size_bytes > most else None
