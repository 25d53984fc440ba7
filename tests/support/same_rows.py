"""Compacts a table and holds what comes out against readers that share no code with the compactor: the tests' own, that of the public
tables, where they are present, and deltalake's SQL engine, where it can read the table; and against the protocol's rules for the entry.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import compactor
from compactor.model.run import Run, RunStatus
from compactor.storage import open_store
from support import reader
from support.delta_tables import HandTable
from support.golden import oracle
from support.protocol_check import check_entry

FORCED = compactor.Settings(executor="serial", force_rewrite=True)


def rows_of(table: HandTable | Path, *, sql: bool = True) -> dict[str, Counter[Any]]:
    """The multiset of rows by each reader that is present and can read the table. sql: deltalake is known to read such a table rightly."""
    root = table.root if isinstance(table, HandTable) else table
    found: dict[str, Counter[Any]] = {"reader": reader.rows(root)}
    if oracle is not None:
        with contextlib.suppress(ValueError):  # it wants every partition column in every map; what it cannot read the others judge
            found["oracle"] = oracle.ref_rows(str(root))
    by_sql = _by_deltalake(root) if sql else None
    if by_sql is not None:
        found["deltalake"] = by_sql
    return found


def _by_deltalake(root: Path) -> Counter[str] | None:
    from deltalake import DeltaTable, QueryBuilder

    try:
        table: Any = QueryBuilder().register("t", DeltaTable(str(root))).execute("select * from t").read_all()
        return Counter(repr(sorted(row.items())) for row in _plain(table))
    except Exception:  # noqa: BLE001 - whatever it cannot read, the other reader judges
        return None


def _plain(table: Any) -> list[dict[str, Any]]:
    import pyarrow as pa

    rows: list[dict[str, Any]] = pa.table(table).to_pylist()
    return rows


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its bytes."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def compacted(table: HandTable, settings: compactor.Settings = FORCED, *, parquet: bool = True, sql: bool = True) -> Run:
    """A run that commits: rows are the same for every reader, the entry is lawful, and `table` knows the new version."""
    before = rows_of(table, sql=sql)
    live = dict(table.adds)
    run = compactor.run(table.uri, settings=settings)
    assert run.status is RunStatus.COMMITTED, f"{run.status}: {run.reason}"
    check_entry(open_store(table.uri), run.version or 0, {_key(add): add for add in live.values()}, parquet=parquet)
    after = rows_of(table, sql=sql)
    for name, rows in before.items():
        assert after[name] == rows, f"{name} finds other rows than before"
    table.resume()
    return run


def _key(add: dict[str, Any]) -> tuple[str, str | None]:
    from support.protocol_check import key

    return key(add)


def refused(table: HandTable, reason: str, settings: compactor.Settings = FORCED) -> Run:
    """A run that is refused with exit code 3 by a sentence that holds `reason`, and leaves every byte alone."""
    before = tree(table.root)
    run = compactor.run(table.uri, settings=settings)
    assert (run.status, run.exit_code) == (RunStatus.REFUSED, 3), f"{run.status}: {run.reason}"
    assert reason in (run.reason or ""), run.reason
    assert tree(table.root) == before
    return run
