"""Row groups that are copied as they are: what may be, what comes out, and what readers that share no code with us make of it."""

from __future__ import annotations

import datetime
import struct
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import chdb
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from support import parquet_footer as thrift
from support import rewriting as kit

from compactor.ambient import VirtualClock
from compactor.model.plan import FileKey
from compactor.model.rewrite import EngineChoice, InputFile, ReadSpec, RewriteJob, RewriteResult, StatisticsColumn
from compactor.rewriting import native
from compactor.rewriting.column_statistics import StatisticsCollector
from compactor.rewriting.encoded_statistics import _seen_bounds
from compactor.rewriting.float_pages import FloatValues
from compactor.rewriting.parquet_fields import Kind
from compactor.rewriting.parquet_fields import Statistics as Stats
from compactor.rewriting.physical import Leaf
from compactor.rewriting.rewrite import rewrite
from compactor.rewriting.thrift_compact import BINARY, Struct
from compactor.storage.memory import MemoryStore

STITCH = EngineChoice(mode="stitch")
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("small", pa.int16()),
        ("x", pa.float64()),
        ("s", pa.string()),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("price", pa.decimal128(12, 2)),
        ("wide", pa.decimal128(30, 4)),
        ("flag", pa.bool_()),
        ("raw", pa.binary()),
        ("tags", pa.list_(pa.field("element", pa.string()))),
        ("m", pa.map_(pa.string(), pa.int32())),
        ("place", pa.struct([("lat", pa.float64()), ("zone", pa.string()), ("marks", pa.list_(pa.field("element", pa.int32())))])),
    ]
)
PATHS = [
    ("id",),
    ("small",),
    ("x",),
    ("s",),
    ("day",),
    ("at",),
    ("price",),
    ("wide",),
    ("tags",),
    ("m",),
    ("place", "lat"),
    ("place", "zone"),
]
COLUMNS = tuple(StatisticsColumn(path=path, bounds=path not in (("tags",), ("m",))) for path in PATHS)


def table(first: int, count: int) -> pa.Table:
    """Rows of every kind, with nulls, among them null lists, maps and structs."""
    n = range(first, first + count)
    day = datetime.date(2026, 1, 1)
    return pa.table(
        {
            "id": list(n),
            "small": [i % 300 - 150 for i in n],
            "x": [None if i % 11 == 0 else i / 7 for i in n],
            "s": [None if i % 5 == 0 else f"value {i % 40:03d} " + "é" * (i % 9) for i in n],
            "day": [day + datetime.timedelta(days=i % 400) for i in n],
            "at": [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=i) for i in n],
            "price": [Decimal(i) / 100 for i in n],
            "wide": [Decimal(i) ** 5 for i in n],
            "flag": [None if i % 3 == 0 else i % 2 == 0 for i in n],
            "raw": [bytes([i % 256]) * (i % 5) for i in n],
            "tags": [None if i % 4 == 0 else [str(k) if k % 2 else None for k in range(i % 4 - 1)] for i in n],
            "m": [None if i % 6 == 0 else [(f"k{k}", k) for k in range(i % 3)] for i in n],
            "place": [None if i % 7 == 0 else {"lat": i / 3, "zone": f"z{i % 8}", "marks": [i] if i % 2 else None} for i in n],
        },
        schema=SCHEMA,
    )


def job(schema: pa.Schema = SCHEMA, choice: EngineChoice = STITCH, **write: object) -> RewriteJob:
    return replace(kit.job_of(schema, **{"statistics": COLUMNS, **write}), engine=choice)


def stitched(store: MemoryStore, inputs: list[InputFile], made: RewriteJob | None = None, outputs: int = 1) -> RewriteResult:
    return rewrite(made or job(), kit.task_of(inputs, outputs), store, VirtualClock())


