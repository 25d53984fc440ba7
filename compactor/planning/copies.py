"""Which bytes of a plan will be copied as they are encoded or merged page by page, and why the others will not. Pure.

Workers choose for each file and row group from its own footer (rewriting/choose.py, rewriting/fuse.py); this says beforehand what they will
find, as far as log and surveyed footers tell. A footer that nobody has read counts as not copied, and as nothing against merging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compactor.model.engine import EngineChoice
from compactor.model.survey import FileFacts
from compactor.planning.columns import Bools, FileColumns, Int64s
from compactor.planning.cost import Assumptions
from compactor.planning.groups import Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Bytes and row groups that will be copied, and bytes that will be merged, one element a group. surely: of the bytes that are copied
    those that no end of an output can divide. not_copied: bytes of files by reason that are neither, the most first."""

    bytes: Int64s
    surely: Int64s
    row_groups: Int64s
    merged: Int64s
    not_copied: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Members:
    """Files of the groups, one element each. most: half of an output; merged: whether a file is merged with others."""

    group: Int64s
    sizes: Int64s
    deleted: Bools
    known: Bools
    most: Int64s
    merged: Bools


def copied(files: FileColumns, groups: Groups, surveyed: Mapping[int, FileFacts], assumed: Assumptions, whole_bytes: int) -> Copied:
    """surveyed: facts by index into `files`. whole_bytes: a larger file is not read at once, and so not merged."""
    size, surely, count, merged = (np.zeros(len(groups), dtype=np.int64) for _ in range(4))
    choice = assumed.engine
    if choice.mode == "transcode":
        return Copied(bytes=size, surely=surely, row_groups=count, merged=merged, not_copied=())
    members = _members(files, groups, surveyed, assumed, whole_bytes)
    np.add.at(merged, members.group[members.merged], members.sizes[members.merged])
    reasons = _unknown(members, assumed)
    for at in np.flatnonzero(members.known & ~members.deleted & ~members.merged).tolist():
        facts, group = surveyed[int(groups.members[at])], int(members.group[at])
        for row_group in facts.row_groups:
            why = facts.not_copied or ("large" if row_group.compressed_bytes // 3 > members.most[at] else None)
            if choice.mode == "fuse" or row_group.compressed_bytes < _least(choice):
                why = assumed.not_merged or "large"
            if why is None:
                size[group] += row_group.compressed_bytes
                surely[group] += row_group.compressed_bytes if row_group.compressed_bytes <= members.most[at] else 0
                count[group] += 1
            else:
                reasons[why] = reasons.get(why, 0) + row_group.compressed_bytes
    told = sorted(((code, total) for code, total in reasons.items() if total), key=lambda one: (-one[1], one[0]))
    return Copied(bytes=size, surely=surely, row_groups=count, merged=merged, not_copied=tuple(told))


def _least(choice: EngineChoice) -> int:
    return choice.copied_bytes if choice.mode == "auto" else 0


def _members(files: FileColumns, groups: Groups, surveyed: Mapping[int, FileFacts], assumed: Assumptions, whole_bytes: int) -> _Members:
    choice = assumed.engine
    group = np.repeat(np.arange(len(groups), dtype=np.int64), groups.counts())
    shares = groups.sums(files.size_bytes) // np.maximum(1, groups.outputs) // 2
    most = np.where(groups.outputs > 1, shares, np.iinfo(np.int64).max)[group]
    sizes = files.size_bytes[groups.members]
    deleted = files.deleted_rows[groups.members] > 0
    merges = choice.mode in ("auto", "fuse") and assumed.not_merged is None
    small = sizes < (choice.copied_bytes if choice.mode == "auto" else np.iinfo(np.int64).max)
    return _Members(
        group=group,
        sizes=sizes,
        deleted=deleted,
        known=np.isin(groups.members, np.fromiter(surveyed, dtype=np.int64, count=len(surveyed))),
        most=most,
        merged=small & ~deleted & (sizes <= np.minimum(most, whole_bytes)) & merges,
    )


def _unknown(members: _Members, assumed: Assumptions) -> dict[str, int]:
    """Bytes of files that are neither copied nor merged, by reason, as far as that can be told without their footers."""
    rest = ~members.deleted & ~members.known & ~members.merged
    unsurveyed = rest & (members.sizes >= _least(assumed.engine)) & (assumed.engine.mode != "fuse")
    by_code = {"deletes": members.deleted, assumed.not_merged or "large": rest & ~unsurveyed, "not-surveyed": unsurveyed}
    return {code: int(members.sizes[which].sum()) for code, which in by_code.items()}
