"""Every reason for leaving a file out, in words: a noun phrase for counts, a sentence for one file, and what would change it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from compactor.model.plan import LeftOut
from compactor.model.policy import Policy
from compactor.planning.classify import BUSY_FILES, CONTESTED_FILES
from compactor.units import format_bytes, format_seconds

REASON_NOUNS: Mapping[LeftOut, str] = MappingProxyType(
    {
        LeftOut.RIGHT_SIZE: "of the right size",
        LeftOut.TOO_FEW: "with too few small neighbours",
        LeftOut.TOO_YOUNG: "too young",
        LeftOut.BUSY: "in partitions that others write to",
        LeftOut.OTHER_PARTITION: "in partitions that were not selected",
        LeftOut.FINISHED: "finished by an earlier compaction",
        LeftOut.WRITE_AMPLIFICATION: "held by the bound on rewrites",
        LeftOut.GROUP_CAP: "beyond the cap on groups",
        LeftOut.BYTE_CAP: "beyond the cap on bytes",
        LeftOut.UNREADABLE: "that must not be rewritten",
        LeftOut.QUARANTINED: "found damaged by an earlier run",
        LeftOut.INDIVISIBLE: "oversized with a single row",
        LeftOut.NOTHING_TO_PURGE: "with nothing to purge",
        LeftOut.CLUSTERED: "that are clustered",
    }
)

REASON_SENTENCES: Mapping[LeftOut, str] = MappingProxyType(
    {
        LeftOut.RIGHT_SIZE: "The file is neither small nor oversized and few of its rows are deleted.",
        LeftOut.TOO_FEW: "Its partition has too few small files to be worth a rewrite, and together they are still small.",
        LeftOut.TOO_YOUNG: "It landed more recently than the minimum age allows.",
        LeftOut.BUSY: "Others wrote to its partition more recently than the quiet period allows, and a rewrite might make them begin anew.",
        LeftOut.OTHER_PARTITION: "The partition filter does not select its partition.",
        LeftOut.FINISHED: "A compaction finished it for a comparable target size; it came out smaller or larger than predicted.",
        LeftOut.WRITE_AMPLIFICATION: "Its bytes are rewritten again only with new files that fill a target, or the bound is reached.",
        LeftOut.GROUP_CAP: "Its group came after the largest number of groups that one run may rewrite.",
        LeftOut.BYTE_CAP: "Its group did not fit into the bytes that one run may rewrite.",
        LeftOut.UNREADABLE: "Its footer or the table format says that it must not be rewritten.",
        LeftOut.QUARANTINED: "An earlier run found it damaged.",
        LeftOut.INDIVISIBLE: "It is oversized but holds a single row, which cannot be divided.",
        LeftOut.NOTHING_TO_PURGE: "It holds neither deleted rows nor columns that the schema no longer has.",
        LeftOut.CLUSTERED: "The table's clustering placed its rows, and a plain rewrite would undo that.",
    }
)


def what_would_change(
    reason: LeftOut, policy: Policy, target_bytes: int, waiting: tuple[int, int] | None = None, generation: int | None = None
) -> str:
    """What would bring a file that is left out for `reason` into a plan, with the numbers in force.

    waiting: files, and their bytes, of its partition that are too few; None when several partitions are meant. generation: of the file;
    None when several are meant.
    """
    small, large = format_bytes(policy.small_ratio * target_bytes), format_bytes(policy.oversized_ratio * target_bytes)
    match reason:
        case LeftOut.RIGHT_SIZE:
            deleted = f"more than {policy.max_deleted_ratio:.0%} of its rows deleted"
            return f"It would be planned below {small}, above {large}, with {deleted}, or with --force-rewrite."
        case LeftOut.TOO_FEW:
            return _more_files(policy, target_bytes, waiting)
        case LeftOut.TOO_YOUNG:
            return f"Wait until it has been there for {format_seconds(policy.min_age_s)}, or choose a shorter --min-age."
        case LeftOut.BUSY:
            quiet = f"Wait until nobody has written to its partition for {format_seconds(policy.quiet_s)}"
            many = f"{BUSY_FILES} of its files want a rewrite ({CONTESTED_FILES:,} where rows are changed)"
            return f"{quiet}, or until {many}, or choose a shorter --quiet-period."
        case LeftOut.OTHER_PARTITION:
            return f"Plan without --where, or with one that selects its partition (now: {policy.where.text if policy.where else '-'})."
        case LeftOut.FINISHED:
            return "A target more than twice that for which it was finished, or less than half of it, or --force-rewrite."
        case LeftOut.WRITE_AMPLIFICATION:
            return _more_rewrites(policy, target_bytes, generation)
        case LeftOut.GROUP_CAP:
            return f"Run again, or allow more than {policy.max_groups} groups with --max-groups."
        case LeftOut.BYTE_CAP:
            return f"Run again, or allow more than {format_bytes(policy.max_bytes or 0)} with --max-bytes."
        case LeftOut.UNREADABLE:
            return "Nothing here: the file itself, or the table's format, stands against it."
        case LeftOut.QUARANTINED:
            return "Restore the file or remove it from the table; --accept-damage tries it again."
        case LeftOut.INDIVISIBLE:
            return "Nothing: a single row cannot be divided."
        case LeftOut.NOTHING_TO_PURGE:
            return "Plan without --purge, which rewrites only files with deleted rows or dropped columns."
        case LeftOut.CLUSTERED:
            return "Nothing here: the engine that clusters the table rewrites its clustered files."


def _more_rewrites(policy: Policy, target_bytes: int, generation: int | None) -> str:
    bound, filled = policy.max_write_amplification, f"reach {format_bytes(0.75 * target_bytes)} together with new ones"
    if generation is None:
        return f"Files rewritten less than {bound} times join once they {filled}; others need a larger --max-write-amplification."
    more = f"--max-write-amplification {generation + 2}"
    if generation >= bound:
        return f"It has been rewritten {generation} times; only {more} or --force-rewrite would do it again."
    return f"It joins once the small files of its partition {filled}, or with {more}."


def _more_files(policy: Policy, target_bytes: int, waiting: tuple[int, int] | None) -> str:
    enough = policy.small_ratio * target_bytes
    if waiting is None:
        least = f"At least {policy.min_input_files} small files in its partition"
        return f"{least}, or {format_bytes(enough)} together, or a smaller --min-input-files."
    files, size = waiting
    more = max(1, policy.min_input_files - files)
    lower = f", or --min-input-files {files}" if files >= 2 else ""
    have = f"{files:,} small file{'' if files == 1 else 's'} of {format_bytes(size)} wait{'s' if files == 1 else ''}"
    return f"{have} there: {more:,} more, or {format_bytes(max(0, enough - size))} more{lower}."
