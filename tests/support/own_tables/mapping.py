"""Own tables with column mapping: both modes, at every nested level, renamed and dropped columns, and files from before it was enabled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from support.delta_tables import Action, HandTable, append, make_table, table_of
from support.own_tables.registry import add_file, alter, commit_files, own, own_each, plain

MODES: dict[str, dict[str, Any]] = {"name": {"mode": "name"}, "id": {"mode": "id"}}
Mode = Literal["name", "id"]


@own_each(**MODES)
def mapping_by(root: Path, mode: Mode) -> HandTable:
    return plain(root, mapping=mode)


@own_each(**MODES)
def mapping_as_feature_by(root: Path, mode: Mode) -> HandTable:
    return plain(root, mapping=mode, features=["columnMapping", "appendOnly", "invariants"])


def nested_rows(n: int) -> pa.Table:
    point = pa.struct([("x", pa.int32()), ("inner", pa.struct([("y", pa.string()), ("z", pa.list_(pa.int64()))]))])
    rows = [{"x": i, "inner": None if i % 4 == 1 else {"y": f"y{i}", "z": [i, None]}} if i % 5 else None for i in range(n)]
    return pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "point": pa.array(rows, point),
            "points": pa.array([[row, None] if i % 3 else None for i, row in enumerate(rows)], pa.list_(point)),
            "named": pa.array([[("k", row)] if i % 3 else [] for i, row in enumerate(rows)], pa.map_(pa.string(), point)),
        }
    )


@own_each(**MODES)
def mapping_of_nested_columns_by(root: Path, mode: Mode) -> HandTable:
    rows = nested_rows(12).select(["id", "point", "points"])
    return make_table(root, rows, files=3, mapping=mode)


@own_each(**MODES)
def mapping_with_partitions_by(root: Path, mode: Mode) -> HandTable:
    rows = table_of(n=range(12), p=["a", None, "c"] * 4)
    return make_table(root, rows, files=2, partition_by=["p"], mapping=mode)


@own_each(**MODES)
def mapping_after_rename_by(root: Path, mode: Mode) -> HandTable:
    table = plain(root, mapping=mode)
    alter(table, lambda fields: fields[1].update(name="renamed column, with (odd) characters"))
    return table


def _swap_names(fields: list[Action]) -> None:
    fields[0]["name"], fields[2]["name"] = fields[2]["name"], fields[0]["name"]


@own_each(**MODES)
def mapping_after_swap_of_names_by(root: Path, mode: Mode) -> HandTable:
    """Two columns that trade their names: whoever looks by name reads the wrong one."""
    table = plain(root, mapping=mode)
    alter(table, _swap_names)
    return table


@own_each(**MODES)
def mapping_after_drop_by(root: Path, mode: Mode) -> HandTable:
    table = plain(root, mapping=mode)
    alter(table, lambda fields: fields.pop(1))
    return table


def _replaced(fields: list[Action]) -> None:
    fields[1]["metadata"] = {"delta.columnMapping.id": 9, "delta.columnMapping.physicalName": "col-9"}


@own_each(**MODES)
def mapping_after_drop_and_add_of_same_name_by(root: Path, mode: Mode) -> HandTable:
    """A column dropped and another added under its name: old values must not come back."""
    table = plain(root, mapping=mode)
    alter(table, _replaced, **{"delta.columnMapping.maxColumnId": "9"})
    append(table, table_of(n=[100, 101], s=["new", None], x=[1.0, 2.0]))
    return table


@own()
def mapping_enabled_later(root: Path) -> HandTable:
    """Files from before have the old names and no field ids; the physical names are the old ones."""
    table = plain(root)

    def number(fields: list[Action]) -> None:
        for i, field in enumerate(fields, 1):
            field["metadata"] = {"delta.columnMapping.id": i, "delta.columnMapping.physicalName": field["name"]}

    table.protocol = {"minReaderVersion": 2, "minWriterVersion": 5}
    table.commit([{"protocol": table.protocol}])
    table.mapped = True
    alter(table, number, **{"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "3"})
    append(table, table_of(n=[50], s=["later"], x=[0.5]))
    return table


@own(left=1)
def mapping_by_id_with_a_file_without_ids(root: Path) -> HandTable:
    """By the protocol its columns are all null in id mode, which nobody wants to make permanent: the file is left alone."""
    table = plain(root, mapping="id")
    names = [field["metadata"]["delta.columnMapping.physicalName"] for field in table.fields]
    bare = pa.table({names[0]: [7, 8], names[1]: ["a", "b"], names[2]: [0.5, 1.5]})
    return commit_files(table, add_file(table, bare))


@own()
def mapping_by_id_with_other_names_in_files(root: Path) -> HandTable:
    """In id mode only field ids count, whatever the columns of a file are called."""
    table = plain(root, mapping="id")
    named = [pa.field(f"whatever {i}", kind, metadata={"PARQUET:field_id": str(i)}) for i, kind in ((3, pa.float64()), (1, pa.int64()))]
    return commit_files(table, add_file(table, pa.table([[0.25, None], [70, 71]], schema=pa.schema(named))))
