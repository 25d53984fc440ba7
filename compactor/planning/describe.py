"""Every reason for leaving a file out, in words: a noun phrase for counts and a sentence for one file. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from compactor.model.plan import LeftOut

REASON_NOUNS: Mapping[LeftOut, str] = MappingProxyType(
    {
        LeftOut.RIGHT_SIZE: "of the right size",
        LeftOut.TOO_FEW: "with too few small neighbours",
        LeftOut.TOO_YOUNG: "too young",
        LeftOut.OTHER_PARTITION: "in partitions that were not selected",
        LeftOut.FINISHED: "finished by an earlier compaction",
        LeftOut.WRITE_AMPLIFICATION: "held by the bound on rewrites",
        LeftOut.GROUP_CAP: "beyond the cap on groups",
        LeftOut.BYTE_CAP: "beyond the cap on bytes",
        LeftOut.UNREADABLE: "that must not be rewritten",
        LeftOut.INDIVISIBLE: "oversized with a single row",
    }
)

REASON_SENTENCES: Mapping[LeftOut, str] = MappingProxyType(
    {
        LeftOut.RIGHT_SIZE: "The file is neither small nor oversized and few of its rows are deleted.",
        LeftOut.TOO_FEW: "Its partition has too few small files to be worth a rewrite, and together they are still small.",
        LeftOut.TOO_YOUNG: "It landed more recently than the minimum age allows.",
        LeftOut.OTHER_PARTITION: "The partition filter does not select its partition.",
        LeftOut.FINISHED: "A compaction finished it for a comparable target size; it came out smaller or larger than predicted.",
        LeftOut.WRITE_AMPLIFICATION: "Its bytes are rewritten again only with new files that fill a target, or the bound is reached.",
        LeftOut.GROUP_CAP: "Its group came after the largest number of groups that one run may rewrite.",
        LeftOut.BYTE_CAP: "Its group did not fit into the bytes that one run may rewrite.",
        LeftOut.UNREADABLE: "Its footer or the table format says that it must not be rewritten.",
        LeftOut.INDIVISIBLE: "It is oversized but holds a single row, which cannot be divided.",
    }
)
