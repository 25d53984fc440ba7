"""Small files that are decoded together: the same rows in the same order as one by one, and every file that is wrong is named."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.rewriting import MIB, inline_deletes, job_of, parquet, put, read_back, rewritten, run, task_of

from compactor.ambient import VirtualClock
from compactor.model.engine import EngineChoice
from compactor.model.fingerprint import ProofReader
from compactor.model.plan import FileKey
from compactor.model.rewrite import GroupDropped, InputFile, RewriteJob
from compactor.rewriting import chained, native
from compactor.rewriting.budget import divide
from compactor.rewriting.chained import Chain
from compactor.rewriting.choose import ASKED, Against
from compactor.rewriting.fetch import Fetched
from compactor.rewriting.opened import Opener
from compactor.rewriting.parquet_fields import ColumnChunk, ColumnMetaData, FileMetaData, RowGroup
from compactor.rewriting.rewrite import rewrite
from compactor.rewriting.thrift_compact import I64, LIST, STRUCT, Items, read_struct, write_struct
from compactor.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(native.KERNELS is None, reason=f"The native package is {native.STATUS}.")

PLACE = pa.struct([("x", pa.float64()), ("zone", pa.string())])
SCHEMA = pa.schema([("a", pa.int64()), ("city", pa.string()), ("tags", pa.list_(pa.string())), ("place", PLACE), ("flag", pa.bool_())])


def job(**choice: object) -> RewriteJob:
    return replace(job_of(SCHEMA, EngineChoice(**{"mode": "transcode", **choice})), proof="counts")  # type: ignore[arg-type]


def rows(first: int, count: int, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    numbers = range(first, first + count)
    found = {
        "a": numbers,
        "city": [None if i % 7 == 0 else f"city-{i % 13}" for i in numbers],
        "tags": [None if i % 5 == 0 else [f"t{i % 3}"] * (i % 4) for i in numbers],
        "place": [None if i % 11 == 0 else {"x": i / 2, "zone": f"z{i % 9}"} for i in numbers],
        "flag": [i % 3 == 0 for i in numbers],
    }
    return pa.table({name: found[name] for name in columns}, schema=pa.schema([SCHEMA.field(name) for name in columns]))


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Row groups of everything that is opened."""
    seen: list[int] = []
    opened = Opener.open

    def noting(self: Opener, fetched):  # type: ignore[no-untyped-def]
        found = opened(self, fetched)
        seen.append(found.file.metadata.num_row_groups)
        return found

    monkeypatch.setattr(Opener, "open", noting)
    return seen


def test_many_files_are_opened_as_a_few_and_hold_their_rows(opens: list[int]) -> None:
    """Whatever lies between small files (deleted rows, none at all, another schema, another writer, a large one), rows keep their order."""
    store, inputs, expected, first = MemoryStore(), [], [], 0
    for i in range(60):
        count, columns, deletes = 50, SCHEMA.names, None
        options: dict[str, object] = {"row_group_size": 20} if i % 4 == 0 else {}
        match i:
            case 20:
                columns = ["flag", "a", "city"]
            case 30:
                deletes = inline_deletes([0, 7, 49])
            case 40:
                options = {"version": "1.0", "data_page_version": "2.0", "store_schema": True, "compression": "gzip"}
            case 45:
                count = 0
            case 50:
                count, options = 60_000, {"compression": "none"}
        inputs.append(put(store, f"f{i}", rows(first, count, columns), deletes, **options))
        found = rows(first, count).to_pylist()
        kept = [row for at, row in enumerate(found) if deletes is None or at not in (0, 7, 49)]
        expected += [{name: row[name] if name in columns else None for name in SCHEMA.names} for row in kept]
        first += count
    result = rewritten(run(store, job(), inputs, 2))
    assert read_back(store, result).to_pylist() == expected
    assert [after - before for before, after in zip(result.row_map.offsets, result.row_map.offsets[1:], strict=False)] == [  # type: ignore[union-attr]
        47 if i == 30 else 0 if i == 45 else 60_000 if i == 50 else 50 for i in range(59)
    ]
    assert len(opens) < 15
    assert result.decoded[0].row_groups >= 60


