"""Random Delta tables, each from a seed: nested schemas of every type, nulls, files of other ages and writers' settings, deletion vectors,
odd partition values. `check(seed, folder)` compacts one and has it judged by a reader that shares no code with the compactor.

    python -m support.fuzz_tables --first 0 --cases 5000      one line a failing seed; exit 1 when there is one
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import tempfile
from decimal import Context, Decimal
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

import compactor
from compactor.model.run import RunStatus
from compactor.storage import open_store
from support import reader
from support.delta_tables import HandTable, make_table, mask_rows, write_files
from support.protocol_check import check_entry
from support.statistics_truth import check_statistics

LEAVES = (
    pa.string(), pa.int64(), pa.int32(), pa.int16(), pa.int8(), pa.float32(), pa.float64(), pa.bool_(), pa.binary(), pa.date32(),
    pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.decimal128(9, 2), pa.decimal128(18, 6), pa.decimal128(38, 10),
)  # fmt: skip
EXACT = Context(prec=80)
KEYS = (pa.string(), pa.int64(), pa.date32())
PARTITIONS: dict[pa.DataType, tuple[Any, ...]] = {
    pa.string(): (None, "a b", "50%", "k=v", "ä/ö", "x:y", "%41", "'quoted'"),
    pa.int64(): (None, 0, -1, 2**62),
    pa.date32(): (None, datetime.date(1, 1, 1), datetime.date(2024, 2, 29)),
    pa.decimal128(9, 2): (None, Decimal("-0.25"), Decimal("-1.50"), Decimal("3.00")),
    pa.bool_(): (None, True, False),
}
WIDENED = {pa.int64(): (pa.int32(), pa.int16(), pa.int8()), pa.int32(): (pa.int16(), pa.int8()), pa.float64(): (pa.float32(),)}


def random_type(rng: Random, depth: int) -> pa.DataType:
    """A type nested at most `depth` times."""
    shape = rng.random() if depth else 1.0
    if shape < 0.15:
        return pa.struct([(f"f{i}", random_type(rng, depth - 1)) for i in range(rng.randint(1, 3))])
    if shape < 0.25:
        return pa.list_(random_type(rng, depth - 1))
    if shape < 0.32:
        return pa.map_(rng.choice(KEYS), random_type(rng, depth - 1))
    return rng.choice(LEAVES)


def random_value(rng: Random, kind: pa.DataType, nulls: float) -> Any:
    """A value of the type, or None."""
    if rng.random() < nulls:
        return None
    if pa.types.is_struct(kind):
        return {child.name: random_value(rng, child.type, nulls) for child in kind}
    if pa.types.is_map(kind):
        keys = {random_value(rng, kind.key_type, 0.0) for _ in range(rng.randint(0, 3))}
        return [(key, random_value(rng, kind.item_type, nulls)) for key in sorted(keys)]
    if pa.types.is_list(kind):
        return [random_value(rng, kind.value_type, nulls) for _ in range(rng.randint(0, 3))]
    return _leaf(rng, kind)


def _leaf(rng: Random, kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return rng.choice(["", "same", "\U0001f600" * rng.randint(1, 40), "é" * 33, "x" * rng.randint(0, 90), str(rng.random())])
    if pa.types.is_binary(kind):
        return rng.choice([b"", b"\x00\xff", rng.randbytes(rng.randint(1, 40))])
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_floating(kind):
        return rng.choice([0.0, -0.0, 1.5, -2.25, float("nan"), float("inf"), float("-inf")])
    if pa.types.is_decimal(kind):
        largest = 10**kind.precision - 1
        return Decimal(rng.choice([0, largest, -largest, rng.randint(-largest, largest)])).scaleb(-kind.scale, EXACT)
    if pa.types.is_date(kind):
        return datetime.date.fromordinal(rng.choice([1, 3652059, rng.randint(1, 3652059)]))
    if pa.types.is_timestamp(kind):
        return rng.choice([0, -1, 1, rng.randint(-(10**16), 10**16)])
    bits = kind.bit_width - 1
    return rng.choice([0, -(2**bits), 2**bits - 1, rng.randint(-100, 100)])


def random_rows(rng: Random, schema: pa.Schema, count: int) -> pa.Table:
    """Rows of the schema; partition columns take few values."""
    nulls = rng.choice([0.0, 0.1, 0.5, 1.0])
    columns = []
    for child in schema:
        if child.name.startswith("p"):
            choices = PARTITIONS[child.type]
            columns.append(pa.array([rng.choice(choices) for _ in range(count)], child.type))
        else:
            columns.append(pa.array([random_value(rng, child.type, nulls) for _ in range(count)], child.type))
    return pa.table(columns, schema=schema)


def random_table(rng: Random, root: Path) -> HandTable:
    """A table with files of several ages and settings, some rows masked."""
    fields = [pa.field(f"c{i}", random_type(rng, 3)) for i in range(rng.randint(1, 5))]
    partitions = [pa.field(f"p{i}", rng.choice(tuple(PARTITIONS))) for i in range(rng.choice([0, 0, 1, 1, 2]))]
    schema = pa.schema([*fields, *partitions])
    vectors = rng.random() < 0.5
    features = [*(["deletionVectors"] if vectors else []), "timestampNtz", "columnMapping", "typeWidening"]
    table = make_table(
        root,
        random_rows(rng, schema, rng.randint(1, 30)),
        files=rng.randint(1, 4),
        partition_by=[field.name for field in partitions],
        features=features,
        mapping=rng.choice(["none", "name", "id"]),
        properties={"delta.parquet.compression.codec": rng.choice(["zstd", "snappy", "gzip"])},
    )
    for _ in range(rng.randint(1, 5)):
        table.commit([{"add": add} for add in _older_files(rng, table, schema)])
    if vectors:
        for add in [add for add in table.live() if rng.random() < 0.5]:
            rows = reader.open_file(reader.read_log(root), add).metadata.num_rows
            if rows:
                mask_rows(table, add, rng.sample(range(rows), rng.randint(1, rows)), rng.choice(["u", "i"]))
    return table


def _older_files(rng: Random, table: HandTable, schema: pa.Schema) -> list[dict[str, Any]]:
    """Files that may lack columns or hold narrower ones, by a writer of random settings."""
    kept = [child for child in schema if child.name.startswith("p") or rng.random() < 0.8] or list(schema)
    older = [_narrower(rng, child) for child in kept]
    if all(child.name.startswith("p") for child in older):
        older = list(schema)
    adds = write_files(table, random_rows(rng, pa.schema(older), rng.choice([0, 1, 7, 60])))
    for add in adds:
        _rewritten(rng, table, add)
    return adds


def _narrower(rng: Random, child: pa.Field) -> pa.Field:
    if child.name.startswith("p") or child.type not in WIDENED or rng.random() < 0.6:
        return child
    return child.with_type(rng.choice(WIDENED[child.type]))


def _rewritten(rng: Random, table: HandTable, add: dict[str, Any]) -> None:
    """The same rows as another writer would have stored them."""
    path = reader.local_path(table.root, add["path"])
    stored = pq.ParquetFile(path).read()
    pq.write_table(
        stored,
        path,
        compression=rng.choice(["snappy", "zstd", "gzip", "none", "lz4", "brotli"]),
        use_dictionary=rng.random() < 0.5,
        data_page_version=rng.choice(["1.0", "2.0"]),
        row_group_size=rng.choice([1, 5, 1000]),
        data_page_size=rng.choice([64, 4096, 1 << 20]),
        write_page_index=rng.random() < 0.3,
        write_page_checksum=rng.random() < 0.3,
        store_schema=rng.random() < 0.5,
    )
    add["size"] = path.stat().st_size


def check(seed: int, folder: Path) -> None:
    """Raises AssertionError when compacting the table of this seed changed its rows or broke a rule of the protocol."""
    rng = Random(f"table-{seed}")
    table = random_table(rng, folder / "t")
    before = reader.rows(table.root)
    live = {(unquote(path), vector): add for (path, vector), add in table.adds.items()}
    settings = compactor.Settings(
        executor="serial",
        force_rewrite=rng.random() < 0.7,
        min_input_files=2,
        target_size=rng.choice(["1KiB", "20KiB", "256MiB"]),
        memory=rng.choice(["64MiB", "1GiB"]),
    )
    run = compactor.run(str(table.root), settings=settings)
    assert run.status in (RunStatus.COMMITTED, RunStatus.NOTHING_TO_DO), f"{run.status}: {run.reason}"
    assert reader.rows(table.root) == before, "rows changed"
    if run.status is RunStatus.COMMITTED:
        assert run.version is not None
        check_entry(open_store(str(table.root)), run.version, live, parquet=True)
        log = reader.read_log(table.root)
        for add in [add for key, add in log.adds.items() if key not in live and add["path"] not in {path for path, _ in table.adds}]:
            check_statistics(log, add)


def main(arguments: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="fuzz_tables")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    failed = 0
    for seed in range(chosen.first, chosen.first + chosen.cases):
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            check(seed, folder)
        except Exception as error:  # noqa: BLE001 - every seed is told
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{chosen.cases} tables, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
