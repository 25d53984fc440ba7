"""Tables whose files must hold their partition columns: Iceberg compatibility, the feature that materialises them, and the property."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.delta_tables import HandTable, append, make_table, mask_rows, table_of
from support.same_rows import compacted, refused

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - a civil time
COMPAT = {1: ["icebergCompatV1", "columnMapping"], 2: ["icebergCompatV2", "columnMapping"]}
PARTITIONS = {
    "byte": (pa.int8(), -128, "-128"), "short": (pa.int16(), 7, "7"), "integer": (pa.int32(), -1, "-1"),
    "long": (pa.int64(), 2**60, str(2**60)),
    "float": (pa.float32(), 1.5, "1.5"), "double": (pa.float64(), float("inf"), "Infinity"), "boolean": (pa.bool_(), True, "true"),
    "string": (pa.string(), "a/b %ü", "a/b %ü"), "binary": (pa.binary(), b"\x01\x02", "\x01\x02"), "date": (pa.date32(), DAY, "2024-02-29"),
    "decimal": (pa.decimal128(20, 3), Decimal("-12345678901234567.890"), "-12345678901234567.89"),
    "timestamp": (pa.timestamp("us", "UTC"), MOMENT.replace(tzinfo=datetime.UTC), "1969-12-31T23:59:59.999999Z"),
    "timestamp_ntz": (pa.timestamp("us"), MOMENT, "1969-12-31 23:59:59.999999"),
}  # fmt: skip


def newest(table: HandTable) -> tuple[dict[str, Any], pq.ParquetFile]:
    """The last add and its file."""
    add = table.live()[-1]
    from urllib.parse import unquote

    return add, pq.ParquetFile(table.root / unquote(add["path"]))


def partitioned_by(root: Path, kind: pa.DataType, values: dict[Any, str | None], **more: Any) -> HandTable:
    """A table of four files, two for each of two partition values, which the log spells as told."""
    keys = list(values)
    rows = pa.table({"n": range(20), "p": pa.array([keys[i % 2] for i in range(20)], kind), "s": ["x"] * 20})
    table = make_table(root, rows, files=2, partition_by=["p"], **more)
    physical = table.fields[1]["metadata"].get("delta.columnMapping.physicalName", "p")
    spelled = [{**add, "partitionValues": {physical: values[keys[i % 2]]}} for i, add in enumerate(table.live())]
    (table.log / f"{0:020d}.json").unlink()
    table.version, table.adds = -1, {}
    table.commit([{"protocol": table.protocol}, {"metaData": table.metadata}, *({"add": add} for add in spelled)])
    return table


@pytest.mark.parametrize("name", PARTITIONS)
def test_partition_values_are_written_exactly(tmp_path: Path, name: str) -> None:
    """A partition column of every type is written behind the data columns with exactly the value of the log, and has no statistics."""
    kind, value, text = PARTITIONS[name]
    features = ["materializePartitionColumns", *(["timestampNtz"] if name == "timestamp_ntz" else [])]
    table = partitioned_by(tmp_path / "t", kind, {value: text, None: None}, features=features)
    compacted(table)
    found = {}
    for add in table.live():
        stored = pq.read_table(table.root / pq_path(add))
        assert stored.column_names == ["n", "s", "p"]
        assert stored.schema.field("p").type == kind
        assert set(json.loads(add["stats"])["nullCount"]) == {"n", "s"}
        found[add["partitionValues"]["p"]] = set(stored["p"].to_pylist())
    assert found == {text: {value}, None: {None}}


def pq_path(add: dict[str, Any]) -> str:
    """The name of an add's file."""
    from urllib.parse import unquote

    return unquote(add["path"])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("mapping", ["name", "id"])
def test_iceberg_compatibility(tmp_path: Path, version: int, mapping: Literal["name", "id"]) -> None:
    """Outputs hold the partition column behind the data with its field id, 64-bit timestamps, and the tag; the log counts their records."""
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    rows = pa.table({"n": range(8), "p": ["a"] * 8, "t": pa.array([moment] * 8, pa.timestamp("us", "UTC"))})
    properties = {f"delta.enableIcebergCompatV{version}": "true"}
    table = make_table(tmp_path / "t", rows, files=4, partition_by=["p"], features=COMPAT[version], mapping=mapping, properties=properties)
    compacted(table)
    add, file = newest(table)
    schema = file.schema_arrow
    assert schema.names == ["col-1", "col-3", "col-2"]
    assert [schema.field(i).metadata[b"PARQUET:field_id"] for i in range(3)] == [b"1", b"3", b"2"]
    assert file.read()["col-2"].to_pylist() == ["a"] * 8
    assert file.schema.column(1).physical_type == "INT64"
    assert add["tags"]["ICEBERG_COMPAT_VERSION"] == str(version)
    assert json.loads(add["stats"])["numRecords"] == 8