def test_without_the_package_the_rows_are_the_same(monkeypatch: pytest.MonkeyPatch, opens: list[int]) -> None:
    """One by one, and the outputs have the same rows in the same order."""
    store = MemoryStore()
    inputs = [put(store, f"f{i}", rows(50 * i, 50)) for i in range(10)]
    together = read_back(store, rewritten(run(store, job(), inputs)))
    monkeypatch.setattr(native, "KERNELS", None)
    del opens[:]
    alone = read_back(store, rewritten(run(store, job(), inputs)))
    assert len(opens) == 10
    assert alone.equals(together)


@pytest.mark.parametrize("reader", ["auto", "arrow"])
def test_where_all_rows_are_to_be_proven_fingerprints_are_taken_of_the_files(reader: ProofReader, opens: list[int]) -> None:
    """By the native reader; where Arrow is to read everything, files are decoded one by one and not put together."""
    store = MemoryStore()
    inputs = [put(store, f"f{i}", rows(50 * i, 50)) for i in range(5)]
    result = rewritten(run(store, replace(job(), proof="full", proof_reader=reader), inputs))
    assert result.proof == "full"
    assert (5 in opens) == (reader == "auto")


@pytest.mark.parametrize("wrong", [[1, 0, 2], [0, 0, 2], [0, 2, 1]])
def test_files_that_are_put_together_wrongly_are_not_proven(wrong: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that holds one file twice is no group of these files; one in another order holds the same rows."""
    make = chained._chained

    def other(files: Sequence[Fetched], against: Against) -> Chain:
        return replace(make([files[i] for i in wrong], against), members=files)

    monkeypatch.setattr(chained, "_chained", other)
    store = MemoryStore()
    outcome = run(store, replace(job(), proof="full"), [put(store, f"f{i}", rows(50 * i, 50)) for i in range(3)])
    doubled = len(set(wrong)) < len(wrong)
    assert (isinstance(outcome, GroupDropped) and outcome.reason == "proof") == doubled


def test_files_of_one_row_group_each_that_grow_when_decoded_are_decoded_one_by_one(opens: list[int]) -> None:
    """A chain is decoded at once, so it must fit what may be."""
    schema = pa.schema([("text", pa.string())])
    store = MemoryStore()
    inputs = [put(store, f"f{i}", pa.table({"text": [f"{i % 4}" * 4000] * 500}, schema=schema)) for i in range(8)]
    plan = replace(job(), read=replace(job().read, schema=schema))
    result = rewrite(plan, task_of(inputs), store, VirtualClock(), replace(divide(64 * MIB), batch=MIB))
    assert read_back(store, result).num_rows == 4000
    assert opens.count(1) == 8


def test_a_file_that_cannot_be_rewritten_is_left_out_by_its_name() -> None:
    """Also where it waits among others."""
    store = MemoryStore()
    odd = pa.table({"a": ["no number"], "city": ["x"]})
    inputs = [put(store, "f0", rows(0, 50)), put(store, "odd", odd), put(store, "f1", rows(50, 50)), put(store, "f2", rows(100, 50))]
    result = rewritten(run(store, job(), inputs))
    assert [left.file.path for left in result.left_out] == ["odd"]
    assert read_back(store, result).column("a").to_pylist() == list(range(150))


def spliced(data: bytes, other: bytes, column: int) -> bytes:
    """A file whose footer is that of `data`, and of which one column's pages are those of `other`."""
    footers = [read_struct(one[-8 - struct.unpack("<I", one[-8:-4])[0] : -8])[0] for one in (data, other)]
    groups = [footer.structs(FileMetaData.ROW_GROUPS)[0] for footer in footers]
    mine, theirs = (group.structs(RowGroup.COLUMNS) for group in groups)
    out, chunks = bytearray(b"PAR1"), []
    for at, chunk in enumerate(mine):
        source, taken = (other, theirs[at]) if at == column else (data, chunk)
        meta = taken.struct(ColumnChunk.META_DATA)
        assert meta is not None
        begin = meta.whole(ColumnMetaData.DATA_PAGE_OFFSET)
        length = meta.whole(ColumnMetaData.TOTAL_COMPRESSED_SIZE)
        meta = meta.changed({ColumnMetaData.DATA_PAGE_OFFSET: (I64, len(out))})
        chunks.append(chunk.changed({ColumnChunk.META_DATA: (STRUCT, meta)}))
        out += source[begin : begin + length]
    group = groups[0].changed({RowGroup.COLUMNS: (LIST, Items(STRUCT, tuple(chunks)))})
    footer = write_struct(footers[0].changed({FileMetaData.ROW_GROUPS: (LIST, Items(STRUCT, (group,)))}))
    return bytes(out) + footer + struct.pack("<I", len(footer)) + b"PAR1"


LISTS = pa.schema([("a", pa.int64()), ("l", pa.list_(pa.int64()))])
SHORT, LONG = [[1, 2], [3]], [[1], [2], [3], [4]]
"""Two rows and four, where the footers count three of three and of four values."""


@pytest.mark.parametrize("column", ["a", "l"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_rows_that_one_file_has_too_few_and_the_next_too_many_do_not_make_up_for_each_other(column: str, version: str) -> None:
    """All columns of both together have six rows, and yet values of one row would stand beside those of another."""

    def file(numbers: list[int], lists: list[list[int]]) -> bytes:
        count = min(len(numbers), len(lists))
        table = pa.table({"a": numbers[:count], "l": lists[:count]}, schema=LISTS)
        return parquet(table, use_dictionary=False, data_page_version=version, compression="none")

    first, second = file([1, 2, 3], [[1], [2], [3]]), file([4, 5, 6], [[1, 2], [3], [4]])
    few, many = file([7, 8], SHORT), file([7, 8, 9, 10], LONG)
    at = LISTS.names.index(column)
    store = MemoryStore()
    inputs = []
    for i, data in enumerate([spliced(first, few, at), spliced(second, many, at)]):
        store.put(f"f{i}", data)
        inputs.append(InputFile(file=FileKey(path=f"f{i}"), key=f"f{i}", size_bytes=len(data)))
    outcome = run(store, replace(job(), read=replace(job().read, schema=LISTS)), inputs)
    assert isinstance(outcome, GroupDropped)
    assert (outcome.reason, outcome.file) == ("corrupt-file", "f0")


def test_a_chain_ends_before_a_file_of_another_writer() -> None:
    """What readers do about faults of a writer they do for the one that the footer names."""
    one = parquet(rows(0, 5))
    other = one.replace(b"parquet-cpp-arrow", b"parquet-cpp-other")
    assert native.KERNELS is not None
    with pytest.raises(native.KERNELS.FuseRefused) as refused:
        native.KERNELS.chain([one, one, other])
    assert refused.value.args[1] == 2


def test_chains_stay_within_what_a_batch_may_take() -> None:
    """However many files wait, they are no more bytes than a quarter of it."""
    chainer = chained.Chainer(job(), replace(divide(64 * MIB), batch=40_000), fingerprinted=True)

    data = parquet(rows(0, 20))
    file = Fetched(index=0, input=InputFile(file=FileKey(path="f"), key="f", size_bytes=len(data)), size_bytes=len(data), source=data)
    taken = 0
    while chainer.takes(file, ASKED) and not chainer.full_for(file, ASKED):
        chainer.take(file, ASKED)
        taken += 1
    assert 1 < taken * len(data) <= 10_000
    (chain,) = chainer.chains()
    assert chain.whole is not None
    assert pq.read_metadata(pa.BufferReader(chain.whole.source)).num_rows == 20 * taken
