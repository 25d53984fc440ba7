"""Files whose columns or types are not those of the table today: everything that a table's past may have left in its files."""

from __future__ import annotations

import datetime
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import Action, HandTable, append, make_table, table_of
from support.same_rows import FORCED, compacted, refused, rows_of

import compactor
from compactor.model.run import RunStatus


def add_file(table: HandTable, rows: pa.Table, **options: Any) -> Action:
    """One more commit with a file of exactly these columns, under physical names, written by pyarrow with these options."""
    name = f"part-00000-{uuid.uuid4()}.parquet"
    pq.write_table(rows, table.root / name, **options)
    size = (table.root / name).stat().st_size
    stats = json.dumps({"numRecords": rows.num_rows})
    add = {"path": name, "partitionValues": {}, "size": size, "modificationTime": table.tick(), "dataChange": True, "stats": stats}
    table.commit([{"add": add}])
    return add


def output(table: HandTable) -> pa.Table:
    """The rows of the table's last file."""
    return pq.read_table(table.root / table.live()[-1]["path"])


def set_schema(table: HandTable, fields: list[Action]) -> None:
    """A new schema, by an ALTER TABLE."""
    table.fields[:] = fields
    table.metadata["schemaString"] = json.dumps({"type": "struct", "fields": fields})
    table.commit([{"metaData": table.metadata}], "ALTER TABLE")


def field(name: str, kind: Any, **metadata: Any) -> Action:
    """A field of a schema."""
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}


def test_void_columns_are_not_written(tmp_path: Path) -> None:
    """A void column, at the top or inside a struct with other fields, reads as null before and after, and is in no file."""
    table = make_table(tmp_path / "t", table_of(n=range(6), s=[{"a": i} for i in range(6)]), files=2)
    inner = {"type": "struct", "fields": [field("a", "long"), field("w", "void")]}
    set_schema(table, [field("v", "void"), field("n", "long"), field("s", inner)])
    compacted(table)
    assert output(table).schema.names == ["n", "s"]
    assert [child.name for child in output(table).schema.field("s").type] == ["a"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ([field("v", "void")], "no column"),
        ([field("n", "long"), field("v", {"type": "array", "elementType": "void", "containsNull": True})], "void"),
        ([field("n", "long"), field("v", {"type": "map", "keyType": "string", "valueType": "void", "valueContainsNull": True})], "void"),
        ([field("n", "long"), field("v", {"type": "struct", "fields": [field("a", "void")]})], "void"),
        ([field("n", "long"), field("v", {"type": "struct", "fields": []})], "without fields"),
    ],
)
def test_what_parquet_cannot_hold_is_refused(tmp_path: Path, fields: list[Action], word: str) -> None:
    """Void in arrays and maps, structs of nothing, and tables of nothing are refused with their name."""
    table = make_table(tmp_path / "t", table_of(n=range(4)), files=2)
    set_schema(table, fields)
    before = (table.log / f"{table.version:020d}.json").read_bytes()
    run = compactor.run(table.uri, settings=FORCED)
    assert (run.status, run.exit_code, word in (run.reason or "")) == (RunStatus.REFUSED, 3, True)
    assert (table.log / f"{table.version:020d}.json").read_bytes() == before


def test_files_without_rows_go(tmp_path: Path) -> None:
    """Files without rows are removed with their neighbours; where there are only such files, nothing is added."""
    table = make_table(tmp_path / "t", table_of(n=range(6)), files=2)
    for _ in range(2):
        add_file(table, table_of(n=pa.array([], pa.int64())))
    compacted(table)
    assert len(table.live()) == 1
    empty = make_table(tmp_path / "e", pa.table({"n": pa.array([], pa.int64())}))
    for _ in range(3):
        add_file(empty, pa.table({"n": pa.array([], pa.int64())}))
    run = compactor.run(empty.uri, settings=FORCED)
    empty.resume()
    assert (run.status, run.files_removed, run.files_added) == (RunStatus.COMMITTED, 3, 0)
    assert not empty.live()


