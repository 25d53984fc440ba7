"""The judge: reads the whole table with deltalake's SQL engine, which shares no code with us, and compares it with the writer's ledger."""

from __future__ import annotations

import pyarrow as pa

from compactor.errors import ProofFailed
from compactor_cli.demo.ledger import EMPTY, Ledger, ledger_of
from compactor_cli.demo.stream import SCHEMA, TABLE, reach


def read(url: str, version: int | None = None) -> Ledger:
    """The ledger of everything the table holds at a version, by default the latest."""
    from deltalake import DeltaTable, QueryBuilder

    table = DeltaTable(TABLE, version=version, storage_options=reach(url))
    columns = ", ".join(SCHEMA.names)
    found = EMPTY
    for batch in QueryBuilder().register("events", table).execute(f"select {columns} from events"):
        found += ledger_of(pa.table(batch).cast(SCHEMA))
    return found


def compare(written: Ledger, found: Ledger) -> None:
    """Raises ProofFailed with what differs."""
    differences = written.differences(found)
    if differences:
        raise ProofFailed(f"The table does not hold what was written: {', '.join(differences)}.")
