"""Small files that are merged page by page: what may be, what comes out, and what readers that share no code with us make of it."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from unittest import mock

import deltalake
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import rewriting as kit
from unit.rewriting.test_stitch import COLUMNS, SCHEMA, _edited, table

from compactor.ambient import VirtualClock
from compactor.model.engine import Copies, EngineChoice, EngineMode
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile, RewriteJob, RewriteResult, RowIds, StatisticsColumn
from compactor.rewriting import fuse, native
from compactor.rewriting.fragment import EncodedRowGroup
from compactor.rewriting.native import KERNELS, STATUS
from compactor.rewriting.parquet_fields import FileMetaData
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.rewrite import rewrite
from compactor.rewriting.thrift_compact import read_struct, write_struct
from compactor.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
FUSE = EngineChoice(mode="fuse")
DECODE = EngineChoice(mode="transcode")


def job(schema: pa.Schema = SCHEMA, choice: EngineChoice = FUSE, **write: object) -> RewriteJob:
    return replace(kit.job_of(schema, **{"statistics": COLUMNS, "compression": "snappy", **write}), engine=choice)


def fused(store: MemoryStore, inputs: list[InputFile], made: RewriteJob | None = None, outputs: int = 1) -> RewriteResult:
    return rewrite(made or job(), kit.task_of(inputs, outputs), store, VirtualClock())


KINDS: list[dict[str, object]] = [
    {"compression": "snappy", "write_page_index": True},
    {"compression": "snappy", "use_dictionary": False},
    {"compression": "zstd", "data_page_version": "2.0"},
    {"compression": "gzip", "row_group_size": 300, "data_page_size": 500},
    {"compression": "none", "write_statistics": False},
    {"compression": "lz4", "use_dictionary": False, "data_page_version": "2.0"},
    {"compression": "snappy", "dictionary_pagesize_limit": 300, "data_page_size": 200},
    {"compression": "snappy", "use_dictionary": False, "column_encoding": {"id": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"}},
    {"compression": "snappy", "use_dictionary": False, "column_encoding": {"x": "BYTE_STREAM_SPLIT", "raw": "DELTA_LENGTH_BYTE_ARRAY"}},
]


def inputs_of(store: MemoryStore, rows: int = 700) -> list[InputFile]:
    return [kit.put(store, f"in-{i}.parquet", table(i * rows, rows), **kind) for i, kind in enumerate(KINDS)]


@pytest.mark.parametrize("codec", ["snappy", "zstd", "none"])
def test_every_row_comes_out_as_it_was_in_order(codec: str) -> None:
    """Files of several codecs, page versions and encodings become one row group, which holds their rows in their order."""
    store = MemoryStore()
    result = fused(store, inputs_of(store), job(compression=codec))
    assert (result.engine, result.proof, result.decoded) == ("fuse", "full", ())
    assert result.copies == Copies(merged_files=len(KINDS), merged_bytes=result.bytes_read)
    assert kit.read_back(store, result).equals(table(0, 700 * len(KINDS)))
    (output,) = result.outputs
    footer = pq.read_metadata(pa.BufferReader(store.get(output.key)))
    assert footer.num_row_groups == 1
    assert footer.created_by.startswith("lakehouse-compactor version ")


def test_statistics_for_the_log_are_those_of_the_rows() -> None:
    """What is said of each column is what is said when every value is decoded, and its footer says the same as one of Arrow's writer."""
    store = MemoryStore()
    files = inputs_of(store)
    told, expected = (fused(store, files, job(choice=choice)).outputs[0] for choice in (FUSE, DECODE))
    assert {found.path: found for found in told.statistics} == {found.path: found for found in expected.statistics}


