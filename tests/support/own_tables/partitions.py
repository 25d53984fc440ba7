"""Own tables with awkward partition values and paths: values are copied word for word, paths decoded and encoded by the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from support.delta_tables import HandTable, make_table, table_of
from support.own_tables.registry import add_file, commit_files, no_rows, own, own_each

ODD = {
    "odd-text": ("string", ["", "__HIVE_DEFAULT_PARTITION__", "a b", "a%20b", "100%", "x:y", "Grüße 日本", "a/b", 'q"uo\'te', "a=b", "\t"]),
    "odder-text": ("string", ["ünï\u0301", "a\\b", "+&?#", "\u2028", "\U0001f600"]),
    "null": ("string", [None, "null", "NULL"]),
    "decimals": ("decimal(5,2)", ["-1.50", "-0.25", "0.00", "999.99", "-999.99", None]),
    "wide-decimals": ("decimal(38,10)", ["-" + "9" * 28 + ".9999999999", "0.0000000001"]),
    "binary": ("binary", ["\u0001\u0002\u0003", "abc", None]),
    "booleans": ("boolean", ["true", "false", None]),
    "dates": ("date", ["0001-01-01", "1969-12-31", "9999-12-31", None]),
    "zoneless-timestamps": ("timestamp", ["2021-09-08 11:11:11", "2021-09-08 11:11:11.123456", "1969-12-31 23:59:59.999999", None]),
    "timestamps": ("timestamp", ["2021-09-08T11:11:11.000000Z", "2021-09-08T11:11:11.123456Z", None]),
    "floats": ("double", ["NaN", "Infinity", "-Infinity", "-0.0", "1.0E10", "4.9E-324", None]),
    "bytes": ("byte", ["-128", "127", None]),
    "longs": ("long", ["-9223372036854775808", "9223372036854775807", None]),
}  # fmt: skip


@own_each(**{name.replace("-", "_"): {"kind": kind, "values": values} for name, (kind, values) in ODD.items()})
def partitioned_by(root: Path, kind: str, values: list[str | None]) -> HandTable:
    """Two files for each value, in folders whose names say nothing."""
    table = _partitioned(root, kind)
    adds = [
        add_file(table, table_of(n=[10 * i + j, None]), partition={"p": value}, folder=f"{i:02x}/")
        for i, value in enumerate(values)
        for j in range(2)
    ]
    return commit_files(table, *adds)


def _partitioned(root: Path, kind: str, **more: Any) -> HandTable:
    table = make_table(root, no_rows(n=pa.int64(), p=pa.string()), partition_by=["p"], **more)
    table.fields[1]["type"] = kind
    table.metadata |= {"schemaString": json.dumps({"type": "struct", "fields": table.fields})}
    table.commit([{"metaData": table.metadata}])
    return table


@own_each(
    space={"folder": "p=a b/"},
    percent={"folder": "p=100%25/"},
    colon={"folder": "p=x%3Ay/"},
    unicode={"folder": "p=Grüße 日本/"},
    plus={"folder": "p=a+b&c/"},
)
def paths_with(root: Path, folder: str) -> HandTable:
    """Folders as Hive layouts have them: what is escaped there is encoded once more in the log."""
    table = _partitioned(root, "string")
    return commit_files(table, *(add_file(table, table_of(n=[i]), partition={"p": "x"}, folder=folder) for i in range(3)))


@own()
def paths_left_unencoded(root: Path) -> HandTable:
    """Some writers leave letters beyond ASCII as they are: the same path in two spellings."""
    table = _partitioned(root, "string")
    adds = [add_file(table, table_of(n=[i]), partition={"p": "ü"}, folder="p=ü/") for i in range(3)]
    adds[0]["path"] = adds[0]["path"].replace("%C3%BC", "ü")
    return commit_files(table, *adds)


@own()
def partitioned_by_several(root: Path) -> HandTable:
    rows = table_of(n=range(16), a=["x", None] * 8, b=[1, 2, 3, None] * 4)
    return make_table(root, rows, files=2, partition_by=["b", "a"])


@own()
def partitioned_by_all_but_one_in_random_folders(root: Path) -> HandTable:
    table = make_table(root, no_rows(p=pa.string(), n=pa.int64()), partition_by=["p"], properties={"delta.randomizeFilePrefixes": "true"})
    adds = [add_file(table, table_of(n=[i]), partition={"p": f"v{i % 2}"}, folder=f"{'aZ3q'[i % 4]}{i % 3}/") for i in range(8)]
    return commit_files(table, *adds)


@own()
def partition_spelled_in_two_ways(root: Path) -> HandTable:
    """Equal values of different spelling: each output keeps a spelling of its own inputs."""
    table = _partitioned(root, "double")
    values = ["1.0", "1", "1.0", "1", "1e0"]
    return commit_files(table, *(add_file(table, table_of(n=[i]), partition={"p": value}) for i, value in enumerate(values)))


@own()
def materialised_partition_columns(root: Path) -> HandTable:
    rows = table_of(n=range(12), p=["a", None, "c"] * 4)
    return make_table(root, rows, files=3, partition_by=["p"], features=["materializePartitionColumns", "appendOnly", "invariants"])