def test_columns_that_are_not_the_tables_are_left_behind(tmp_path: Path) -> None:
    """Change types, strangers and columns in another order or case: outputs have the table's columns in its order and spelling."""
    table = make_table(tmp_path / "t", table_of(Name=["a", "b"], n=[1, 2]), files=1)
    add_file(table, table_of(n=[3], NAME=["c"], _change_type=["insert"]))
    add_file(table, table_of(stranger=[1.5], name=["d"], n=[4]))
    compacted(table, sql=False)  # deltalake finds columns by exact name only
    assert output(table).schema.names == ["Name", "n"]
    assert sorted(output(table)["Name"].to_pylist()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("mapping", ["name", "id"])
def test_renamed_dropped_and_added_columns(tmp_path: Path, mapping: Literal["name", "id"]) -> None:
    """Renames keep values, dropped columns go, added ones are null in older files, at the top, in structs, lists and maps."""
    inner = pa.struct([("x", pa.int64()), ("y", pa.string())])
    kinds = {"s": inner, "l": pa.list_(inner), "m": pa.map_(pa.string(), inner)}
    value = {"x": 1, "y": "why"}
    data = {"s": [value, None], "l": [[value, None], []], "m": [[("k", value)], None]}
    rows = pa.table({"n": [1, 2], **{name: pa.array(data[name], kind) for name, kind in kinds.items()}, "gone": ["g", "h"]})
    table = make_table(tmp_path / "t", rows, files=2, mapping=mapping)
    fields = [dict(one) for one in table.fields if one["name"] != "gone"]
    fields[0] = {**fields[0], "name": "number"}
    more = iter(range(50, 60))

    def evolved(struct: Action) -> Action:
        _, kept = struct["fields"]
        fresh = next(more)
        added = field("z", "date", **{"delta.columnMapping.id": fresh, "delta.columnMapping.physicalName": f"col-{fresh}"})
        return {**struct, "fields": [added, {**kept, "name": "renamed"}]}

    fields[1] = {**fields[1], "type": evolved(fields[1]["type"])}
    fields[2] = {**fields[2], "type": {**fields[2]["type"], "elementType": evolved(fields[2]["type"]["elementType"])}}
    fields[3] = {**fields[3], "type": {**fields[3]["type"], "valueType": evolved(fields[3]["type"]["valueType"])}}
    late = field("late", "decimal(9,2)", **{"delta.columnMapping.id": 49, "delta.columnMapping.physicalName": "col-49"})
    set_schema(table, [late, *fields])
    compacted(table, sql=False)  # deltalake takes fields of structs in maps by position: 1 becomes 1970-01-02
    stored = output(table)
    assert stored.schema.names == ["col-49", *(one["metadata"]["delta.columnMapping.physicalName"] for one in fields)]
    assert [value["col-4"] for value in stored["col-2"].to_pylist() if value] == ["why"]


def test_decimals_of_every_physical_type(tmp_path: Path) -> None:
    """Decimals stored as 32-bit, 64-bit or fixed bytes keep every digit, negative ones and extremes included."""
    values = {4: Decimal("-99.99"), 9: Decimal("9999999.99"), 18: Decimal("-9999999999999999.99"), 38: Decimal("9" * 36 + ".99")}
    rows = pa.table({f"d{p}": pa.array([value, None, Decimal("0.01")], pa.decimal128(p, 2)) for p, value in values.items()})
    table = make_table(tmp_path / "t", rows)
    add_file(table, rows, store_decimal_as_integer=True)
    compacted(table)
    stats = json.loads((table.log / f"{table.version:020d}.json").read_text().splitlines()[-1])["add"]["stats"]
    assert ("9" * 36 + ".99") in stats


def test_timestamps_of_every_physical_type(tmp_path: Path) -> None:
    """INT96, milliseconds, microseconds and nanoseconds, from the year 1500 to 9999, become microseconds of the same instant."""
    moments = [datetime.datetime(year, 12, 31, 23, 59, 59, 999_000, tzinfo=datetime.UTC) for year in (1500, 1969, 2024, 9999)]
    near = moments[1:3]
    kind = pa.timestamp("us", "UTC")
    table = make_table(tmp_path / "t", pa.table({"t": pa.array(moments, kind)}))
    add_file(table, pa.table({"t": pa.array(moments, kind)}), use_deprecated_int96_timestamps=True)
    add_file(table, pa.table({"t": pa.array(moments, pa.timestamp("ms", "UTC"))}))
    add_file(table, pa.table({"t": pa.array(near, pa.timestamp("ns", "UTC"))}), version="2.6")
    compacted(table)
    stored = output(table)
    assert stored.schema.field("t").type == kind
    assert sorted(stored["t"].to_pylist()) == sorted([*moments * 3, *near])


def test_timestamps_without_zone(tmp_path: Path) -> None:
    """A timestamp without zone stays one, whatever zone the machine is in, and its statistics carry no zone."""
    moment = datetime.datetime(2024, 3, 31, 2, 30, 0, 123_456)  # noqa: DTZ001 - a civil time
    rows = pa.table({"t": pa.array([moment, None], pa.timestamp("us"))})
    table = make_table(tmp_path / "t", rows, files=2, features=["timestampNtz"])
    compacted(table)
    assert output(table).schema.field("t").type == pa.timestamp("us")
    assert json.loads(table.live()[-1]["stats"])["maxValues"] == {"t": "2024-03-31T02:30:00.123"}


WIDENED = [
    ("byte", pa.int8(), [-128, 127], "short"), ("byte", pa.int8(), [-128, 127], "integer"),
    ("short", pa.int16(), [-32768, 32767], "long"),
    ("integer", pa.int32(), [-(2**31), 2**31 - 1], "long"), ("byte", pa.int8(), [-1, 1], "double"),
    ("short", pa.int16(), [-1, 1], "double"),
    ("integer", pa.int32(), [-(2**31), 2**31 - 1], "double"), ("byte", pa.int8(), [-128, 127], "decimal(4,1)"),
    ("integer", pa.int32(), [-(2**31), 2**31 - 1], "decimal(10,0)"), ("long", pa.int64(), [-(2**63), 2**63 - 1], "decimal(22,2)"),
    ("float", pa.float32(), [1.5, -0.25], "double"), ("date", pa.date32(), [datetime.date(1969, 12, 31)], "timestamp_ntz"),
    ("decimal(5,2)", pa.decimal128(5, 2), [Decimal("-999.99")], "decimal(7,3)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "kind", "values", "new"), WIDENED, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("nested", [False, True])
def test_widened_types(tmp_path: Path, old: str, kind: pa.DataType, values: list[Any], new: str, nested: bool) -> None:
    """Values written before a column, or the elements of a list, were widened become values of the new type exactly."""
    column = pa.array([values, None], pa.list_(kind)) if nested else pa.array([*values, None], kind)
    features = ["typeWidening", *(["timestampNtz"] if new == "timestamp_ntz" else [])]
    table = make_table(tmp_path / "t", pa.table({"c": column}), files=2, features=features)
    change = {"fromType": old, "toType": new, **({"fieldPath": "element"} if nested else {})}
    spelled = {"type": "array", "elementType": new, "containsNull": True} if nested else new
    set_schema(table, [field("c", spelled, **{"delta.typeChanges": [change]})])
    compacted(table)


def test_a_type_change_that_is_not_in_the_list_is_refused(tmp_path: Path) -> None:
    """A recorded type change that loses values refuses the table by the feature's name, nested or not."""
    table = make_table(tmp_path / "t", table_of(c=[1, 2]), files=2, features=["typeWidening"])
    change = {"fromType": "long", "toType": "double", "fieldPath": "element"}
    kind = {"type": "array", "elementType": "double", "containsNull": True}
    set_schema(table, [field("c", kind, **{"delta.typeChanges": [change]})])
    refused(table, "long to double")


def test_a_file_that_cannot_be_the_columns_type_stays(tmp_path: Path) -> None:
    """A file whose column is of a type that could only be guessed at stays, with a warning; the rest is compacted."""
    table = make_table(tmp_path / "t", table_of(n=range(60)), files=6)
    odd = add_file(table, table_of(n=["text"]))
    settings = FORCED.model_copy(update={"force_rewrite": False})
    run = compactor.run(table.uri, settings=settings)
    table.resume()
    assert (run.status, run.files_removed, run.exit_code) == (RunStatus.COMMITTED, 6, 0)
    assert [odd["path"] in warning for warning in run.warnings] == [True]


def test_missing_columns_stay_null_whatever_their_default(tmp_path: Path) -> None:
    """A column added with a default reads as null in older files and stays null."""
    table = make_table(tmp_path / "t", table_of(n=range(4)), files=2, features=["allowColumnDefaults"])
    set_schema(table, [*table.fields, field("d", "long", CURRENT_DEFAULT="7")])
    append(table, table_of(n=[9]))
    before = rows_of(table)
    compacted(table)
    assert rows_of(table) == before
    assert output(table)["d"].null_count == 5


def test_nanoseconds_are_not_cut(tmp_path: Path) -> None:
    """A timestamp between two microseconds, which readers cut in different ways, keeps its group as it is, with the reason."""
    table = make_table(tmp_path / "t", pa.table({"t": pa.array([0], pa.timestamp("us", "UTC"))}))
    for nanos in ([1_000, -1_000], [-1]):
        add_file(table, pa.table({"t": pa.array(nanos, pa.timestamp("ns", "UTC"))}), version="2.6")
    run = compactor.run(str(table.root), settings=compactor.Settings(force_rewrite=True, executor="serial"))
    assert run.files_removed == 0
    assert "finer than the table's microseconds" in (run.reason or "")
