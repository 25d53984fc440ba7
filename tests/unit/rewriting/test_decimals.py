"""In which form outputs keep decimals: whole numbers, or bytes where large row groups that are copied have them so."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rewriting as kit
from support.parquet_footer import joined, member, split

from compactor.ambient import VirtualClock
from compactor.model.engine import EngineChoice, EngineMode
from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped, InputFile, ReadSpec, RewriteResult, StatisticsColumn, WriteSpec
from compactor.rewriting import native
from compactor.rewriting.decimals import settled
from compactor.rewriting.footer import survey_files
from compactor.rewriting.rewrite import rewrite
from compactor.storage.memory import MemoryStore

SCHEMA = pa.schema([("few", pa.decimal128(9, 2)), ("price", pa.decimal128(18, 4)), ("wide", pa.decimal128(30, 4)), ("id", pa.int64())])
BOUNDS = tuple(StatisticsColumn(path=(name,)) for name in SCHEMA.names)
NUMBERS = ["INT32", "INT64", "FIXED_LEN_BYTE_ARRAY", "INT64"]
BYTES = ["FIXED_LEN_BYTE_ARRAY"] * 3 + ["INT64"]


def rows(seed: int, count: int = 500) -> pa.Table:
    """Values that repeat, values that do not (the least and the largest among them), negative ones and nulls."""
    n = range(seed * count, (seed + 1) * count)
    edges = [Decimal(10**18 - 1).scaleb(-4), -Decimal(10**18 - 1).scaleb(-4), None]
    columns = {
        "few": [None if i % 9 == 0 else Decimal(i % 7 - 3) / 4 for i in n],
        "price": [*edges, *(Decimal(i * 7919 - 10**6).scaleb(-4) for i in n[3:])],
        "wide": [Decimal(i - 300) ** 5 for i in n],
        "id": list(n),
    }
    return pa.table(columns, schema=SCHEMA)


def compacted(store: MemoryStore, inputs: list[InputFile], mode: EngineMode, copied_bytes: int = 1) -> RewriteResult:
    choice = EngineChoice(mode=mode, copied_bytes=copied_bytes)
    job = replace(kit.job_of(SCHEMA, choice, statistics=BOUNDS), proof="full")
    return rewrite(job, kit.task_of(inputs), store, VirtualClock())


def forms_in(store: MemoryStore, result: RewriteResult) -> list[str]:
    schema = pq.ParquetFile(pa.BufferReader(store.get(result.outputs[0].key))).schema
    return [schema.column(i).physical_type for i in range(len(SCHEMA))]


@pytest.mark.parametrize(("mode", "as_integer"), [("transcode", False), ("fuse", False), ("fuse", True)])
def test_small_decimals_are_whole_numbers_in_outputs(mode: EngineMode, as_integer: bool, tmp_path: Path) -> None:
    """Whatever form the inputs have, at full proof; bounds are those of the values, and other readers read the same."""
    if mode == "fuse" and native.KERNELS is None:
        pytest.skip("there is no native package")
    store = MemoryStore()
    inputs = [kit.put(store, f"{i}.parquet", rows(i), store_decimal_as_integer=as_integer, use_dictionary=i != 1) for i in range(3)]
    result = compacted(store, inputs, mode)
    assert (result.engine, forms_in(store, result)) == (mode, NUMBERS)
    assert kit.read_back(store, result).equals(pa.concat_tables(map(rows, range(3))))
    told = {column.path[0]: (column.minimum, column.maximum) for column in result.outputs[0].statistics}
    assert told["few"] == (Decimal("-0.75"), Decimal("0.75"))
    assert told["price"] == (-Decimal("99999999999999.9999"), Decimal("99999999999999.9999"))
    path = tmp_path / "out.parquet"
    path.write_bytes(store.get(result.outputs[0].key))
    wanted = rows(0)["price"].to_pylist()
    assert [row[0] for row in duckdb.sql(f"SELECT price FROM '{path}' ORDER BY id LIMIT 500").fetchall()] == wanted
    assert pl.read_parquet(path)["price"][:500].to_list() == wanted
    few, price = (column.to_pylist() for column in pa.concat_tables(map(rows, range(3))).columns[:2])
    matching = sum(one == Decimal("0.75") and (other or 0) > 0 for one, other in zip(few, price, strict=True))
    assert duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE few = 0.75 AND price > 0").fetchall() == [(matching,)]


@pytest.mark.parametrize(("as_integer", "found"), [(False, BYTES), (True, NUMBERS)])
def test_row_groups_are_copied_in_either_form(as_integer: bool, found: list[str]) -> None:
    """The largest of those that would be copied decides; the others, and small files, are decoded into its form."""
    store = MemoryStore()
    small = kit.put(store, "small.parquet", rows(0, 50), store_decimal_as_integer=not as_integer)
    large = kit.put(store, "large.parquet", rows(1, 5000), store_decimal_as_integer=as_integer, write_page_index=True)
    result = compacted(store, [small, large], "auto", copied_bytes=large.size_bytes // 2)
    assert (result.copies.row_groups, forms_in(store, result)) == (1, found)
    assert kit.read_back(store, result).equals(pa.concat_tables([rows(0, 50), rows(1, 5000)]))


@pytest.mark.parametrize("as_integer", [False, True])
def test_a_survey_counts_on_copies_of_either_form(as_integer: bool) -> None:
    """Nothing stands against a copy of decimals, whichever form they have."""
    store = MemoryStore()
    file = kit.put(store, "a.parquet", rows(0), store_decimal_as_integer=as_integer)
    survey = survey_files(store, [("a", "a.parquet", file.size_bytes)], ReadSpec(schema=SCHEMA), WriteSpec(compression="snappy"))
    assert survey.files["a"].not_copied is None


def test_a_footer_that_cannot_be_read_decides_nothing() -> None:
    """A file that is gone or no Parquet is left to whoever reads it, who says what is wrong."""
    store = MemoryStore()
    store.put("none.parquet", b"no parquet, but large enough")
    kept = kit.put(store, "a.parquet", rows(0))
    job = kit.job_of(SCHEMA, EngineChoice(mode="stitch"))
    for key in ("gone.parquet", "none.parquet"):
        bad = replace(kept, key=key, size_bytes=28 if key == "none.parquet" else kept.size_bytes)
        assert settled(job, kit.task_of([bad]), store) == (job, 1)


def test_a_decimal_of_more_digits_than_its_type_drops_the_group_and_names_the_column() -> None:
    """Arrow reads such values and cannot write them as whole numbers; the run goes on with other groups."""
    loose = pa.schema([("few", pa.decimal128(18, 2))])
    data = kit.parquet(pa.table({"few": [Decimal(10**13)]}, schema=loose), store_decimal_as_integer=True)
    body, footer = split(data)
    member(footer, 2, 1, 8).value = member(footer, 2, 1, 10, 5, 2).value = 5
    store = MemoryStore()
    store.put("f", joined(body, footer))
    file = InputFile(file=FileKey(path="f"), key="f", size_bytes=len(store.get("f")))
    outcome = kit.run(store, kit.job_of(pa.schema([("few", pa.decimal128(5, 2))])), [file])
    assert isinstance(outcome, GroupDropped)
    assert (outcome.reason, 'column "few"' in outcome.detail) == ("corrupt-file", True)
    assert kit.keys(store) == ["f"]
