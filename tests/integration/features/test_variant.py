"""Variants are copied bit for bit; a file that holds them shredded, or that cannot be read rightly, stays as it is, and only that file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import VARIANT, Action, HandTable, append, make_table, mask_rows, table_of, variants
from support.same_rows import FORCED, compacted, rows_of, tree

import compactor
from compactor.model.plan import LeftOut
from compactor.model.run import RunStatus

FEATURES = ["appendOnly", "deletionVectors", "invariants", "variantShredding-preview", "variantType"]
UNFORCED = FORCED.model_copy(update={"force_rewrite": False})


def rows(count: int, start: int = 0) -> pa.Table:
    """Numbered rows with a variant at the top, in a struct, in a list and in a map; some are null."""
    flat = variants([None if i % 4 == 1 else bytes([12, i % 250]) for i in range(start, start + count)])
    nested = pa.StructArray.from_arrays([flat], fields=[pa.field("v", VARIANT)], mask=pa.array([i % 5 == 2 for i in range(count)]))
    listed = pa.ListArray.from_arrays(list(range(count + 1)), flat)
    paired = pa.MapArray.from_arrays(list(range(count + 1)), pa.array([f"k{i}" for i in range(count)]), flat)
    return pa.table({"n": pa.array(range(start, start + count)), "v": flat, "s": nested, "l": listed, "m": paired})


def shred(table: HandTable, add: Action) -> None:
    """Replace the file of a live add by one that holds the same variant column shredded."""
    path = table.root / add["path"]
    stored = pq.read_table(path)
    kind = pa.struct([pa.field("metadata", pa.binary(), False), pa.field("value", pa.binary()), pa.field("typed_value", pa.int64())])
    values = pa.array([{"metadata": b"\x01\x00", "value": None, "typed_value": i} for i in range(stored.num_rows)], kind)
    at = stored.schema.get_field_index("v")
    pq.write_table(stored.set_column(at, pa.field("v", kind), values), path)
    table.commit([{"add": {**add, "size": path.stat().st_size}}])


@pytest.mark.parametrize("mapping", ["none", "name", "id"])
def test_variants_at_any_depth_are_copied(tmp_path: Path, mapping: Literal["none", "name", "id"]) -> None:
    """Variants keep their bytes, wherever they are nested and whichever rows are deleted; files that lack the columns give nulls."""
    features = FEATURES if mapping == "none" else [*FEATURES, "columnMapping"]
    table = make_table(tmp_path / "t", rows(40), files=4, features=features, mapping=mapping)
    append(table, table_of(n=[100, 101]))
    mask_rows(table, table.live()[1], [0, 3])
    compacted(table)
    assert len(table.live()) == 1


def test_outputs_hold_plain_variants(tmp_path: Path) -> None:
    """In an output a variant is a group of two required binaries and nothing else, as Spark demands; its statistics count nulls."""
    table = make_table(
        tmp_path / "t", rows(8), files=2, features=[*FEATURES, "checkConstraints"], properties={"delta.enableVariantShredding": "true"}
    )
    compacted(table)
    add = table.live()[0]
    schema: Any = pq.ParquetFile(table.root / add["path"]).schema_arrow
    kind = schema.field("v").type
    assert [(child.name, child.type, child.nullable) for child in kind] == [("metadata", pa.binary(), False), ("value", pa.binary(), False)]
    assert '"v":2' in add["stats"]


@pytest.mark.parametrize("forced", [True, False])
def test_only_the_shredded_file_stays(tmp_path: Path, forced: bool) -> None:
    """Of eight files the two shredded ones stay, with their reason in the plan; the others become one; a second run finds nothing."""
    table = make_table(tmp_path / "t", rows(80), files=8, features=FEATURES)
    for add in table.live()[2:4]:
        shred(table, add)
    shredded = {add["path"] for add in table.live() if add in table.live()[2:4]}
    settings = FORCED if forced else UNFORCED
    plan = compactor.plan(table.uri, settings=settings)
    assert dict(plan.left_out) == {LeftOut.UNREADABLE: 2}
    compacted(table, settings)
    assert len(table.live()) == 3
    assert shredded < {add["path"] for add in table.live()}
    again = compactor.run(table.uri, settings=UNFORCED)
    assert (again.status, again.exit_code) == (RunStatus.NOTHING_TO_DO, 0)


def test_a_table_of_shredded_files_is_left_alone(tmp_path: Path) -> None:
    """A table whose every file is shredded gives nothing to do, with exit code 0 and a reason, and keeps every byte."""
    table = make_table(tmp_path / "t", rows(20), files=2, features=FEATURES)
    for add in table.live():
        shred(table, add)
    before = tree(table.root)
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.exit_code) == (RunStatus.NOTHING_TO_DO, 0)
    assert tree(table.root) == before


def unnumbered(table: HandTable, add: Action) -> None:
    """Take the field ids out of a live file."""
    path = table.root / add["path"]
    stored = pq.read_table(path)
    plain = pa.schema([pa.field(field.name, field.type) for field in stored.schema])
    pq.write_table(pa.Table.from_arrays(stored.columns, schema=plain), path, store_schema=False)
    table.commit([{"add": {**add, "size": path.stat().st_size}}])


def test_files_without_ids_stay_in_id_mode(tmp_path: Path) -> None:
    """Where columns are found by id, a file without ids stays, with a warning that names it; the rest of its group is committed."""
    table = make_table(tmp_path / "t", table_of(n=range(70), s=["a"] * 70), files=7, mapping="id")
    unnumbered(table, table.live()[3])
    odd = table.live()[3]["path"]
    others = {add["path"] for add in table.live()} - {odd}
    run = compactor.run(table.uri, settings=UNFORCED)
    table.resume()
    assert (run.status, run.files_removed, run.files_added, run.rows) == (RunStatus.COMMITTED, 6, 1, 60)
    assert [odd in warning for warning in run.warnings if "field ids" in warning] == [True]
    live = {add["path"] for add in table.live()}
    assert odd in live
    assert not live & others
    again = compactor.run(table.uri, settings=UNFORCED)
    assert (again.status, again.exit_code) == (RunStatus.NOTHING_TO_DO, 0)


def test_one_readable_file_is_not_copied_for_nothing(tmp_path: Path) -> None:
    """When leaving files out leaves a single one without deletes, nothing is written and nothing committed."""
    table = make_table(tmp_path / "t", table_of(n=range(10)), files=2, mapping="id")
    unnumbered(table, table.live()[1])
    before, data = rows_of(table), {name for name in tree(table.root) if name.endswith(".parquet")}
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.exit_code, run.groups_committed) == (RunStatus.NOTHING_TO_DO, 0, 0)
    assert rows_of(table) == before
    assert {name for name in tree(table.root) if name.endswith(".parquet")} == data
