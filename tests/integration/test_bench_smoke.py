"""`make bench-smoke`: what the bench runs, tiny, for correctness only: contents, fixed point, write amplification. No timings."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks import choice, data, foreign
from tests.benchmarks.compare import Bench, Wrong
from tests.benchmarks.contents import contents, live_files
from tests.benchmarks.datasets import SETS, DataSet
from tests.benchmarks.engines import ours

SCALE = 0.003
BY_NAME = {wanted.name: wanted for wanted in SETS}


@pytest.mark.parametrize("name", [name for name in BY_NAME if "-" not in name])
def test_every_engine_keeps_the_rows_of_every_data_set_and_is_done_after_one_run(name: str, tmp_path: Path) -> None:
    """Rows are equal by a reader that is not ours, no byte is rewritten twice, and a second run rewrites none."""
    source = BY_NAME[name].make(tmp_path, SCALE)
    files = data.files_of(source.folder)
    columns = [*pq.read_schema(source.folder / files[0].path).names, *data.partition_columns(source.folder)]
    before = contents(source.folder, columns)
    assert before.rows == sum(file.rows for file in files) > 0
    for engine in choice.engines():
        if engine in BY_NAME[name].without:
            continue
        table = data.copy(source.folder, tmp_path / "work", source.codec)
        told = _run(engine, table, source.target_bytes)
        if told is None:
            continue  # where it applies to nothing, or cannot be had, that is its own tests' business
        assert contents(table, columns) == before, engine
        assert 0 < told <= sum(file.size_bytes for file in files), engine
        assert engine != "auto" or (len(live_files(table)) > len(files)) is (name == "D4")
        assert _run(engine, table, source.target_bytes) == 0, engine


def _run(engine: str, table: Path, target_bytes: int) -> int | None:
    """Bytes that were rewritten; None when an engine that was asked for by name did not do it."""
    try:
        told = ours(engine, "counts", str(table), target_bytes, {})()
    except SystemExit:
        if engine == "auto":
            raise
        return None
    if told["ran"] and engine not in ("auto", *told["ran"]):
        return None
    rewritten: int = told["bytes_removed"]
    return rewritten


@pytest.mark.parametrize(
    "writer",
    [pytest.param(writer, marks=[pytest.mark.long] if writer.name == "spark" else []) for writer in foreign.WRITERS],
    ids=lambda writer: writer.name,
)
def test_other_writers_leave_the_same_rows(writer: foreign.Writer, tmp_path: Path) -> None:
    """A data set as another writer leaves it differs in bytes only."""
    plain = BY_NAME["D6"].make(tmp_path, SCALE / 2)
    try:
        other = BY_NAME[f"D6-{writer.name}"].make(tmp_path, SCALE)
    except foreign.Lacking as lacking:
        pytest.skip(str(lacking))
    columns = pq.read_schema(plain.folder / data.files_of(plain.folder)[0].path).names
    assert contents(other.folder, columns) == contents(plain.folder, columns)
    assert {file.size_bytes for file in data.files_of(other.folder)} != {file.size_bytes for file in data.files_of(plain.folder)}


def test_the_comparison_itself_runs(tmp_path: Path) -> None:
    """Engines in processes of their own, outputs checked, and a report with ratios to deltalake."""
    wanted = DataSet(name="D6", title="line items", make=BY_NAME["D6"].make, others=("deltalake", "copy"))
    found = Bench(cache=tmp_path, scale=SCALE, repetitions=1, say=lambda _: None).compare(wanted)
    assert {"deltalake", "copy", "compactor:auto:counts", "compactor:auto:full"} <= set(found.figures)
    assert found.figures["compactor:auto:counts"].amplification == 1.0
    assert found.figures["copy"].bytes == found.bytes
    assert min(one.seconds for one in found.figures.values()) > 0


def test_an_engine_that_changes_rows_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result with other rows ends the bench."""
    wanted = DataSet(name="D6", title="line items", make=BY_NAME["D6"].make, others=("deltalake",))
    monkeypatch.setattr(choice, "ours", list)
    monkeypatch.setattr("tests.benchmarks.compare.measure", _damaging)
    with pytest.raises(Wrong, match="deltalake changed the rows"):
        Bench(cache=tmp_path, scale=SCALE, repetitions=1, say=lambda _: None).compare(wanted)


def _damaging(*command: str) -> object:
    from tests.benchmarks.measure import Measured

    table = Path(command[3])
    first = table / data.files_of(table)[0].path
    rows = pq.read_table(first)
    first.unlink()  # it is a link to the source's
    pq.write_table(rows.slice(1), first)
    return Measured(printed={"seconds": 1.0, "processor_s": 1.0, "base_bytes": 1}, whole_s=1.0, peak_bytes=1)
