"""Names of partitions, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable

from compactor.model.plan import SavedPlan
from compactor.model.snapshot import Snapshot

Places = Snapshot | SavedPlan
"""What partition ids refer to: a snapshot, or a plan that has left its own behind."""


def partition_map(snapshot: Places, partition_id: int) -> dict[str, str | None]:
    """Column name to value, as the log writes it; empty for a table without partitions."""
    if isinstance(snapshot, SavedPlan):
        return {name: snapshot.partitions[name][partition_id].as_py() or None for name in snapshot.partitions.column_names}
    return {
        column.name: snapshot.partitions.column(column.physical_name)[partition_id].as_py() or None for column in snapshot.partition_columns
    }


def partition_name(snapshot: Places, partition_id: int) -> str:
    """`day=2026-01-01/region=eu`, or `(whole table)`."""
    return joined(partition_map(snapshot, partition_id).items())


def joined(pairs: Iterable[tuple[str, str | None]]) -> str:
    """Columns and values as the name of a partition."""
    return "/".join(f"{name}={'null' if value is None else value}" for name, value in pairs) or "(whole table)"
