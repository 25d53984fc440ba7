"""Damages one input of a small table in a chosen way, and says what a run left behind. Shares no code with the compactor."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.delta_tables import Action, HandTable, make_table
from support.parquet_footer import Field, joined, member, split
from support.reader_log import local_path, read_log

Damage = Callable[[bytes], bytes]


def two_groups(root: Path, **parquet: object) -> HandTable:
    """Eight files in two partitions: each partition is a group of its own."""
    table = make_table(
        root,
        pa.table({"n": pa.array(range(400), pa.int64()), "s": [f"text {i}" for i in range(400)], "p": [f"p{i % 2}" for i in range(400)]}),
        files=4,
        partition_by=["p"],
        features=["deletionVectors", "appendOnly", "invariants"],
    )
    for add in table.live():
        path = table.root / add["path"]
        pq.write_table(pq.ParquetFile(path).read(), path, **parquet)
        add["size"] = path.stat().st_size
    table.commit([{"add": add} for add in table.live()])
    return table


def victim(table: HandTable) -> Action:
    """The add that is damaged: not the first one of its group."""
    return [add for add in table.live() if add["partitionValues"] == {"p": "p0"}][1]


def damage(table: HandTable, how: Damage, *, told: bool = True) -> Action:
    """Damage the victim's bytes; `told`: the log knows the new size. Returns its add."""
    add = victim(table)
    path = table.root / add["path"]
    path.write_bytes(how(path.read_bytes()))
    if told:
        add["size"] = path.stat().st_size
        table.commit([{"add": add}])
    return add


def lying(numbers: Sequence[int], change: Callable[[int], int]) -> Damage:
    """A footer that tells another number at this path."""

    def lie(data: bytes) -> bytes:
        body, footer = split(data)
        told: Field = member(footer, *numbers)
        told.value = change(told.value)
        return joined(body, footer)

    return lie


def flipped(fraction: float) -> Damage:
    """One byte of the first column's data flipped, this far into it."""

    def flip(data: bytes) -> bytes:
        chunk = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0)
        at = chunk.data_page_offset + chunk.total_compressed_size - 1 - int(fraction * 40)
        return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]

    return flip


def strays(table: HandTable) -> set[str]:
    """Objects below the table that neither its log nor a record of runs accounts for."""
    log = read_log(table.root)
    known = {local_path(log.root, add["path"]) for add in log.adds.values()}
    for version in range(log.version):
        known |= {local_path(log.root, add["path"]) for add in read_log(table.root, version).adds.values()}
    found = {path for path in table.root.rglob("*") if path.is_file()}
    names = {str(path.relative_to(table.root)) for path in found - known}
    return {
        name for name in names if not name.startswith(("_delta_log/", "_compactor/runs/", "_compactor/quarantine.json", "deletion_vector_"))
    }
