"""A worker's attempt at a group: rows in order, outputs named and divided, failures as values that leave nothing behind."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.rewriting import bitmap, framed, inline_deletes, job_of, keys, put, read_back, rewritten, run, streamed

from compactor.ambient.inline import Inline
from compactor.errors import StorageUnavailable
from compactor.model.plan import FileKey
from compactor.model.rewrite import Concat, Deletes, GroupDropped, InputFile, RewriteJob
from compactor.rewriting import arrow_writer
from compactor.rewriting.output import Copying, Output
from compactor.storage.memory import MemoryStore, MemoryWriter

SCHEMA = pa.schema([("a", pa.int64()), ("s", pa.string())])
JOB = job_of(SCHEMA, compression="snappy")


def rows(first: int, count: int) -> pa.Table:
    return pa.table({"a": range(first, first + count), "s": [f"v{i % 3}" for i in range(first, first + count)]}, schema=SCHEMA)


def test_outputs_are_the_inputs_one_after_the_other() -> None:
    """Rows keep their order over files, and the row map says where each file's begin."""
    store = MemoryStore()
    result = rewritten(run(store, JOB, [put(store, f"f{i}", rows(100 * i, 100)) for i in range(5)]))
    assert read_back(store, result)["a"].to_pylist() == list(range(500))
    assert result.row_map == Concat(offsets=(0, 100, 200, 300, 400))
    assert (result.input_rows, result.engine, result.requests) == (500, "transcode", 5)
    (output,) = result.outputs
    assert output.key == "out/s-a1-00000.snappy.parquet"
    assert (output.size_bytes, output.rows) == (store.head(output.key).size_bytes, 500)  # type: ignore[union-attr]


@pytest.mark.parametrize(("count", "outputs", "expected"), [(1000, 4, [250] * 4), (7, 3, [3, 2, 2]), (3, 5, [1, 1, 1]), (1, 2, [1])])
def test_one_file_is_split_into_even_rows(count: int, outputs: int, expected: list[int]) -> None:
    """A split gives outputs of even rows, each of one row at least."""
    store = MemoryStore()
    result = rewritten(run(store, JOB, [put(store, "big", rows(0, count))], outputs))
    assert [output.rows for output in result.outputs] == expected
    assert read_back(store, result)["a"].to_pylist() == list(range(count))


def test_a_merge_into_several_outputs_is_even_in_input_bytes() -> None:
    """Outputs of a merge get even shares of the input bytes."""
    store = MemoryStore()
    result = rewritten(run(store, JOB, [put(store, f"f{i}", rows(100 * i, 100)) for i in range(6)], 3))
    assert [output.rows for output in result.outputs] == pytest.approx([200, 200, 200], abs=10)


def test_deleted_rows_are_dropped_by_physical_position() -> None:
    """Positions count the file's rows before anything is dropped, over batches too."""
    store = MemoryStore()
    gone = [0, 5, 6, 99, 250, 299]
    inputs = [put(store, "f0", rows(0, 300), inline_deletes(gone), row_group_size=70), put(store, "f1", rows(300, 10))]
    for result in (rewritten(run(store, JOB, inputs)), streamed(store, JOB, inputs)):
        assert read_back(store, result)["a"].to_pylist() == [i for i in range(310) if i not in gone]
        assert result.row_map == Concat(offsets=(0, 294))
        assert result.input_rows == 304


def test_a_group_whose_rows_are_all_deleted_writes_nothing() -> None:
    """No surviving row, no output."""
    store = MemoryStore()
    result = rewritten(run(store, JOB, [put(store, "f", rows(0, 3), inline_deletes([0, 1, 2])), put(store, "empty", rows(0, 0))], 2))
    assert (result.outputs, result.input_rows, result.row_map) == ((), 0, Concat(offsets=(0, 0)))
    assert keys(store) == ["empty", "f"]


def test_deletes_in_an_object_are_read_from_their_range() -> None:
    """A deletion vector file holds several bitmaps; the right one is found by offset."""
    store = MemoryStore()
    data = bitmap([1])
    store.put("dv.bin", b"\x01" + framed(bitmap([0, 2])) + framed(data))
    offset = 1 + len(framed(bitmap([0, 2])))
    deletes = Deletes(key="dv.bin", offset=offset, size_bytes=len(data), cardinality=1)
    result = rewritten(run(store, JOB, [put(store, "f", rows(0, 3), deletes)]))
    assert read_back(store, result)["a"].to_pylist() == [0, 2]