def inputs_of(store: MemoryStore, **options: object) -> list[InputFile]:
    kinds: list[dict[str, object]] = [
        {"compression": "snappy", "write_page_index": True, "row_group_size": 300, "data_page_size": 500},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "gzip", "use_dictionary": False, "write_page_index": True},
        {"compression": "none", "store_schema": True, "store_decimal_as_integer": True},
    ]
    return [kit.put(store, f"in-{i}.parquet", table(i * 700, 700), **{**kind, **options}) for i, kind in enumerate(kinds)]


def test_every_row_comes_out_as_it_was_in_order() -> None:
    """Row groups of several codecs, page versions and encodings lie in one output, which holds the inputs' rows in their order."""
    store = MemoryStore()
    result = stitched(store, inputs_of(store)[:3])
    assert (result.engine, result.copies.row_groups, result.proof) == ("stitch", 5, "bytes")
    assert result.decoded == ()
    assert kit.read_back(store, result).equals(table(0, 2100))
    (output,) = result.outputs
    assert output.key.endswith(".snappy.parquet")
    footer = pq.read_metadata(pa.BufferReader(store.get(output.key)))
    assert footer.created_by.startswith("lakehouse-compactor version ")
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [300, 300, 100, 700, 700]
    assert footer.metadata is None


def test_statistics_for_the_log_are_those_of_the_rows() -> None:
    """What is said of each column is what a collector says that has seen all rows, whether it came from footers or from values."""
    store = MemoryStore()
    for files in (inputs_of(store), inputs_of(store, write_statistics=False)):
        told = {found.path: found for output in stitched(store, files[:3]).outputs for found in output.statistics}
        expected = stitched(store, files[:3], job(choice=EngineChoice(mode="transcode"))).outputs[0].statistics
        assert told == {found.path: found for found in expected}
    assert len(told) == len(PATHS)
    assert (told[("wide",)].maximum, told[("price",)].maximum) == (Decimal(2099) ** 5, Decimal("20.99"))


def test_a_float_column_with_nan_has_no_bounds() -> None:
    """Where a footer's bounds pass over NaN, the values are looked at, and neither log nor footer nor page index gives bounds."""
    store, schema = MemoryStore(), pa.schema([("x", pa.float64())])
    file = kit.put(store, "x", pa.table({"x": [1.0, float("nan"), None]}), write_page_index=True)
    result = stitched(store, [file], job(schema, statistics=(StatisticsColumn(path=("x",)),)))
    (told,) = result.outputs[0].statistics
    assert (result.engine, told.null_count, told.minimum, told.maximum) == ("stitch", 1, None, None)
    chunk = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key))).row_group(0).column(0)
    assert (chunk.statistics.has_min_max, chunk.statistics.null_count, chunk.has_column_index) == (False, 1, False)
    assert chunk.has_offset_index


