"""Tables whose files other writers have written: a generated table's rows, file by file, by DuckDB, Polars, Spark, or with zstd."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.benchmarks.data import File, files_of, made
from tests.benchmarks.measure import ROOT

SPARK = ROOT / ".venv-spark" / "bin" / "python"


class Lacking(Exception):
    """A writer that is not to be had on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who writes, and with which codec. write: puts each of some files, as it would have left it, into a folder."""

    name: str
    label: str
    codec: str
    write: Callable[[Sequence[Path], Path], None]


def _by_pyarrow(sources: Sequence[Path], folder: Path) -> None:
    for source in sources:
        pq.write_table(pq.read_table(source), folder / source.name, compression="zstd")


def _by_duckdb(sources: Sequence[Path], folder: Path) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for source in sources:
        target = folder / source.name
        connection.execute(f"COPY (SELECT * FROM read_parquet('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")


def _by_polars(sources: Sequence[Path], folder: Path) -> None:
    import polars

    for source in sources:
        polars.read_parquet(source).write_parquet(folder / source.name, compression="snappy")


def _by_spark(sources: Sequence[Path], folder: Path) -> None:
    """All in one session, which gives its files names of its own. Raises Lacking."""
    if not SPARK.exists() or shutil.which("java") is None:
        raise Lacking("Spark is not here; with Java 17, `make test-spark` fetches it.")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SPARK_"))}
    command = [str(SPARK), str(ROOT / "tests/benchmarks/spark_files.py"), str(folder / "spark")]
    told = subprocess.run(command, input="\n".join(map(str, sources)), env=environment, capture_output=True, text=True, check=False)
    if told.returncode:
        raise RuntimeError(f"Spark could not write the files: {told.stderr.strip().splitlines()[-1:]}")
    for path in (folder / "spark").glob("*.parquet"):
        path.rename(folder / path.name)
    shutil.rmtree(folder / "spark")


WRITERS = (
    Writer(name="zstd", label="pyarrow with zstd wrote it", codec="zstd", write=_by_pyarrow),
    Writer(name="duckdb", label="DuckDB wrote it", codec="snappy", write=_by_duckdb),
    Writer(name="polars", label="Polars wrote it", codec="snappy", write=_by_polars),
    Writer(name="spark", label="Spark wrote it", codec="snappy", write=_by_spark),
)


def rewritten(folder: Path, source: Path, writer: Writer) -> Path:
    """The table `source` as `writer` would have left it; made once. Raises Lacking."""

    def make() -> Iterable[File]:
        writer.write([source / file.path for file in files_of(source)], folder)
        for path in sorted(folder.glob("*.parquet")):
            yield File(path=path.name, size_bytes=path.stat().st_size, rows=pq.read_metadata(path).num_rows, partition={})

    return made(folder, make, pq.read_schema(source / files_of(source)[0].path))