def test_ids_of_elements_keys_and_values(tmp_path: Path) -> None:
    """Under version 2 the ids of elements, keys and values are in the output's Parquet schema."""
    rows = pa.table({"l": pa.array([[1], [2]]), "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64()))})
    more = {
        "l": {"delta.columnMapping.nested.ids": {"col-1.element": 100}},
        "m": {"delta.columnMapping.nested.ids": {"col-2.key": 101, "col-2.value": 102}},
    }
    properties = {"delta.enableIcebergCompatV2": "true"}
    table = make_table(tmp_path / "t", rows, files=2, features=COMPAT[2], mapping="id", properties=properties, field_metadata=more)
    compacted(table)
    text = str(newest(table)[1].schema)
    assert all(f"field_id={number} {name}" in text for number, name in [(1, "col-1"), (100, "element"), (101, "key"), (102, "value")])


@pytest.mark.parametrize(
    ("version", "columns", "more", "word"),
    [
        (1, {"l": [[1], [2]]}, [], "icebergCompatV1"),
        (1, {"n": [1, 2]}, ["deletionVectors"], "deletion vectors"),
        (2, {"l": [[1], [2]]}, [], "no id"),
        (2, {"n": [1, 2], "v": [None, None]}, [], "void"),
    ],
)
def test_what_the_compatibility_forbids_is_refused(
    tmp_path: Path, version: int, columns: dict[str, list[Any]], more: list[str], word: str
) -> None:
    """A schema or protocol that the enabled compatibility forbids refuses the table by the feature's name."""
    properties = {f"delta.enableIcebergCompatV{version}": "true"}
    table = make_table(
        tmp_path / "t", table_of(**columns), files=2, features=[*COMPAT[version], *more], mapping="name", properties=properties
    )
    assert "icebergCompat" in (refused(table, word).reason or "")


def test_compatibility_without_mapping_is_refused(tmp_path: Path) -> None:
    """Enabled compatibility on a table without column mapping contradicts itself."""
    table = make_table(
        tmp_path / "t", table_of(n=[1, 2]), files=2, features=["icebergCompatV2"], properties={"delta.enableIcebergCompatV2": "true"}
    )
    refused(table, "icebergCompatV2")


def test_supported_but_not_enabled_asks_nothing(tmp_path: Path) -> None:
    """A compatibility that is only supported changes nothing in files or adds, and forbids nothing."""
    table = make_table(
        tmp_path / "t", pa.table({"l": [[1], [2]], "p": ["a", "a"]}), files=2, partition_by=["p"], features=["icebergCompatV1"]
    )
    compacted(table)
    add, file = newest(table)
    assert file.schema_arrow.names == ["l"]
    assert "ICEBERG_COMPAT_VERSION" not in add["tags"]


@pytest.mark.parametrize(("zoned", "asked"), [(True, True), (True, False), (False, True)])
def test_the_property_asks_where_it_can(tmp_path: Path, zoned: bool, asked: bool) -> None:
    """The property alone writes partition columns, but not ones whose values have no exact meaning; then the table is compacted without."""
    texts = ["2024-01-01T10:00:00.000000Z", "2024-01-02T10:00:00.000000Z"] if zoned else ["2024-01-01 10:00:00", "2024-01-02 10:00:00"]
    keys = [datetime.datetime(2024, 1, day, 10, tzinfo=datetime.UTC) for day in (1, 2)]
    properties = {"delta.writePartitionColumnsToParquet": str(asked).lower()}
    values = dict(zip(keys, texts, strict=True))
    table = partitioned_by(tmp_path / "t", pa.timestamp("us", "UTC"), values, properties=properties)
    compacted(table)
    _, file = newest(table)
    assert file.schema_arrow.names == (["n", "s", "p"] if zoned and asked else ["n", "s"])
    assert {add["partitionValues"]["p"] for add in table.live()} == set(texts)


def test_a_timestamp_without_zone_that_must_be_written_is_refused(tmp_path: Path) -> None:
    """Where the value must be in the file, a timestamp that only its writer can place refuses the table and names the value."""
    values: dict[Any, str | None] = {datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC): "2024-01-01 10:00:00", None: None}
    table = partitioned_by(tmp_path / "t", pa.timestamp("us", "UTC"), values, features=["materializePartitionColumns"])
    refused(table, "2024-01-01 10:00:00")


@pytest.mark.parametrize("features", [[], ["deletionVectors", "materializePartitionColumns"]])
def test_values_in_the_log_win_over_those_in_files(tmp_path: Path, features: list[str]) -> None:
    """A partition column that inputs hold themselves is never read: the value of the log counts, and inputs' deletes are honoured."""
    table = make_table(tmp_path / "t", table_of(n=range(8), p=["a"] * 8), files=2, partition_by=["p"], features=features or None)
    for add in table.live():
        path = table.root / add["path"]
        stored = pq.read_table(path)
        pq.write_table(stored.append_column("p", pa.array(["wrong"] * stored.num_rows)), path)
        table.commit([{"add": {**add, "size": path.stat().st_size}}])
    append(table, table_of(n=[100], p=["a"]))
    if features:
        mask_rows(table, table.live()[0], [1, 2])
    compacted(table)
    _, file = newest(table)
    rows = file.read()
    assert rows.column_names == (["n", "p"] if features else ["n"])
    assert not features or set(rows["p"].to_pylist()) == {"a"}
