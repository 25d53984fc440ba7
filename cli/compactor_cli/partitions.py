"""Names of partitions, for people and programs."""

from __future__ import annotations

from compactor.model.snapshot import Snapshot


def partition_map(snapshot: Snapshot, partition_id: int) -> dict[str, str | None]:
    """Column name to value, as the log writes it; empty for a table without partitions."""
    return {
        column.name: snapshot.partitions.column(column.physical_name)[partition_id].as_py() or None for column in snapshot.partition_columns
    }


def partition_name(snapshot: Snapshot, partition_id: int) -> str:
    """`day=2026-01-01/region=eu`, or `(whole table)`."""
    pairs = partition_map(snapshot, partition_id).items()
    return "/".join(f"{name}={'null' if value is None else value}" for name, value in pairs) or "(whole table)"
