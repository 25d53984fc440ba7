"""Names of partitions, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable

from compactor.model.plan import Plan


def partition_map(plan: Plan, partition_id: int) -> dict[str, str | None]:
    """Column name to value, as the log writes it; empty for a table without partitions."""
    return {name: plan.partitions[name][partition_id].as_py() or None for name in plan.partitions.column_names}


def partition_name(plan: Plan, partition_id: int) -> str:
    """`day=2026-01-01/region=eu`, or `(whole table)`."""
    return joined(partition_map(plan, partition_id).items())


def joined(pairs: Iterable[tuple[str, str | None]]) -> str:
    """Columns and values as the name of a partition."""
    return "/".join(f"{name}={'null' if value is None else value}" for name, value in pairs) or "(whole table)"
