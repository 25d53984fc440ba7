"""Spark reads merged files as their inputs were, by its vectorised reader and row by row: its part of the matrix of readers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.merged_files import OUTPUT_CODECS, coming_again, merged
from support.parquet_pages import DICTIONARY_PAGE, PLAIN, pages
from support.parquet_writers import kinds
from support.spark import Row, Spark

from compactor.rewriting.native import KERNELS, STATUS

pytestmark = [
    pytest.mark.spark,
    pytest.mark.timeout(600),
    pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}."),
]
BATCH_ROWS = 64
"""Rows of a batch of the vectorised reader: few, so that its batches end inside pages."""


@pytest.fixture(params=["vectorised", "row by row"])
def reading(spark: Spark, request: pytest.FixtureRequest) -> Iterator[Spark]:
    """The session with one of its two readers."""
    spark.sql(f"set spark.sql.parquet.columnarReaderBatchSize = {BATCH_ROWS}")
    spark.sql(f"set spark.sql.parquet.enableVectorizedReader = {str(request.param == 'vectorised').lower()}")
    yield spark
    spark.sql("reset")


def rows_of(spark: Spark, place: Path, names: list[str]) -> dict[str, list[Row]]:
    """Of each file below a folder the rows in their order, as text."""
    found = defaultdict(list)
    listed = ", ".join(f"`{name}`" for name in names)
    for path, *row in spark.sql(f"select input_file_name() as path, {listed} from parquet.`{place}`"):
        found[Path(str(path).replace("%20", " ")).stem].append(tuple(row))
    return dict(found)


def test_spark_reads_what_was_merged_from_files_of_every_kind(reading: Spark, tmp_path: Path) -> None:
    """From a file merged of each kind of every writer's files Spark reads the rows that it reads row by row from a file of Arrow's."""
    for writer in sorted({kind.writer for kind in kinds(reading)}):
        place, names = tmp_path / writer, []
        place.mkdir()
        of_writer = [kind for kind in kinds(reading) if kind.writer == writer]
        for i, kind in enumerate(of_writer):
            _, rows, decoded = merged(kind, OUTPUT_CODECS[i % len(OUTPUT_CODECS)], place)
            assert writer != "spark" or not decoded, (kind.name, decoded)
            names = rows.column_names
        pq.write_table(rows, place / "reference.parquet", use_dictionary=False)
        found = rows_of(reading, place, names)
        expected = found.pop("reference")
        assert len(expected) == rows.num_rows
        assert len(found) == len(of_writer)
        for name, read in found.items():
            assert read == expected, name


def test_spark_reads_values_that_come_again(reading: Spark, tmp_path: Path) -> None:
    """Pages that stayed compressed, with copies from near or far, are to Spark what Arrow wrote without a dictionary."""
    (tmp_path / "files").mkdir()
    _, rows = coming_again(tmp_path / "files")
    pq.write_table(rows, tmp_path / "files" / "reference.parquet", use_dictionary=False)
    found = rows_of(reading, tmp_path / "files", rows.column_names)
    assert len(found["reference"]) == rows.num_rows
    assert found["coming-again"] == found["reference"]


def test_the_two_readers_are_two(reading: Spark, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Where pages with a dictionary follow PLAIN ones the vectorised reader reads wrong values, which is why no merged chunk does so."""
    values = [f"value {i % 7 if i < 300 else i:04d}" for i in range(600)]
    path = tmp_path / "turning.parquet"
    rows = pa.table({"s": values})
    pq.write_table(rows, path, compression="none", dictionary_pagesize_limit=2000, data_page_size=400, write_batch_size=50)
    data = path.read_bytes()
    dictionary, *chunk = pages(data, 0)
    assert dictionary.kind == DICTIONARY_PAGE
    ordered = sorted(chunk, key=lambda page: page.encoding != PLAIN)
    assert ordered != chunk
    turned = b"".join(data[page.start : page.end] for page in (dictionary, *ordered))
    path.write_bytes(data[: dictionary.start] + turned + data[chunk[-1].end :])
    expected = pq.read_table(path)["s"].to_pylist()
    assert sorted(expected) == sorted(values)
    wrong = [row[0] for row in reading.sql(f"select s from parquet.`{path}`")] != expected
    assert wrong == (request.node.callspec.params["reading"] == "vectorised")