def test_floats_are_looked_at_and_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no value is NaN the bounds of a known writer stand in log, footer and page index, and no column is decoded to find that out."""
    monkeypatch.setattr("compactor.rewriting.stitch._columns", None)
    store, schema = MemoryStore(), pa.schema([("x", pa.float64()), ("n", pa.int64())])
    for options in ({"use_dictionary": False}, {"dictionary_pagesize_limit": 64}, {"compression": "zstd", "data_page_version": "2.0"}):
        file = kit.put(store, "x", pa.table({"x": [1.5, None, -2.0] * 50, "n": [1] * 150}), write_page_index=True, **options)
        result = stitched(store, [file], job(schema, statistics=tuple(StatisticsColumn(path=(name,)) for name in schema.names)))
        assert (result.engine, result.outputs[0].statistics[0].minimum, result.outputs[0].statistics[0].maximum) == ("stitch", -2.0, 1.5)
        chunk = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key))).row_group(0).column(0)
        assert (chunk.statistics.min, chunk.statistics.max, chunk.has_column_index) == (-2.0, 1.5, True)


def test_bounds_of_floats_are_not_those_of_a_dictionary() -> None:
    """A dictionary may hold what no row does: bounds come from it only as far as the footer of a known writer says the same."""
    seen = FloatValues(low=-9.0, high=9.0, indirect=True)
    said = Struct({int(Stats.MIN_VALUE): (BINARY, struct.pack("<d", -2.0)), int(Stats.MAX_VALUE): (BINARY, struct.pack("<d", 10.0))})
    leaf = Leaf(path=("x",), kind=Kind.DOUBLE, meaning="", repeated=False, optional=True)
    assert _seen_bounds(seen, leaf, said) is None
    assert _seen_bounds(replace(seen, high=11.0), leaf, said) == (-2.0, 10.0)
    assert _seen_bounds(replace(seen, indirect=False), leaf, said) == (-9.0, 9.0)


def test_floats_without_a_counted_nan_are_believed(tmp_path: Path) -> None:
    """DuckDB counts the NaNs of a column: where there is none its bounds are repeated, and where there is one nothing is said."""
    schema = pa.schema([("x", pa.float64()), ("y", pa.float32())])
    told = []
    for values in ("1.5::double, -2.25, null", "1.5::double, 'nan', null"):
        path = tmp_path / "x.parquet"
        duckdb.sql(f"copy (select x, x::float y from (select unnest([{values}]) x)) to '{path}'")
        store = MemoryStore()
        store.put("x", path.read_bytes())
        file = InputFile(file=FileKey(path="x"), key="x", size_bytes=path.stat().st_size)
        result = stitched(store, [file], job(schema, statistics=tuple(StatisticsColumn(path=(name,)) for name in schema.names)))
        chunk = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key))).row_group(0).column(0)
        bounds = [(found.null_count, found.minimum, found.maximum) for found in result.outputs[0].statistics]
        told.append([result.engine, chunk.statistics.has_min_max, *bounds])
    assert told[0] == ["stitch", True, (1, -2.25, 1.5), (1, -2.25, 1.5)]
    assert told[1] == ["stitch", False, (1, None, None), (1, None, None)]


def test_decoded_and_copied_row_groups_share_an_output_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large row groups are copied and small ones decoded, files with deleted rows too, all into one output whose rows are in order."""
    monkeypatch.setattr(native, "KERNELS", None)
    store = MemoryStore()
    big, small = table(0, 3000), table(3000, 50)
    files = [
        kit.put(store, "a", big, write_page_index=True),
        kit.put(store, "b", small),
        kit.put(store, "c", table(3050, 40), row_group_size=20),
        kit.put(store, "d", table(3090, 3000), write_page_index=True),
        kit.put(store, "e", table(6090, 3000), kit.inline_deletes([0, 5, 2999])),
        kit.put(store, "f", table(9090, 3000)),
        kit.put(store, "g", table(12_090, 10)),
    ]
    least = min(files[0].size_bytes, files[3].size_bytes) // 2
    result = stitched(store, files, job(choice=EngineChoice(copied_bytes=least)))
    everything = table(0, 12_100)
    kept = everything.filter(pc.invert(pc.is_in(everything["id"], pa.array([6090, 6095, 9089]))))
    assert kit.read_back(store, result).equals(kept)
    assert result.engine == "stitch+transcode"
    assert [(because.code, because.row_groups) for because in result.decoded] == [("deletes", 1), ("kernels", 4)]
    footer = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key)))
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [3000, 90, 3000, 2997, 3000, 10]
    assert result.proof == "bytes" and result.fingerprint is None and result.checksum is not None
    assert result.checksum.rows == kept.num_rows
    indexed = [footer.row_group(i).column(0).has_offset_index for i in range(footer.num_row_groups)]
    assert indexed == [True, True, True, True, False, True]
    again = stitched(store, files, job(choice=EngineChoice(mode="transcode")))
    assert result.outputs[0].statistics == again.outputs[0].statistics