def test_an_empty_footer_is_made_without_pandas() -> None:
    """Worker processes do without pandas, which Arrow looks for when it makes an array of a list."""
    code = (
        "import sys; sys.modules['pandas'] = None; import pyarrow as pa; from compactor.model.rewrite import WriteSpec; "
        "from compactor.rewriting.arrow_writer import empty_footer; empty_footer(pa.schema([('a', pa.int64())]), WriteSpec())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def by_duckdb(rows: pa.Table, place: Path) -> bytes:
    path = place / "by_duckdb.parquet"
    duckdb.sql(f"COPY rows TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def by_polars(rows: pa.Table, place: Path) -> bytes:
    path = place / "by_polars.parquet"
    pl.DataFrame(rows).write_parquet(path, compression="snappy")
    return path.read_bytes()


def by_deltalake(rows: pa.Table, place: Path) -> bytes:
    deltalake.write_deltalake(place / f"table-{rows.num_rows}", rows, mode="overwrite")
    (file,) = deltalake.DeltaTable(place / f"table-{rows.num_rows}").file_uris()
    return Path(file).read_bytes()


WRITERS: dict[str, Callable[[pa.Table, Path], bytes]] = {"duckdb": by_duckdb, "polars": by_polars, "deltalake": by_deltalake}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("rows", [60, 9000])
def test_files_of_other_writers_are_merged(writer: str, rows: int, tmp_path: Path) -> None:
    """Files of each writer are merged, beside one of Arrow's, and hold the same rows then as when they are decoded."""
    store = MemoryStore()
    columns = [name for name in SCHEMA.names if not (writer == "polars" and name == "m")]
    whole = table(0, 3 * rows).select(columns)
    inputs = []
    for i in range(3):
        part = whole.slice(i * rows, rows).combine_chunks()
        data = WRITERS[writer](part, tmp_path) if i != 1 else kit.parquet(part)
        store.put(f"in-{i}.parquet", data)
        inputs.append(InputFile(file=FileKey(path=f"in-{i}.parquet"), key=f"in-{i}.parquet", size_bytes=len(data)))
    result = fused(store, inputs, job(whole.schema))
    assert (result.engine, result.decoded) == ("fuse", ())
    assert kit.read_back(store, result).cast(whole.schema).equals(whole)
    expected = fused(store, inputs, job(whole.schema, DECODE)).outputs[0].statistics
    assert {found.path: found for found in result.outputs[0].statistics} == {found.path: found for found in expected}


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
def test_values_that_repeat_from_file_to_file_get_a_dictionary(codec: str) -> None:
    """Files too small for dictionaries of their own do not leave their poor encoding to the output; what does not repeat stays PLAIN."""
    store = MemoryStore()
    rng = np.random.default_rng(3)
    whole = pa.table({"few": [f"kind {i}" for i in rng.integers(0, 90, 20_000)], "many": rng.integers(0, 2**60, 20_000)})
    parts = [whole.slice(i * 50, 50) for i in range(400)]
    inputs = [kit.put(store, f"in-{i}.parquet", part, compression=codec, use_dictionary=False) for i, part in enumerate(parts)]
    result = fused(store, inputs, job(whole.schema, compression=codec, statistics=()))
    assert (result.engine, result.decoded) == ("fuse", ())
    data = store.get(result.outputs[0].key)
    group = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    assert [group.column(i).has_dictionary_page for i in range(2)] == [True, False]
    decoded = fused(store, inputs, job(whole.schema, DECODE, compression=codec, statistics=()))
    assert result.outputs[0].size_bytes < 1.01 * decoded.outputs[0].size_bytes
    assert kit.read_back(store, result).equals(whole)


@pytest.mark.parametrize("mode", ["auto", "fuse"])
def test_files_that_need_rows_are_decoded_in_their_place(mode: EngineMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with deleted rows, and what is too little to merge beside it, is decoded into the same output as merged files."""
    store = MemoryStore()
    parts = [table(i * 3000, 3000) for i in range(9)]
    deletes = {3: kit.inline_deletes([0, 5, 2999])}
    inputs = [kit.put(store, f"in-{i}.parquet", part, deletes.get(i), compression="none") for i, part in enumerate(parts)]
    monkeypatch.setattr(fuse, "_FEW_BYTES", 4 * inputs[0].size_bytes)
    result = fused(store, inputs, job(choice=EngineChoice(mode=mode)))
    assert result.proof == "full"
    kept = [part if i not in deletes else part.take([r for r in range(3000) if r not in (0, 5, 2999)]) for i, part in enumerate(parts)]
    assert kit.read_back(store, result).equals(pa.concat_tables(kept))
    assert result.engine == "fuse+transcode"
    assert [(because.code, because.row_groups) for because in result.decoded] == [("few", 3), ("deletes", 1)]
    assert result.copies.merged_files == 5
    assert result.row_map.offsets == (0, 3000, 6000, 9000, 11997, 14997, 17997, 20997, 23997)


def test_rows_that_merging_got_wrong_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The full proof finds out when the kernel makes other rows than there were, although their number is right."""
    right = fuse._Target.merged

    def wrong(target: fuse._Target, kernels: ModuleType, members: Sequence[fuse.Member], *how: bool) -> EncodedRowGroup:
        return right(target, kernels, [members[0], *members[:-1]], *how)

    monkeypatch.setattr(fuse._Target, "merged", wrong)
    store = MemoryStore()
    inputs = [kit.put(store, f"in-{i}.parquet", table(i * 100, 100)) for i in range(3)]
    with pytest.raises(FileProblem) as problem:
        fused(store, inputs)
    assert problem.value.reason == "proof"


def test_files_in_which_outputs_end_are_divided() -> None:
    """An oversized file is decoded, so that its outputs are even, and the reason is told; small files beside it are merged."""
    store = MemoryStore()
    inputs = [kit.put(store, "large.parquet", table(0, 9000))]
    inputs += [kit.put(store, f"in-{i}.parquet", table(9000 + i * 1500, 1500)) for i in range(6)]
    for mode in ("auto", "fuse"):
        with mock.patch.object(fuse, "_FEW_BYTES", 1):
            result = fused(store, inputs, job(choice=EngineChoice(mode=mode)), outputs=4)
        assert (result.engine, [because.code for because in result.decoded]) == ("fuse+transcode", ["large"])
        assert len(result.outputs) == 4
        assert max(output.rows for output in result.outputs) < 1.5 * 18_000 / 4
        assert kit.read_back(store, result).equals(table(0, 18_000))
        store.delete([output.key for output in result.outputs])


def test_columns_come_and_go() -> None:
    """Columns that a file lacks are null, those that the table has dropped are left out, whatever their order and depth."""
    store = MemoryStore()
    rows = table(0, 500)
    narrow = rows.select(["s", "id", "x"])
    wide = rows.append_column("gone", rows["tags"]).append_column("away", rows["place"])
    inputs = [kit.put(store, f"in-{i}.parquet", part) for i, part in enumerate((rows, narrow, wide))]
    result = fused(store, inputs)
    assert (result.engine, result.decoded) == ("fuse", ())
    expected = pa.concat_tables([rows, fill(narrow), rows])
    assert kit.read_back(store, result).equals(expected)
    decoded = fused(store, inputs, job(choice=DECODE)).outputs[0].statistics
    assert {found.path: found for found in result.outputs[0].statistics} == {found.path: found for found in decoded}


def fill(rows: pa.Table) -> pa.Table:
    return pa.table([rows[field.name] if field.name in rows.column_names else pa.nulls(len(rows), field.type) for field in SCHEMA], SCHEMA)


def test_columns_are_found_by_field_id() -> None:
    """Where a table finds its columns by id, renamed ones are found, and a file without ids is not taken for one that lacks them all."""
    store = MemoryStore()
    ids = lambda names: pa.schema([pa.field(name, pa.int64(), metadata={"PARQUET:field_id": str(i + 1)}) for i, name in enumerate(names)])  # noqa: E731
    schema = ids(["col-a", "col-b"])
    inputs = [
        kit.put(store, "in-0.parquet", pa.table([[1, 2], [3, 4]], schema=schema)),
        kit.put(store, "in-1.parquet", pa.table([[5], [6]], schema=ids(["col-b", "x"]))),
    ]
    made = job(schema, statistics=())
    result = fused(store, inputs, replace(made, read=replace(made.read, match="id")))
    assert result.engine == "fuse"
    assert kit.read_back(store, result).to_pydict() == {"col-a": [1, 2, 5], "col-b": [3, 4, 6]}
    bare = kit.put(store, "in-2.parquet", pa.table({"col-a": [7], "col-b": [8]}))
    left = fused(store, [*inputs, bare], replace(made, read=replace(made.read, match="id")))
    assert [one.file.path for one in left.left_out] == ["in-2.parquet"]


def test_several_outputs_share_the_rows() -> None:
    """Batches end where outputs end, so that outputs are about as large as when rows are divided."""
    store = MemoryStore()
    inputs = [kit.put(store, f"in-{i}.parquet", table(i * 400, 400)) for i in range(12)]
    result = fused(store, inputs, outputs=3)
    assert [output.rows for output in result.outputs] == [1600, 1600, 1600]
    assert kit.read_back(store, result).equals(table(0, 4800))


def test_files_without_rows_add_none() -> None:
    """A file without rows or without row groups, at either end or alone, changes nothing."""
    store = MemoryStore()
    empty = kit.put(store, "empty.parquet", SCHEMA.empty_table())
    none = pa.BufferOutputStream()
    pq.ParquetWriter(none, SCHEMA).close()
    store.put("none.parquet", none.getvalue().to_pybytes())
    bare = replace(empty, key="none.parquet", file=FileKey(path="none.parquet"), size_bytes=none.getvalue().size)
    full = kit.put(store, "full.parquet", table(0, 10))
    result = fused(store, [empty, full, bare])
    assert kit.read_back(store, result).equals(table(0, 10))
    assert result.row_map.offsets == (0, 0, 10)


def test_a_damaged_page_costs_its_file_and_no_other() -> None:
    """A file whose pages are refused is decoded by itself, which names it; the others around it would have been merged."""
    store = MemoryStore()
    inputs = [kit.put(store, f"in-{i}.parquet", table(i * 300, 300), compression="none", use_dictionary=False) for i in range(5)]
    data = bytearray(store.get("in-2.parquet"))
    at = data.index(b"value 0")
    data[at - 4] = 200  # the length of a string
    store.put("in-2.parquet", bytes(data))
    with pytest.raises(FileProblem, match="in-2") as problem:
        fused(store, inputs)
    assert problem.value.reason == "corrupt-file"
    assert not [key for key in kit.keys(store) if key.startswith("out/")]


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda made: replace(made, write=replace(made.write, compression="gzip")), "codec"),
        (lambda made: replace(made, write=replace(made.write, page_version="2.0")), "page-version"),
        (lambda made: replace(made, read=replace(made.read, row_ids=RowIds(id_column="_id", version_column="_v"))), "row-tracking"),
    ],
)
def test_what_stands_against_a_whole_run_is_named(made: Callable[[RewriteJob], RewriteJob], code: str) -> None:
    """Where nothing can be merged everything is decoded, and the reason is told once."""
    store = MemoryStore()
    inputs = [kit.put(store, f"in-{i}.parquet", table(i * 50, 50)) for i in range(3)]
    inputs = [replace(file, base_row_id=0, row_version=1) for file in inputs]
    result = fused(store, inputs, made(job()))
    assert (result.engine, [because.code for because in result.decoded]) == ("transcode", [code])