def _dropped(store: MemoryStore, inputs: list[InputFile], job: RewriteJob = JOB) -> GroupDropped:
    before = keys(store)
    outcome = run(store, job, inputs, 3)
    assert isinstance(outcome, GroupDropped), outcome
    assert keys(store) == before, "something of the attempt was left"
    return outcome


def test_an_encrypted_file_is_left_out_alone() -> None:
    """A file that is whole but must not be rewritten stays, with a sentence that names it; rows and row map are those of the others."""
    store = MemoryStore()
    inputs = [put(store, f"g{i}", rows(1000 * i, 1000)) for i in range(3)]
    store.put("secret", b"PAR1" + b"\0" * 8 + b"PARE")
    inputs.insert(1, InputFile(file=FileKey(path="secret"), key="secret", size_bytes=16))
    result = rewritten(run(store, JOB, inputs, 1))
    assert [(left.file.path, "secret" in left.why) for left in result.left_out] == [("secret", True)]
    assert (result.input_rows, result.row_map) == (3000, Concat(offsets=(0, 1000, 2000)))


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"x" * 50 + b"PAR1"])
def test_a_file_that_is_no_parquet_drops_the_group(data: bytes) -> None:
    """Damage is a drop that names the file, and outputs written before it was met are taken back."""
    store = MemoryStore()
    good = [put(store, f"g{i}", rows(0, 1000)) for i in range(3)]
    store.put("bad", data)
    dropped = _dropped(store, [*good, InputFile(file=FileKey(path="bad%20path"), key="bad", size_bytes=len(data))])
    assert (dropped.reason, dropped.file, dropped.group_id) == ("corrupt-file", "bad%20path", 7)
    assert "bad" in dropped.detail


def test_a_damaged_page_drops_the_group() -> None:
    """Bytes that cannot be decoded drop the group as corrupt, whole file or streamed."""
    store = MemoryStore()
    file = put(store, "f", rows(0, 5000), compression="zstd")
    data = bytearray(store.get("f"))
    data[30:60] = b"\xff" * 30
    store.put("f", bytes(data))
    dropped = _dropped(store, [put(store, "g", rows(0, 5000)), file])
    assert (dropped.reason, dropped.file) == ("corrupt-file", "f")


def test_an_input_that_is_gone_drops_the_group_by_name() -> None:
    """An object that the log calls live and the store does not have is a corrupt table's file."""
    store = MemoryStore()
    gone = InputFile(file=FileKey(path="gone"), key="gone", size_bytes=100)
    dropped = _dropped(store, [put(store, "g", rows(0, 10)), gone])
    assert (dropped.reason, dropped.file) == ("corrupt-file", "gone")


def test_a_failing_upload_takes_back_finished_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the second output cannot be published, the first one goes too."""
    store = MemoryStore()
    closed: list[str] = []
    close = MemoryWriter.close

    def failing(writer: MemoryWriter) -> int:
        closed.append("x")
        if len(closed) == 2:
            writer.abort()
            raise StorageUnavailable("memory://table/out did not answer.")
        return close(writer)

    monkeypatch.setattr(MemoryWriter, "close", failing)
    assert _dropped(store, [put(store, "f", rows(0, 100))]).reason == "storage"
    assert len(closed) == 2


def test_an_object_is_never_published_by_giving_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow closes its files when it gives up; that must not publish half a file."""
    store = MemoryStore()
    put_back = pq.ParquetWriter.write_table

    def failing(self: pq.ParquetWriter, table: pa.Table, **options: object) -> None:
        put_back(self, table, **options)
        raise StorageUnavailable("memory://table/out did not answer.")

    file = put(store, "f", rows(0, 100))
    monkeypatch.setattr(pq.ParquetWriter, "write_table", failing)
    assert _dropped(store, [file]).reason == "storage"