def _readers(path: Path) -> dict[str, pa.Table]:
    """The file's rows with 500 <= id < 2600 and s not null, found by each reader with its filters."""
    where = (ds.field("id") >= 500) & (ds.field("id") < 2600) & ds.field("s").is_valid()
    wanted = pl.col("id").is_between(500, 2599) & pl.col("s").is_not_null()
    sql = "id >= 500 and id < 2600 and s is not null"
    clickhouse = chdb.query(f"select id from file('{path}', Parquet) where {sql} order by id", "CSV").data()
    return {
        "pyarrow": ds.dataset(path).to_table(columns=["id"], filter=where),
        "duckdb": duckdb.sql(f"select id from '{path}' where {sql} order by id").to_arrow_table(),
        "polars": pl.scan_parquet(path).filter(wanted).select("id").collect().to_arrow(),
        "clickhouse": pa.table({"id": [int(line) for line in clickhouse.split()]}),
    }


def test_other_readers_find_the_same_rows_through_filters(tmp_path: Path) -> None:
    """pyarrow, DuckDB, Polars and ClickHouse read outputs whole and by filters on indexed pages, copied and decoded row groups mixed."""
    store = MemoryStore()
    files = [*inputs_of(store)[:3], kit.put(store, "d", table(2100, 900), kit.inline_deletes([899]))]
    result = stitched(store, files)
    assert result.engine == "stitch+transcode"
    path = tmp_path / "out.parquet"
    path.write_bytes(store.get(result.outputs[0].key))
    wanted = [i for i in range(500, 2600) if i % 5]
    for name, found in _readers(path).items():
        assert found["id"].to_pylist() == wanted, name
    count = 2999
    assert duckdb.sql(f"select count(*), sum(id) from '{path}'").fetchall() == [(count, sum(range(count)))]
    assert pl.read_parquet(path).height == count
    assert pq.read_table(path).equals(table(0, count))


def test_bloom_filters_go_along(tmp_path: Path) -> None:
    """Bloom filters that DuckDB writes are found at their new places: it leaves out row groups by them as it did before."""
    store, inputs = MemoryStore(), []
    for i in range(3):
        path = tmp_path / f"{i}.parquet"
        duckdb.sql(
            f"copy (select (range * 7919 + {i}) % 1000003 id, 'name ' || (range % 500 + {i * 1000}) s from range(20000)) to '{path}'"
            " (row_group_size 4096)"
        )
        store.put(path.name, path.read_bytes())
        inputs.append(InputFile(file=FileKey(path=path.name), key=path.name, size_bytes=path.stat().st_size))
    schema = pa.schema([("id", pa.int64()), ("s", pa.string())])
    result = stitched(store, inputs, job(schema, statistics=()))
    assert result.engine == "stitch"
    out = tmp_path / "out.parquet"
    out.write_bytes(store.get(result.outputs[0].key))

    def excluded(path: str) -> list[tuple[bool]]:
        return duckdb.sql(f"select bloom_filter_excludes from parquet_bloom_probe('{path}', 's', 'name 1017')").fetchall()

    before = [one for i in range(3) for one in excluded(str(tmp_path / f"{i}.parquet"))]
    assert excluded(str(out)) == before
    assert (True,) in before and (False,) in before
    assert duckdb.sql(f"select count(*) from '{out}' where s = 'name 1017'").fetchall() == [(40,)]


@pytest.mark.parametrize(
    ("code", "columns", "options"),
    [
        ("schema", {"n": pa.array([1], pa.int32())}, {}),
        ("schema", {"n": pa.array([1]), "extra": pa.array([1])}, {}),
        ("schema", {"other": pa.array([1])}, {}),
        ("schema", {"N": pa.array([1])}, {}),
        ("codec", {"n": pa.array([1])}, {"compression": "gzip"}),
        ("page-version", {"n": pa.array([1])}, {"data_page_version": "2.0"}),
    ],
)
def test_what_may_not_be_copied_is_decoded_with_its_reason(code: str, columns: dict[str, pa.Array], options: dict[str, object]) -> None:
    """A file whose pages mean something else, or are of a kind that the table's properties forbid, is decoded, and the reason is told."""
    store, schema = MemoryStore(), pa.schema([("n", pa.int64())])
    file = kit.put(store, "x", pa.table(columns), **{"compression": "snappy", **options})
    bound = job(schema, statistics=(), compression="snappy", only_compression=True, only_page_version=True)
    result = stitched(store, [file], bound)
    assert (result.engine, [because.code for because in result.decoded]) == ("transcode", [code])
    assert kit.read_back(store, result).schema.names == ["n"]


