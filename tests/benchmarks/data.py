"""Generated tables, the same bytes for the same scale: written once, then copied by hard links for each run.

The log is one commit written by hand, as any writer could have written it; data files are pyarrow's.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START_US = 1_767_225_600_000_000
HOUR_US = 3_600_000_000
LOG = "_delta_log/00000000000000000000.json"


def mixed_rows(seed: int, rows: int) -> pa.Table:
    """Twelve columns of the kinds that event tables have: ids, measures, few and many strings, times, a decimal, a list, a struct."""
    rng = np.random.default_rng(seed)
    at = START_US + seed * HOUR_US + np.sort(rng.integers(0, HOUR_US, rows))
    ends = np.concatenate([[0], np.cumsum(rng.integers(0, 4, rows))]).astype(np.int32)
    names = {n: np.array([f"{n}_{i:03d}" for i in range(many)]) for n, many in (("city", 200), ("tag", 50), ("zone", 1000))}
    place = [pa.array(rng.uniform(-90, 90, rows)), pa.array(rng.uniform(-180, 180, rows)), pa.array(rng.choice(names["zone"], rows))]
    return pa.table(
        {
            "id": pa.array(np.arange(rows, dtype=np.int64) + seed * rows),
            "user_id": pa.array(rng.integers(0, 100_000, rows)),
            "amount": pa.array(rng.normal(100, 30, rows), mask=rng.random(rows) < 0.02),
            "score": pa.array(np.round(rng.random(rows), 2)),
            "city": pa.array(rng.choice(names["city"], rows), mask=rng.random(rows) < 0.05),
            "note": pa.array([f"{a:016x}-{i}" for i, a in enumerate(rng.integers(0, 2**63, rows).tolist())]),
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "flag": pa.array(rng.random(rows) < 0.3),
            "day": pa.array((at // (24 * HOUR_US)).astype(np.int32), pa.date32()),
            "price": _decimals(rng.integers(0, 10**7, rows)),
            "tags": pa.ListArray.from_arrays(ends, pa.array(rng.choice(names["tag"], ends[-1]))),
            "place": pa.StructArray.from_arrays(place, ["lat", "lon", "zone"]),
        }
    )


def _decimals(cents: np.ndarray) -> pa.Array:
    wide = pa.array(cents).cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(pa.decimal128(12, 2), len(wide), wide.buffers())


def small_files(folder: Path, files: int, rows: int) -> Path:
    """A table of `files` files with `rows` rows each; made once."""
    if not (folder / LOG).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for i in range(files):
            pq.write_table(mixed_rows(i, rows), folder / f"part-{i:05d}.parquet", compression="snappy")
        adds = [_add(path.name, path.stat().st_size, rows, i) for i, path in enumerate(sorted(folder.glob("*.parquet")))]
        write_log(folder, mixed_rows(0, 1).schema, adds)
    return folder


def right_sized(folder: Path, files: int, size_bytes: int) -> Path:
    """The log of a table of `files` files that need nothing (no data: nothing will be read)."""
    if not (folder / LOG).exists():
        adds = [_add(f"part-{i:05d}.parquet", size_bytes, 1_000_000, i) for i in range(files)]
        write_log(folder, mixed_rows(0, 1).schema, adds)
    return folder


def _add(path: str, size_bytes: int, rows: int, i: int) -> dict[str, object]:
    stats = json.dumps(
        {"numRecords": rows, "minValues": {"id": i * rows}, "maxValues": {"id": i * rows + rows - 1}, "nullCount": {"id": 0}}
    )
    modified = START_US // 1000 + i
    add = {"path": path, "partitionValues": {}, "size": size_bytes, "modificationTime": modified, "dataChange": True, "stats": stats}
    return {"add": add}


def write_log(folder: Path, schema: pa.Schema, adds: list[dict[str, object]]) -> None:
    """Version 0 of a table with these adds."""
    from deltalake import Schema

    metadata = {
        "id": "8d2bb0dc-5b5e-4d53-9e3c-0d3d6d3fd001",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": Schema.from_arrow(schema).to_json(),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": START_US // 1000,
    }
    lines = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}, *adds]
    log = folder / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def copy(source: Path, target: Path, codec: str) -> Path:
    """A table with the same files (hard links) whose property asks for `codec`."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "_delta_log").mkdir(parents=True)
    for path in source.glob("*.parquet"):
        os.link(path, target / path.name)
    lines = [json.loads(line) for line in (source / LOG).read_text().splitlines()]
    lines[1]["metaData"]["configuration"] = {"delta.parquet.compression.codec": codec}
    (target / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return target