def test_nothing_more_is_sent_once_an_output_is_given_up() -> None:
    """What Arrow still writes while it closes does not become another part of an upload."""
    sent: list[int] = []

    class Recorder(MemoryWriter):
        def write(self, data: bytes | memoryview) -> int:
            sent.append(len(data))
            return super().write(data)

    copying = Copying(pool=Inline(), in_flight_bytes=1, digests=False)
    output = Output("x", Recorder(MemoryStore(), "x"), SCHEMA, JOB.write, copying)
    output.write_row_group(rows(0, 500_000), [])
    before = len(sent)
    output.abort()
    assert len(sent) == before > 0


def test_rows_lost_while_reading_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer decoded rows than the footer counts are damage of that file, and nothing is left."""
    read = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", lambda *args, **options: read(*args, **options).slice(1))
    store = MemoryStore()
    dropped = _dropped(store, [put(store, "f", rows(0, 100))])
    assert (dropped.reason, dropped.file) == ("corrupt-file", "f")
    assert "99 rows, its footer counts 100" in dropped.detail


def test_rows_lost_while_writing_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows in the written footer than were given are a failed proof, and nothing is left."""
    write = pq.ParquetWriter.write_table
    store = MemoryStore()
    file = put(store, "f", rows(0, 100))
    monkeypatch.setattr(pq.ParquetWriter, "write_table", lambda self, table, **options: write(self, table.slice(1), **options))
    dropped = _dropped(store, [file])
    assert dropped.reason == "proof"


def test_unsupported_conversion_names_file_and_column() -> None:
    """A file whose column cannot become the table's is left alone by name."""
    store = MemoryStore()
    dropped = _dropped(store, [put(store, "f", pa.table({"a": ["x"], "s": ["y"]}))])
    assert dropped.reason == "unsupported-file"
    assert dropped.file == "f"
    assert '"a"' in dropped.detail


def test_codec_and_page_version_are_as_asked() -> None:
    """Outputs have the codec of the job, page indexes, and no Arrow schema that would force its types on readers."""
    store = MemoryStore()
    job = job_of(SCHEMA, compression="zstd", page_version="2.0")
    result = rewritten(run(store, job, [put(store, "f", rows(0, 1000))]))
    (output,) = result.outputs
    assert output.key.endswith(".zstd.parquet")
    footer = pq.read_metadata(pa.BufferReader(store.get(output.key)))
    chunk = footer.row_group(0).column(0)
    assert (chunk.compression, chunk.has_column_index, chunk.has_offset_index) == ("ZSTD", True, True)
    assert b"ARROW:schema" not in (footer.metadata or {})
    assert read_back(store, result).schema.field("s").type == pa.string()


def test_row_groups_keep_their_bound() -> None:
    """No row group has more rows than asked for."""
    store = MemoryStore()
    result = rewritten(run(store, job_of(SCHEMA, row_group_rows=64), [put(store, f"f{i}", rows(i * 100, 100)) for i in range(3)]))
    footer = pq.read_metadata(pa.BufferReader(store.get(result.outputs[0].key)))
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [64, 64, 64, 64, 44]


def test_values_larger_than_a_page_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer looks at a page's size more often where values are large."""
    small = pa.table({"s": ["x"] * 100_000})
    large = pa.table({"s": ["x" * 100_000] * 10})
    assert arrow_writer._write_batch(small) > 1000
    assert arrow_writer._write_batch(large) <= 16


def test_floats_get_no_bounds_in_footers() -> None:
    """A footer tells no bounds of floats, at any depth: they pass over NaN, Spark's largest number, which it would then skip."""
    values = [1.5, float("nan"), None]
    nested = [{"f": 1.0, "l": [2.0]}, None, {"f": None, "l": []}]
    kind = pa.struct([("f", pa.float32()), ("l", pa.list_(pa.float64()))])
    data = pa.table(
        {"n": [1, 2, 3], "x": pa.array(values, pa.float64()), "a.b": pa.array(values, pa.float32()), "s": pa.array(nested, kind)}
    )
    store = MemoryStore()
    result = rewritten(run(store, job_of(data.schema), [put(store, "f", data)]))
    footer = pq.ParquetFile(pa.BufferReader(store.get(result.outputs[0].key))).metadata.row_group(0)
    told = {footer.column(i).path_in_schema: footer.column(i).statistics for i in range(footer.num_columns)}
    assert {path for path, statistics in told.items() if statistics is not None and statistics.has_min_max} == {"n"}