def test_other_timestamps_and_required_columns_are_decoded() -> None:
    """INT96, timestamps of another unit or zone, and columns that may not be null in the file are named."""
    store = MemoryStore()
    zoned, at = pa.timestamp("us", "UTC"), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    rows = pa.table({"at": pa.array([at], zoned)})
    required = pa.table({"at": pa.array([at], zoned)}, schema=pa.schema([pa.field("at", zoned, nullable=False)]))
    local = pa.table({"at": pa.array([at], zoned).cast(pa.timestamp("us"))})
    cases = [
        (kit.put(store, "a", rows, use_deprecated_int96_timestamps=True), "INT96"),
        (kit.put(store, "b", rows, coerce_timestamps="ms"), "milliseconds, UTC"),
        (kit.put(store, "c", required), "required"),
    ]
    for file, word in cases:
        result = stitched(store, [file], job(rows.schema, statistics=()))
        assert (result.engine, result.decoded[0].code) == ("transcode", "schema")
        assert word in result.decoded[0].why
        assert kit.read_back(store, result).equals(rows)
    ntz = stitched(store, [kit.put(store, "d", rows)], job(local.schema, statistics=()))
    assert "timestamp in microseconds" in ntz.decoded[0].why


def test_lists_of_other_writers_are_copied_under_the_tables_names(tmp_path: Path) -> None:
    """deltalake calls the elements of lists `item`: such row groups are copied, and readers find `element`."""
    from deltalake import write_deltalake

    rows = pa.table({"l": pa.array([[1, 2], None, [None]], pa.list_(pa.int32()))})
    write_deltalake(tmp_path / "t", rows)
    (path,) = (tmp_path / "t").glob("*.parquet")
    assert "item" in str(pq.read_metadata(path).schema)
    store = MemoryStore()
    store.put("x", path.read_bytes())
    schema = pa.schema([("l", pa.list_(pa.field("element", pa.int32())))])
    file = InputFile(file=FileKey(path="x"), key="x", size_bytes=path.stat().st_size)
    result = stitched(store, [file], job(schema, statistics=(StatisticsColumn(path=("l",), bounds=False),)))
    assert result.engine == "stitch"
    found = pq.ParquetFile(pa.BufferReader(store.get(result.outputs[0].key)))
    assert found.metadata.schema.column(0).path == "l.list.element"
    assert found.read()["l"].to_pylist() == rows["l"].to_pylist()
    assert result.outputs[0].statistics[0].null_count == 1


def test_field_ids_are_the_tables() -> None:
    """A table that finds columns by name gets its field ids in the new footer; where they are found by id, other ids are not copied."""
    store = MemoryStore()
    wanted = pa.schema([pa.field("n", pa.int64(), metadata={"PARQUET:field_id": "7"})])
    other = pa.schema([pa.field("n", pa.int64(), metadata={"PARQUET:field_id": "7"}), pa.field("m", pa.int64())])
    bare = kit.put(store, "a", pa.table({"n": [1]}))
    result = stitched(store, [bare], job(wanted, statistics=()))
    assert result.engine == "stitch"
    output = pq.ParquetFile(pa.BufferReader(store.get(result.outputs[0].key)))
    assert output.schema_arrow.field("n").metadata == {b"PARQUET:field_id": b"7"}
    by_id = replace(job(wanted, statistics=()), read=ReadSpec(schema=wanted, match="id"))
    right = kit.put(store, "b", pa.table({"n": [1]}, schema=wanted))
    assert stitched(store, [right], by_id).engine == "stitch"
    foreign = pa.schema([pa.field("n", pa.int64(), metadata={"PARQUET:field_id": "8"})])
    result = stitched(store, [kit.put(store, "c", pa.table({"n": [1]}, schema=foreign))], by_id)
    assert (result.engine, result.decoded[0].code) == ("transcode", "schema")
    assert kit.read_back(store, result)["n"].to_pylist() == [None]
    assert other.names == ["n", "m"]


