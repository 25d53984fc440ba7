"""Floats looked at where they lie: the extremes are those of the values, and what cannot be told has no answer."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.rewriting import parquet

from compactor.rewriting import float_pages, native
from compactor.rewriting.encoded import EncodedFile, chunks_of_group, encoded_file
from compactor.rewriting.float_pages import FloatValues, float_values, floats_of_file
from compactor.rewriting.parquet_fields import ColumnMetaData
from compactor.rewriting.thrift_compact import I32, I64

VALUES = st.lists(st.one_of(st.none(), st.floats(width=32), st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf])), max_size=60)
PLACES: list[Path] = []
LAYOUTS = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "brotli", "lz4"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "use_dictionary": st.booleans(),
        "data_page_size": st.sampled_from([1, 64, 1 << 20]),
        "dictionary_pagesize_limit": st.sampled_from([16, 1 << 20]),
        "write_batch_size": st.sampled_from([1, 7, 1024]),
    }
)


def footer_of(data: bytes) -> EncodedFile:
    (length,) = struct.unpack("<I", data[-8:-4])
    return encoded_file(data[-8 - length : -8], len(data) - 8 - length)


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where bytes are put that are looked at as a file."""
    PLACES.append(tmp_path_factory.mktemp("floats") / "x.parquet")
    yield
    PLACES.clear()


def looked_at(data: bytes, footer: EncodedFile | None = None) -> FloatValues | None:
    """The first column of the first row group."""
    file = footer or footer_of(data)
    _, meta, pages = chunks_of_group(file, 0)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "KERNELS", None)
        return float_values(meta, file.leaves[0], pages, lambda start, length: data[start : start + length])


def natively(data: bytes, file: EncodedFile) -> FloatValues | None:
    """The same by the native package, from a file of this machine."""
    PLACES[0].write_bytes(data)
    _, meta, pages = chunks_of_group(file, 0)[0]
    seen = floats_of_file(str(PLACES[0]), {0: (meta, file.leaves[0], pages)}).get(0)
    for piece in (1 << 20, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(float_pages, "_PIECE_BYTES", piece)
            brought = float_values(meta, file.leaves[0], pages, lambda start, length: data[start : start + length])
        assert repr(brought) in (repr(seen), repr(looked_at(data, file))), "however its bytes are brought"
    return seen


@settings(max_examples=300, deadline=None)
@example(values=[1.0, None, math.nan], layout={"compression": "snappy"}, kind=pa.float64(), nullable=True)
@given(values=VALUES, layout=LAYOUTS, kind=st.sampled_from([pa.float32(), pa.float64()]), nullable=st.booleans())
def test_extremes_are_those_of_the_values(values: list[float | None], layout: dict[str, object], kind: pa.DataType, nullable: bool) -> None:
    """For every codec, page version, width and layout, with nulls or without: least, greatest, and whether one is NaN."""
    kept = [value for value in values if nullable or value is not None] or [2.5]
    column = pa.array(kept, kind)
    data = parquet(pa.table([column], schema=pa.schema([pa.field("x", kind, nullable)])), **layout)
    seen = looked_at(data)
    assert seen is not None
    if native.KERNELS is not None and layout["compression"] != "brotli":
        assert natively(data, footer_of(data)) == seen
    if pc.any(pc.is_nan(column), min_count=0).as_py():
        assert seen.nan
        return
    told = pc.min_max(column).as_py()
    assert (seen.nan, seen.low, seen.high) == (False, told["min"], told["max"])
    assert seen.indirect <= bool(layout.get("use_dictionary", True))


def test_structs_are_looked_at_and_lists_are_not() -> None:
    """A leaf below structs has levels of any depth, one below a list has no row of its own."""
    place = pa.array([{"lat": 1.0}, None, {"lat": None}, {"lat": -4.0}], pa.struct([("lat", pa.float64())]))
    assert looked_at(parquet(pa.table({"place": place}))) == FloatValues(low=-4.0, high=1.0, indirect=True)
    assert looked_at(parquet(pa.table({"many": pa.array([[1.0]])}))) is None


@pytest.mark.parametrize("encoding", ["BYTE_STREAM_SPLIT"])
def test_other_encodings_have_no_answer(encoding: str) -> None:
    """Values that do not lie side by side are left to a decoder."""
    data = parquet(pa.table({"x": [1.0, 2.0]}), use_dictionary=False, column_encoding={"x": encoding})
    assert (looked_at(data), natively(data, footer_of(data))) == (None, None)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_changed_pages_have_an_answer_or_none(data: st.DataObject) -> None:
    """Whatever the bytes of a page or its header say, nothing is raised, and nothing is believed that does not add up with the footer."""
    layout = data.draw(LAYOUTS)
    whole = bytearray(parquet(pa.table({"x": [float(i) for i in range(50)]}), **layout))
    footer = footer_of(bytes(whole))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(4, footer.end - 1))] = data.draw(st.integers(0, 255))
    told = [seen for seen in (looked_at(bytes(whole), footer), natively(bytes(whole), footer)) if seen is not None]
    assert all(seen.nan or (seen.low is not None and seen.high is not None and seen.low <= seen.high) for seen in told)
    assert len(set(map(repr, told))) < 2 or any(seen.nan for seen in told), "both looked at the same values"


@pytest.mark.parametrize("codec", [3, 5, 99])
def test_codecs_that_are_not_here_have_no_answer(codec: int) -> None:
    """LZO, Hadoop's LZ4, and numbers that no codec has."""
    data = parquet(pa.table({"x": [1.0, 2.0]}), compression="snappy")
    file = footer_of(data)
    _, meta, pages = chunks_of_group(file, 0)[0]
    changed = meta.changed({ColumnMetaData.CODEC: (I32, codec)})
    assert float_values(changed, file.leaves[0], pages, lambda start, length: data[start : start + length]) is None


def test_a_chunk_with_fewer_values_than_it_says_has_no_answer() -> None:
    """A page that is missing could hold anything."""
    data = parquet(pa.table({"x": [float(i) for i in range(3000)]}), use_dictionary=False, data_page_size=800, write_batch_size=100)
    file = footer_of(data)
    _, meta, pages = chunks_of_group(file, 0)[0]
    index = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(0)
    assert index.total_compressed_size == pages.length
    short = type(pages)(pages.start, pages.length // 2)
    assert float_values(meta, file.leaves[0], short, lambda start, length: data[start : start + length]) is None
    PLACES[0].write_bytes(data)
    assert floats_of_file(str(PLACES[0]), {0: (meta, file.leaves[0], short)}) == {}
    more = meta.changed({ColumnMetaData.NUM_VALUES: (I64, 3001)})
    assert float_values(more, file.leaves[0], pages, lambda start, length: data[start : start + length]) is None
    assert floats_of_file(str(PLACES[0]), {0: (more, file.leaves[0], pages)}) == {}


def test_a_file_that_is_gone_has_no_answer(tmp_path: Path) -> None:
    """What is wrong with it, whoever reads it next says."""
    data = parquet(pa.table({"x": [1.0, 2.0]}))
    file = footer_of(data)
    _, meta, pages = chunks_of_group(file, 0)[0]
    assert floats_of_file(str(tmp_path / "nothing"), {0: (meta, file.leaves[0], pages)}) == {}
