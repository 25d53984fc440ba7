"""What a table or a folder of Parquet files holds, by DuckDB: equal digests mean equal rows, in whatever order and files.

Which files are live is asked of deltalake, so that a table is judged without any of our code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
from deltalake import DeltaTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Rows, and a sum over hashes of whole rows, all columns included."""

    rows: int
    digest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Files and bytes, which differ where rows do not."""

    files: int
    bytes: int


def live_files(table: Path) -> list[str]:
    """The data files of a Delta table's newest version, or of a folder that is none."""
    if (table / "_delta_log").exists():
        return list(DeltaTable(str(table)).file_uris())
    return sorted(str(path) for path in table.rglob("*.parquet"))


def contents(table: Path, columns: list[str]) -> Contents:
    """Rows and digest over these columns; those of a partition are read from the paths. Without columns rows are only counted."""
    named = ", ".join(f'"{name}"' for name in columns)
    digest = f"sum(hash({named})::HUGEINT)" if columns else "0"
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    query = f"SELECT count(*), {digest} FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false)"
    rows, found = connection.execute(query, [live_files(table)]).fetchone()  # type: ignore[misc]
    return Contents(rows=rows, digest=int(found or 0))


def layout(table: Path) -> Layout:
    """Live files and their bytes on disk."""
    sizes = [Path(name.removeprefix("file://")).stat().st_size for name in live_files(table)]
    return Layout(files=len(sizes), bytes=sum(sizes))