def test_outputs_end_between_copied_row_groups() -> None:
    """An oversized file is split where its row groups end, evenly by bytes, and no output is empty."""
    store = MemoryStore()
    file = kit.put(store, "x", table(0, 4000), row_group_size=250)
    result = stitched(store, [file], outputs=4)
    assert [output.rows for output in result.outputs] == [1000] * 4
    assert kit.read_back(store, result).equals(table(0, 4000))
    few = kit.put(store, "few", table(0, 4000), row_group_size=1000)
    result = stitched(store, [few], outputs=3)
    assert (result.engine, [output.rows for output in result.outputs]) == ("stitch", [1000, 2000, 1000])
    assert kit.read_back(store, result).equals(table(0, 4000))
    whole = kit.put(store, "y", table(0, 4000))
    result = stitched(store, [whole], outputs=4)
    assert (result.engine, [output.rows for output in result.outputs]) == ("transcode", [1000] * 4)
    assert [because.code for because in result.decoded] == ["large"]


def _edited(data: bytes, path: tuple[int, ...], value: object) -> bytes:
    body, footer = thrift.split(data)
    thrift.member(footer, *path).value = value
    return thrift.joined(body, footer)


HOSTILE = [
    ((*thrift.CHUNK_COMPRESSED,), 1 << 60),
    ((*thrift.CHUNK_COMPRESSED,), -1),
    ((*thrift.CHUNK_OFFSET,), -5),
    ((*thrift.CHUNK_OFFSET,), 1 << 40),
    ((*thrift.CHUNK_VALUES,), 3),
    ((4, 0, 1, 1, 3, 9), 4),
    ((4, 0, 1, 0, 5), 1 << 30),
    ((4, 0, 1, 0, 7), 1 << 30),
    ((4, 0, 1, 0, 4), -7),
    ((4, 0, 1, 0, 3, 12, 3), 999),
    ((4, 0, 1, 0, 3, 12, 3), -2),
]


@pytest.mark.parametrize(("path", "value"), HOSTILE)
def test_a_footer_that_lies_ends_in_a_refusal_or_in_the_right_rows(path: tuple[int, ...], value: int) -> None:
    """Sizes, offsets and counts that cannot be: the group is dropped with a reason, or the rows come out right; nothing else."""
    store = MemoryStore()
    rows = pa.table({"n": list(range(100)), "m": list(range(100))})
    data = kit.parquet(rows, write_page_index=True, use_dictionary=False)
    store.put("x", _edited(data, path, value))
    file = InputFile(file=FileKey(path="x"), key="x", size_bytes=len(store.get("x")))
    made = job(rows.schema, statistics=(StatisticsColumn(path=("n",)),))
    outcome = kit.run(store, made, [file])
    if isinstance(outcome, RewriteResult):
        assert kit.read_back(store, outcome).equals(rows)
        (told,) = outcome.outputs[0].statistics
        assert (told.null_count, told.minimum, told.maximum) == (0, 0, 99)
    else:
        assert outcome.reason == "corrupt-file", outcome
        assert kit.keys(store) == ["x"]


def test_bytes_that_change_on_their_way_are_not_proven() -> None:
    """A bit that flips in what was copied, or in the footer, is found when the output is read again, and nothing is left of it."""
    for at in (1000, -40):
        store = MemoryStore()
        file = kit.put(store, "x", table(0, 2000), compression="none")
        flipped = store.get_ranges

        def damaged(key: str, ranges: object, at: int = at, read: object = flipped, store: MemoryStore = store) -> list[bytes | memoryview]:
            found = read(key, ranges)  # type: ignore[operator]
            if not key.startswith("out/"):
                return found
            where = at if at >= 0 else len(store.get(key)) + at
            parts = []
            for (start, length), data in zip(ranges, found, strict=True):  # type: ignore[call-overload]
                part = bytearray(data)
                if start <= where < start + length and length < len(store.get(key)):
                    part[where - start] ^= 1
                parts.append(bytes(part))
            return parts

        store.get_ranges = damaged  # type: ignore[assignment,method-assign]
        outcome = kit.run(store, job(), [file])
        assert not isinstance(outcome, RewriteResult)
        assert outcome.reason == "proof" and "is not what was read" in outcome.detail
        assert kit.keys(store) == ["x"]


