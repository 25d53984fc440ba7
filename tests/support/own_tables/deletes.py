"""Own tables with deletion vectors: every storage type, container kind, and place of the deleted rows."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyroaring import BitMap64

from support import delta_tables
from support.delta_tables import HandTable, make_table, mask_rows, remove_of, table_of
from support.own_tables.registry import add_file, commit_files, no_rows, own, own_each, plain

DELETES = ["deletionVectors", "appendOnly", "invariants"]


@own_each(
    inline={"storage": "i"}, relative={"storage": "u"}, relative_with_prefix={"storage": "u", "prefix": "ab"}, absolute={"storage": "p"}
)  # fmt: skip
def vectors(root: Path, storage: Literal["u", "i", "p"], prefix: str = "") -> HandTable:
    table = plain(root, features=DELETES)
    for i, add in enumerate(list(table.live())[:3]):
        mask_rows(table, add, [0, 2, 4][: i + 1], storage, prefix)
    return table


@own()
def vectors_over_whole_files(root: Path) -> HandTable:
    table = plain(root, features=DELETES)
    for add in list(table.live())[:2]:
        mask_rows(table, add, range(5))
    return table


@own()
def vectors_over_everything(root: Path) -> HandTable:
    table = plain(root, features=DELETES)
    for add in list(table.live()):
        mask_rows(table, add, range(5))
    return table


@own()
def vectors_replaced(root: Path) -> HandTable:
    """A file whose vector grew twice: only the last one counts."""
    table = plain(root, features=DELETES, files=2)
    for positions in ([1], [1, 3], [1, 3, 9]):
        mask_rows_again(table, positions)
    return table


def mask_rows_again(table: HandTable, positions: list[int]) -> None:
    add = table.live()[-1]
    bare = {key: value for key, value in add.items() if key != "deletionVector"}
    vector = delta_tables.write_vector(table, positions)
    table.commit([{"remove": remove_of(table, add)}, {"add": {**bare, "deletionVector": vector}}], "DELETE")


@own()
def vectors_of_every_container(root: Path) -> HandTable:
    """Positions that need an array, a bitmap and runs, over many row groups."""
    rows = pa.table({"n": pa.array(range(220_000), pa.int32())})
    table = make_table(root, rows.slice(0, 0), features=DELETES)
    add = add_file(table, rows, row_group_size=7_001)
    commit_files(table, add)
    every_third = [i for i in range(65_536) if i % 3 == 0]
    scattered = list(range(70_000, 130_000, 997))
    run = list(range(131_072, 200_000))
    write_optimised(table, add, [*every_third, *scattered, *run])
    return table


def write_optimised(table: HandTable, add: dict[str, Any], positions: list[int]) -> None:
    bitmap = BitMap64(positions)
    bitmap.run_optimize()
    data = struct.pack("<I", 1681511377) + bitmap.serialize()
    text = delta_tables.encode_z85(data + b"\0" * (-len(data) % 4))
    vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": len(bitmap)}
    table.commit([{"remove": remove_of(table, add)}, {"add": {**add, "deletionVector": vector}}], "DELETE")


@own()
def vectors_in_partitions(root: Path) -> HandTable:
    rows = table_of(n=range(24), p=[f"p{i % 3}" for i in range(24)])
    table = make_table(root, rows, files=2, partition_by=["p"], features=DELETES)
    for add in [add for add in table.live() if add["partitionValues"]["p"] != "p1"]:
        mask_rows(table, add, [0])
    return table


@own()
def vectors_of_no_rows(root: Path) -> HandTable:
    """A vector that deletes nothing."""
    table = plain(root, features=DELETES)
    mask_rows(table, table.live()[0], [])
    return table


@own()
def files_without_rows(root: Path) -> HandTable:
    table = plain(root)
    empty = no_rows(n=pa.int64(), s=pa.string(), x=pa.float64())
    return commit_files(table, add_file(table, empty), add_file(table, empty, stats=False))


@own()
def only_files_without_rows(root: Path) -> HandTable:
    empty = no_rows(n=pa.int64(), s=pa.string())
    table = make_table(root, empty)
    return commit_files(table, add_file(table, empty), add_file(table, empty))


@own("nothing to do", "no live files")
def no_files(root: Path) -> HandTable:
    return make_table(root, no_rows(n=pa.int64()))


@own()
def tables_with_vectors_and_mapping(root: Path) -> HandTable:
    table = plain(root, features=[*DELETES, "columnMapping"], mapping="id")
    for add in list(table.live())[1:]:
        mask_rows(table, add, [0, 4])
    return table
