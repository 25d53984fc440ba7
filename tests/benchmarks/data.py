"""Generated tables: written once for a seed and a scale, then copied by hard links for each run.

The log is one commit written by hand, as any writer could have written it; data files are pyarrow's.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.rows import START_US, mixed_rows

LOG = "_delta_log/00000000000000000000.json"

RowsOf = Callable[[int, int], pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A data file of a table: its path below the table's folder, rows, and the values of its partition."""

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str]


def written(folder: Path, rows_of: RowsOf, files: int, rows: int, row_groups: int = 1, codec: str = "snappy") -> Path:
    """A table of `files` files of `row_groups` row groups of `rows` rows each; made once."""
    return made(folder, lambda: _write_files(folder, rows_of, files, rows, row_groups, codec), rows_of(0, 1).schema)


def made(folder: Path, make: Callable[[], Iterable[File]], schema: pa.Schema, partition_by: pa.Schema | None = None) -> Path:
    """A table of the files that `make` puts into its empty folder, unless it is there already."""
    if not (folder / LOG).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_log(folder, schema, list(make()), partition_by)
    return folder


def _write_files(folder: Path, rows_of: RowsOf, files: int, rows: int, row_groups: int, codec: str) -> Iterable[File]:
    for i in range(files):
        path = folder / f"part-{i:05d}.parquet"
        with pq.ParquetWriter(path, rows_of(0, 1).schema, compression=codec) as writer:
            for group in range(row_groups):
                writer.write_table(rows_of(i * row_groups + group, rows), row_group_size=rows)
        yield File(path=path.name, size_bytes=path.stat().st_size, rows=rows * row_groups, partition={})


def spread(folder: Path, source: Path, partitions: int) -> Path:
    """The files of `source` in partitions, in turns."""

    def make() -> Iterable[File]:
        for i, file in enumerate(files_of(source)):
            place = f"part=p{i % partitions:02d}"
            (folder / place).mkdir(exist_ok=True)
            os.link(source / file.path, folder / place / file.path)
            yield File(
                path=f"{place}/{file.path}", size_bytes=file.size_bytes, rows=file.rows, partition={"part": f"p{i % partitions:02d}"}
            )

    return made(folder, make, pq.read_schema(source / files_of(source)[0].path), pa.schema([("part", pa.string())]))


def tiny_partitions(folder: Path, rows_of: RowsOf, partitions: int) -> Path:
    """Partitions of two tiny files, all of them links to the same two."""

    def make() -> Iterable[File]:
        for number in range(2):
            pq.write_table(rows_of(number, 10), folder / f"_{number}.parquet")
        sizes = [(folder / f"_{number}.parquet").stat().st_size for number in range(2)]
        for i in range(partitions):
            place = folder / f"part=p{i:06d}"
            place.mkdir()
            for number, size in enumerate(sizes):
                # a file system allows so many links to one file only
                origin = folder / f"_{number}.parquet" if i % 30_000 == 0 else folder / f"part=p{i - i % 30_000:06d}/{number}.parquet"
                shutil.copy(origin, place / f"{number}.parquet") if i % 30_000 == 0 else os.link(origin, place / f"{number}.parquet")
                yield File(path=f"{place.name}/{number}.parquet", size_bytes=size, rows=10, partition={"part": place.name[5:]})
        for number in range(2):
            (folder / f"_{number}.parquet").unlink()

    return made(folder, make, rows_of(0, 1).schema, pa.schema([("part", pa.string())]))


def small_files(folder: Path, files: int, rows: int) -> Path:
    """A table of small files of mixed rows."""
    return written(folder, mixed_rows, files, rows)


def right_sized(folder: Path, files: int, size_bytes: int) -> Path:
    """The log of a table of `files` files that need nothing (no data: nothing will be read)."""
    sized = (File(path=f"part-{i:05d}.parquet", size_bytes=size_bytes, rows=1_000_000, partition={}) for i in range(files))
    return made(folder, lambda: sized, mixed_rows(0, 1).schema)


def files_of(table: Path) -> list[File]:
    """The files that version 0 of a table adds."""
    adds = [line["add"] for line in map(json.loads, (table / LOG).read_text().splitlines()) if "add" in line]
    return [
        File(path=add["path"], size_bytes=add["size"], rows=json.loads(add["stats"])["numRecords"], partition=add["partitionValues"])
        for add in adds
    ]


def partition_columns(table: Path) -> list[str]:
    """The partition columns of version 0."""
    with (table / LOG).open() as log:
        return list(json.loads(log.readlines(4096)[1])["metaData"]["partitionColumns"])


def write_log(folder: Path, schema: pa.Schema, files: list[File], partition_by: pa.Schema | None = None) -> None:
    """Version 0 of a table with these files."""
    from deltalake import Schema

    by = partition_by or pa.schema([])
    metadata = {
        "id": "8d2bb0dc-5b5e-4d53-9e3c-0d3d6d3fd001",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": Schema.from_arrow(pa.schema([*schema, *by])).to_json(),
        "partitionColumns": by.names,
        "configuration": {},
        "createdTime": START_US // 1000,
    }
    lines = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}, *map(_add, files, range(len(files)))]
    log = folder / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _add(file: File, i: int) -> dict[str, object]:
    add = {
        "path": file.path,
        "partitionValues": dict(file.partition),
        "size": file.size_bytes,
        "modificationTime": START_US // 1000 + i,
        "dataChange": True,
        "stats": json.dumps({"numRecords": file.rows}),
    }
    return {"add": add}


def copy(source: Path, target: Path, codec: str) -> Path:
    """A table with the same files (hard links) whose property asks for `codec`."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "_delta_log").mkdir(parents=True)
    made_already = set()
    for file in files_of(source) if (source / LOG).stat().st_size else []:
        place = target / file.path
        if place.parent not in made_already:
            place.parent.mkdir(parents=True, exist_ok=True)
            made_already.add(place.parent)
        if (source / file.path).exists():  # tables that are a log only have no data
            os.link(source / file.path, place)
    first, second, rest = (source / LOG).read_text().split("\n", 2)
    line = json.loads(second)
    line["metaData"]["configuration"] = {"delta.parquet.compression.codec": codec}
    (target / LOG).write_text("\n".join([first, json.dumps(line), rest]))
    return target
