"""Whether a table is worth compacting now, and why: a Decision. Pure.

`decide` looks at Health alone, before a footer is read or a plan is made; it never skips a table for which a plan would have groups.
`confirm` has the last word once there is a plan.
"""

from __future__ import annotations

import pyarrow.compute as pc

from compactor.model.health import Compact, Decision, Health, Skip
from compactor.model.plan import LeftOut, Plan
from compactor.model.policy import Policy
from compactor.planning.describe import REASON_NOUNS
from compactor.units import format_bytes


def decide(health: Health, policy: Policy) -> Decision:
    """Compact with what is wrong, or Skip: `empty` (no live files) or `healthy`."""
    if health.files == 0:
        return Skip(reason="empty", why="The table has no live files.")
    if policy.force_rewrite:
        return Compact(why=f"A rewrite of {_of(health.files, health.files)} is forced.")
    if policy.purge:
        return Compact(why="A purge of deleted rows and dropped columns is asked for.")
    mergeable = (pc.max(health.partitions["small_files"]).as_py() or 0) > 1
    found = []
    if mergeable:
        limit = format_bytes(policy.small_ratio * health.target_bytes)
        found.append(f"{_of(health.small_files, health.files)} are smaller than {limit}")
    if health.oversized_files:
        limit = format_bytes(policy.oversized_ratio * health.target_bytes)
        found.append(f"{_of(health.oversized_files, health.files)} are larger than {limit}")
    if health.deletes_heavy_files:
        found.append(f"{_of(health.deletes_heavy_files, health.files)} have more than {policy.max_deleted_ratio:.0%} of their rows deleted")
    if health.indebted_files:
        share = f"more than {policy.max_encode_debt:.0%} of their bytes in small row groups that were copied"
        found.append(f"{_of(health.indebted_files, health.files)} have {share}")
    if found:
        return Compact(why="; ".join(found) + ".")
    alone = ", and no partition has two small ones" if health.small_files else ""
    return Skip(reason="healthy", why=f"None of {health.files:,} files needs a rewrite for {format_bytes(health.target_bytes)}{alone}.")


def confirm(decision: Decision, plan: Plan) -> Decision:
    """The decision once the plan is known: a plan without groups is a Skip (`healthy`, or `nothing-to-plan` when some files wait)."""
    if isinstance(decision, Skip) or len(plan):
        return decision
    waiting = [f"{count:,} {REASON_NOUNS[why]}" for why, count in plan.left_out if why is not LeftOut.RIGHT_SIZE]
    if _all_pure(plan):
        return Skip(reason="healthy", why="No file holds deleted rows or dropped columns.")
    if not waiting:
        return Skip(reason="healthy", why="Every file has a good size.")
    return Skip(reason="nothing-to-plan", why=f"No group can be made: {', '.join(waiting)}.")


def _all_pure(plan: Plan) -> bool:
    """Whether every file is left out because there is nothing in it to purge."""
    return bool(plan.left_out) and {why for why, _ in plan.left_out} == {LeftOut.NOTHING_TO_PURGE}


def _of(some: int, all_files: int) -> str:
    return f"{some:,} of {all_files:,} files"