def test_old_writers_are_not_copied() -> None:
    """Pages of writers whose faults readers work around by name are decoded; a writer without a name counts as one of them."""
    rows = pa.table({"n": [1, 2]})
    for name, engine in (
        (b"parquet-mr version 1.8.1 (build 4aba4dae)", "transcode"),
        (b"parquet-mr version 1.13.1 (build db4183109d)", "stitch"),
        (b"impala", "transcode"),
        (b"parquet-cpp version 1.5.0", "transcode"),
        (b"parquet-cpp-arrow version 9.0.0", "stitch"),
    ):
        store = MemoryStore()
        store.put("x", _edited(kit.parquet(rows), (6,), name))
        file = InputFile(file=FileKey(path="x"), key="x", size_bytes=len(store.get("x")))
        assert stitched(store, [file], job(rows.schema, statistics=())).engine == engine, name


def test_bounds_of_bytes_by_an_unknown_writer_are_not_repeated() -> None:
    """Their order may not be the type's: counts stay, bounds and column index go, and the log's bounds are those of the values."""
    rows = pa.table({"s": ["b", "a", None]})
    store = MemoryStore()
    store.put("x", _edited(kit.parquet(rows, write_page_index=True), (6,), b"somebody version 1.0"))
    file = InputFile(file=FileKey(path="x"), key="x", size_bytes=len(store.get("x")))
    result = stitched(store, [file], job(rows.schema, statistics=(StatisticsColumn(path=("s",)),)))
    chunk = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key))).row_group(0).column(0)
    assert (result.engine, chunk.statistics.has_min_max, chunk.statistics.null_count) == ("stitch", False, 1)
    assert (chunk.has_column_index, chunk.has_offset_index) == (False, True)
    (told,) = result.outputs[0].statistics
    assert (told.minimum, told.maximum) == ("a", "b")


@pytest.mark.parametrize(
    ("writer", "kept"),
    [
        (b"parquet-cpp-arrow version 3.0.0", False),
        (b"parquet-cpp-arrow version 21.0.0", True),
        (b"parquet-rs version 12.0.0", False),
        (b"Polars (python) version 1.30.0", False),
    ],
)
def test_bounds_of_decimals_by_writers_that_compared_them_wrongly_are_not_repeated(writer: bytes, kept: bool) -> None:
    """Under another name nobody could tell any more that they are wrong."""
    rows = pa.table({"d": pa.array([Decimal(127), Decimal(128), None], pa.decimal128(20, 0))})
    store = MemoryStore()
    store.put("x", _edited(kit.parquet(rows, write_page_index=True), (6,), writer))
    file = InputFile(file=FileKey(path="x"), key="x", size_bytes=len(store.get("x")))
    result = stitched(store, [file], job(rows.schema, statistics=()))
    chunk = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key))).row_group(0).column(0)
    assert (result.engine, chunk.statistics.has_min_max, chunk.has_column_index) == ("stitch", kept, kept)


def test_an_output_without_a_copied_row_group_has_the_writers_own_footer() -> None:
    """Where nothing is copied, outputs are byte for byte what Arrow's writer makes."""
    store = MemoryStore()
    file = kit.put(store, "x", table(0, 100))
    result = stitched(store, [file], job(choice=kit.DECODE))
    assert (result.engine, result.proof) == ("transcode", "full")
    data = bytes(store.get(result.outputs[0].key))
    (length,) = struct.unpack("<I", data[-8:-4])
    assert b"parquet-cpp-arrow" in data[-8 - length :]
    assert StatisticsCollector(SCHEMA, COLUMNS, 32).finish()[0].null_count == 0
