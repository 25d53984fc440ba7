"""A Delta log with any number of live files and no data: one classic checkpoint with realistic add actions, written column by column.

Statistics are JSON of 300 to 800 bytes (as of 8 to 16 columns), partition values are one date and one region; sizes are of small files
mixed with well-sized ones. Equal arguments give equal logs.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

VERSION = 10
_ROW_GROUP = 100_000
_SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "date", "type": "string", "nullable": True, "metadata": {}},
        {"name": "region", "type": "string", "nullable": True, "metadata": {}},
        *({"name": f"c{i}", "type": "long", "nullable": True, "metadata": {}} for i in range(8)),
    ],
}


def write_big_log(folder: Path, files: int, *, partitions: int = 2_000, columns_in_stats: int = 5, parts: int = 1) -> int:
    """Make `folder` a table of `files` live files, in a checkpoint of so many parts. Returns the checkpoint's bytes."""
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    names = _part_names(parts)
    edges = np.linspace(0, files, parts + 1).astype(int).tolist()
    total = 0
    for number, name in enumerate(names):
        _write_part(log / name, edges[number], edges[number + 1], partitions, columns_in_stats, small=number == 0)
        total += (log / name).stat().st_size
    info = {"timestamp": 1_760_000_000_000, "operation": "WRITE", "operationParameters": {}, "engineInfo": "big-log"}
    (log / f"{VERSION:020d}.json").write_text(json.dumps({"commitInfo": info}) + "\n")
    hint = {"version": VERSION, "size": files + 2, "sizeInBytes": total, "numOfAddFiles": files}
    (log / "_last_checkpoint").write_text(json.dumps(hint if parts == 1 else {**hint, "parts": parts}))
    return total


def _part_names(parts: int) -> list[str]:
    if parts == 1:
        return [f"{VERSION:020d}.checkpoint.parquet"]
    return [f"{VERSION:020d}.checkpoint.{i + 1:010d}.{parts:010d}.parquet" for i in range(parts)]


def _write_part(path: Path, first: int, last: int, partitions: int, columns: int, *, small: bool) -> None:
    table = _smalls()
    with pq.ParquetWriter(path, table.schema, compression="snappy") as writer:
        if small:
            writer.write_table(table)
        for start in range(first, last, _ROW_GROUP):
            writer.write_table(_adds(start, min(last, start + _ROW_GROUP), partitions, columns, table.schema))


def _smalls() -> pa.Table:
    """The protocol and metadata actions, and the schema of the whole file."""
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    metadata = {
        "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(_SCHEMA),
        "partitionColumns": ["date", "region"],
        "configuration": {},
        "createdTime": 1_700_000_000_000,
    }
    strings = pa.map_(pa.string(), pa.string())
    add = pa.struct(
        [
            ("path", pa.string()),
            ("partitionValues", strings),
            ("size", pa.int64()),
            ("modificationTime", pa.int64()),
            ("dataChange", pa.bool_()),
            ("tags", strings),
            ("stats", pa.string()),
        ]
    )
    kept = pa.struct(
        [
            ("id", pa.string()),
            ("format", pa.struct([("provider", pa.string()), ("options", strings)])),
            ("schemaString", pa.string()),
            ("partitionColumns", pa.list_(pa.string())),
            ("configuration", strings),
            ("createdTime", pa.int64()),
        ]
    )
    schema = pa.schema(
        [("protocol", pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())])), ("metaData", kept), ("add", add)]
    )
    return pa.Table.from_pylist([{"protocol": protocol}, {"metaData": metadata}], schema=schema)


def _adds(first: int, last: int, partitions: int, columns: int, schema: pa.Schema) -> pa.Table:
    count = last - first
    number = np.arange(first, last)
    rng = np.random.default_rng(first)
    partition = number % partitions
    day = pa.array([f"20{20 + d // 360:02d}-{d // 30 % 12 + 1:02d}-{d % 30 + 1:02d}" for d in range(partitions // 2 + 1)])
    dates = day.take(pa.array(partition // 2))
    regions = pa.array(["eu-central", "us-east"]).take(pa.array(partition % 2))
    names = pa.array([f"{a:08x}-{b:04x}-{c:04x}" for a, b, c in zip(*(rng.integers(0, 2**16, count) for _ in range(3)), strict=True)])
    text = pa.array(number).cast(pa.string())
    path = pc.binary_join_element_wise("date=", dates, "/region=", regions, "/part-", text, "-", names, ".c000.snappy.parquet", "")
    size = np.where(rng.random(count) < 0.7, rng.integers(50_000, 8_000_000, count), rng.integers(200_000_000, 300_000_000, count))
    rows = size // 100 + 1
    keys = pa.DictionaryArray.from_arrays(pa.array(np.tile([0, 1], count), pa.int8()), pa.array(["date", "region"])).dictionary_decode()
    values = pa.concat_arrays([dates, regions]).take(pa.array(np.arange(2 * count).reshape(2, count).T.ravel()))
    offsets = pa.array(np.arange(0, 2 * count + 1, 2), pa.int32())
    add_type = schema.field("add").type
    children = [
        path,
        pa.MapArray.from_arrays(offsets, keys, values),
        pa.array(size),
        pa.array(1_750_000_000_000 + number // 7 * 1000),
        pa.repeat(pa.scalar(False), count),
        pa.nulls(count, add_type.field("tags").type),
        _stats(rows, rng, columns),
    ]
    add = pa.StructArray.from_arrays(children, fields=list(add_type))
    return pa.table([pa.nulls(count, schema.field("protocol").type), pa.nulls(count, schema.field("metaData").type), add], schema=schema)


def _stats(rows: np.ndarray, rng: np.random.Generator, columns: int) -> pa.Array:
    """300 to 800 bytes: numbers, a timestamp and a string a column."""
    each = [f'"c{i}"' for i in range(columns)]
    when = pa.array(1_750_000_000_000_000 + rng.integers(0, 10**12, len(rows)), pa.timestamp("us"))
    day = pc.strftime(when, "%Y-%m-%dT%H:%M:%S")
    parts: list[pa.Array | str] = ['{"numRecords":', pa.array(rows).cast(pa.string())]
    for kind in ("minValues", "maxValues"):
        parts.append(f',"{kind}":{{')
        for name in each:
            parts += [name, ":", pa.array(rng.integers(0, 10**12, len(rows))).cast(pa.string()), ","]
        parts += ['"when":"', day, '.000Z","who":"', pa.array(rng.integers(0, 10**9, len(rows))).cast(pa.string()), '-user"}']
    parts += [',"nullCount":{' + ",".join(f"{name}:0" for name in each) + "}}"]
    return pc.binary_join_element_wise(*parts, "")