def test_without_the_native_package_everything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to merge where the kernel is missing, a run decodes and says why."""
    monkeypatch.setattr(native, "KERNELS", None)
    store = MemoryStore()
    result = fused(store, [kit.put(store, "in.parquet", table(0, 50))])
    assert (result.engine, result.decoded[0].code) == ("transcode", "kernels")


def is_damaged(data: bytearray, at: int) -> bool:
    """Whether Arrow cannot read the file once a byte of it is another."""
    changed = bytes(byte ^ (0xFF if i == at else 0) for i, byte in enumerate(data))
    try:
        pq.read_table(pa.BufferReader(changed))
    except OSError:
        return True
    return False


def test_damage_in_what_is_kept_compressed_is_refused_when_asked_for() -> None:
    """A damaged frame of Zstandard is kept as it is, and found by decompressing it once."""
    store = MemoryStore()
    parts = [pa.table({"x": pa.array([i * 1000 for i in range(n * 90_000, n * 90_000 + 90_000)], pa.int64())}) for n in range(3)]
    files = [kit.put(store, f"in-{n}.parquet", part, compression="zstd") for n, part in enumerate(parts)]
    data = bytearray(store.get("in-2.parquet"))
    data[next(at for at in range(1000, len(data) - 2000, 997) if is_damaged(data, at))] ^= 0xFF
    store.put("in-2.parquet", bytes(data))
    made = replace(job(parts[0].schema, compression="zstd", statistics=()), proof="counts")
    assert fused(store, files, made).engine == "fuse"
    with pytest.raises(FileProblem, match="in-2"):  # it is decoded then, and cannot be
        fused(store, files, replace(made, engine=EngineChoice(mode="fuse", verify=True)))


def test_a_row_group_without_rows_says_nothing_of_where_it_is() -> None:
    """Writers put anything into the offsets of an empty row group, which is no reason to decode its file."""
    store = MemoryStore()
    files = [kit.put(store, f"in-{n}.parquet", SCHEMA.empty_table(), compression=codec) for n, codec in enumerate(("lz4", "zstd", "none"))]
    result = fused(store, [*files, kit.put(store, "in-3.parquet", table(0, 10))])
    assert (result.engine, result.decoded) == ("fuse", ())


@pytest.mark.parametrize("writer", [b"parquet-cpp-arrow version 3.0.0", b"parquet-rs version 12.0.0"])
def test_bounds_of_decimals_by_writers_that_compared_them_wrongly_are_those_of_the_values(writer: bytes) -> None:
    """A page that is kept as it is brings no bounds of its file's footer into the log where that may pass over a value."""
    low, high = Decimal(100), Decimal(10**18)
    numbers = np.random.default_rng(1).integers(2**56, 10**17, 6000).tolist()
    rows = pa.table({"d": pa.array([low, high, *map(Decimal, numbers)], pa.decimal128(20, 0))})
    data = kit.parquet(rows, use_dictionary=False, compression="snappy")
    data = _edited(_edited(data, (6,), writer), (4, 0, 1, 0, 3, 12, 6), (2**55).to_bytes(9, "big"))
    store = MemoryStore()
    store.put("x", data)
    file = InputFile(file=FileKey(path="x"), key="x", size_bytes=len(data))
    made = job(rows.schema, compression="snappy", statistics=(StatisticsColumn(path=("d",)),))
    result = fused(store, [file], made)
    assert (result.engine, result.decoded) == ("fuse", ())
    assert (result.outputs[0].statistics[0].minimum, result.outputs[0].statistics[0].maximum) == (low, high)


