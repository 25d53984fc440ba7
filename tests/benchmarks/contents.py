"""What a table holds, by a reader of its own (DuckDB over the files that deltalake names): equal digests mean equal rows."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
from deltalake import DeltaTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Rows, and a sum over hashes of whole rows, all columns included; files and bytes are of the layout and differ."""

    rows: int
    digest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    files: int
    bytes: int


def contents(uri: str) -> Contents:
    """The table's newest version."""
    table = DeltaTable(uri)
    columns = ", ".join(f'"{field.name}"' for field in table.schema().fields)
    query = f"SELECT count(*), sum(hash({columns})::HUGEINT) FROM read_parquet(?)"
    rows, digest = duckdb.connect().execute(query, [table.file_uris()]).fetchone()  # type: ignore[misc]
    return Contents(rows=rows, digest=int(digest))


def layout(uri: str) -> Layout:
    """Live files of the newest version."""
    sizes = DeltaTable(uri).get_add_actions()["size_bytes"].to_pylist()
    return Layout(files=len(sizes), bytes=sum(sizes))
