"""A purge rewrites exactly the files that hold deleted rows or dropped columns, and says so in the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import HandTable, make_table, mask_rows, table_of
from support.same_rows import FORCED, compacted, tree

import compactor
from compactor.model.plan import LeftOut
from compactor.model.run import RunStatus

PURGE = FORCED.model_copy(update={"force_rewrite": False, "purge": True})
FEATURES = ["appendOnly", "columnMapping", "deletionVectors", "invariants"]


def paths(table: HandTable) -> set[str]:
    """Paths of the live files."""
    return {add["path"] for add in table.live()}


def drop_column(table: HandTable, name: str) -> None:
    """ALTER TABLE DROP COLUMN: only the schema changes."""
    table.fields[:] = [field for field in table.fields if field["name"] != name]
    table.metadata["schemaString"] = json.dumps({"type": "struct", "fields": table.fields})
    table.commit([{"metaData": table.metadata}], "DROP COLUMNS")


def stored_columns(table: HandTable) -> set[tuple[str, ...]]:
    """The sets of columns that live files hold."""
    return {tuple(pq.read_schema(table.root / unquote(add["path"])).names) for add in table.live()}


def test_only_files_with_deleted_rows_are_purged(tmp_path: Path) -> None:
    """One deleted row is enough for a file, even alone, and files without any stay; a second purge finds nothing and writes nothing."""
    table = make_table(tmp_path / "t", table_of(n=range(100)), files=10, features=FEATURES)
    masked = mask_rows(table, table.live()[4], [3])
    others = paths(table) - {masked["path"]}
    assert dict(compactor.plan(table.uri, settings=PURGE).left_out) == {LeftOut.NOTHING_TO_PURGE: 9}
    run = compacted(table, PURGE)
    assert (run.files_removed, run.files_added, run.rows) == (1, 1, 9)
    assert others < paths(table)
    assert not any("deletionVector" in add for add in table.live())
    before = tree(table.root)
    again = compactor.run(table.uri, settings=PURGE)
    assert (again.status, again.exit_code) == (RunStatus.NOTHING_TO_DO, 0)
    assert tree(table.root) == before


def test_the_log_says_that_it_was_a_purge(tmp_path: Path) -> None:
    """The entry of a purge is a REORG with applyPurge, that of any other run an OPTIMIZE."""
    table = make_table(tmp_path / "t", table_of(n=range(20)), files=2, features=FEATURES)
    mask_rows(table, table.live()[0], [0])

    def info() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((table.log / f"{table.version:020d}.json").read_text().splitlines()[0])["commitInfo"]
        return found

    compacted(table, PURGE)
    assert (info()["operation"], info()["operationParameters"]) == ("REORG", {"predicate": "[]", "applyPurge": True})
    compacted(table, FORCED)
    assert info()["operation"] == "OPTIMIZE"


@pytest.mark.parametrize("mapping", ["name", "id"])
def test_dropped_columns_leave_the_files(tmp_path: Path, mapping: Literal["name", "id"]) -> None:
    """After a column was dropped, every file that still holds it is rewritten without it, and files written since stay."""
    rows = table_of(n=range(30), secret=["s"] * 30)
    table = make_table(tmp_path / "t", rows, files=3, features=FEATURES, mapping=mapping)
    old = paths(table)
    drop_column(table, "secret")
    later = make_table(tmp_path / "other", table_of(n=range(100, 110)), features=FEATURES, mapping=mapping).live()[0]
    (table.root / later["path"]).write_bytes((tmp_path / "other" / later["path"]).read_bytes())
    table.commit([{"add": later}])
    compacted(table, PURGE)
    assert not old & paths(table)
    assert later["path"] in paths(table)
    assert stored_columns(table) == {("col-1",)}


def test_dropped_fields_of_structs_count(tmp_path: Path) -> None:
    """A field dropped from a struct in a list is a dropped column too."""
    kind = pa.list_(pa.struct([("a", pa.int64()), ("b", pa.int64())]))
    table = make_table(
        tmp_path / "t", pa.table({"n": [1, 2], "l": pa.array([[{"a": 1, "b": 2}], None], kind)}), files=2, features=FEATURES, mapping="name"
    )
    table.fields[1]["type"]["elementType"]["fields"].pop()
    table.metadata["schemaString"] = json.dumps({"type": "struct", "fields": table.fields})
    table.commit([{"metaData": table.metadata}], "DROP COLUMNS")
    run = compacted(table, PURGE)
    assert run.files_removed == 2


def test_partition_and_row_id_columns_are_nothing_to_purge(tmp_path: Path) -> None:
    """Partition columns that files hold themselves and columns of row ids are not dropped columns."""
    properties = {
        "delta.enableRowTracking": "true",
        "delta.rowTracking.materializedRowIdColumnName": "_i",
        "delta.rowTracking.materializedRowCommitVersionColumnName": "_v",
    }
    features = ["appendOnly", "domainMetadata", "rowTracking", "materializePartitionColumns"]
    rows = table_of(n=range(8), p=["a"] * 8)
    table = make_table(tmp_path / "t", rows, files=2, partition_by=["p"], features=features, properties=properties)
    compacted(table)
    assert stored_columns(table) == {("n", "p", "_i", "_v")}
    for change in ({"delta.enableRowTracking": "false"}, {}):
        table.metadata["configuration"] = {**properties, **change}
        table.commit([{"metaData": table.metadata}])
        run = compactor.run(table.uri, settings=PURGE)
        assert (run.status, run.exit_code) == (RunStatus.NOTHING_TO_DO, 0)


def test_a_damaged_footer_is_not_passed_over(tmp_path: Path) -> None:
    """A file whose footer cannot be read ends a purge with exit code 6 and its name: nobody may believe that it was purged."""
    table = make_table(tmp_path / "t", table_of(n=range(20)), files=2, features=FEATURES)
    bad = table.live()[1]
    path = table.root / bad["path"]
    path.write_bytes(path.read_bytes()[:-6] + b"broken")
    run = compactor.run(table.uri, settings=PURGE)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 6)
    assert bad["path"] in (run.reason or "")