@pytest.mark.parametrize("told", [True, False])
def test_bounds_in_an_order_that_a_footer_does_not_tell_are_those_of_the_values(told: bool) -> None:
    """Without the order of its type a column's bounds in the footer say nothing, however well its writer is known."""
    rows = pa.table({"x": pa.array(range(5, 9000), pa.int64())})
    data = kit.parquet(rows, use_dictionary=False, compression="snappy")
    data = _edited(data, (4, 0, 1, 0, 3, 12, 6), (3).to_bytes(8, "little"))
    if not told:
        data = _without_orders(data)
    store = MemoryStore()
    store.put("x", data)
    file = InputFile(file=FileKey(path="x"), key="x", size_bytes=len(data))
    made = replace(job(rows.schema, compression="snappy", statistics=(StatisticsColumn(path=("x",)),)), proof="counts")
    result = fused(store, [file], made)
    assert (result.engine, result.decoded) == ("fuse", ())
    assert result.outputs[0].statistics[0].minimum == (3 if told else 5)


def _without_orders(data: bytes) -> bytes:
    """The file with a footer that does not say in which order the bounds of its columns are."""
    (length,) = struct.unpack("<I", data[-8:-4])
    footer, _ = read_struct(data[-8 - length : -8])
    changed = write_struct(footer.changed({FileMetaData.COLUMN_ORDERS: None}))
    return data[: -8 - length] + changed + struct.pack("<I", len(changed)) + b"PAR1"


def test_files_that_are_mostly_footer_are_held_in_bounds_too() -> None:
    """What waits to be merged is held whole: a row group ends by the bytes of its files, not by those of their columns alone."""
    store = MemoryStore()
    names = [f"a_column_with_a_long_name_{i}" for i in range(40)]
    schema = pa.schema([(name, pa.int64()) for name in names])
    inputs = [kit.put(store, f"in-{n}.parquet", pa.table({name: [n] for name in names}, schema=schema)) for n in range(200)]
    held = sum(file.size_bytes for file in inputs)
    result = rewrite(job(schema), kit.task_of(inputs, memory_bytes=8 * kit.MIB), store, VirtualClock())
    (data,) = [store.get(output.key) for output in result.outputs]
    groups = pq.read_metadata(pa.BufferReader(data)).num_row_groups
    assert held > 1.5 * kit.MIB
    assert groups >= held // kit.MIB
    assert kit.read_back(store, result)[names[0]].to_pylist() == list(range(200))
