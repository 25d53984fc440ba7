"""Shapes that are hard on memory pass within what was allowed, or are refused with the number. `long`: at their full size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.big_log import write_big_log
from support.worker_peak import as_table, peaks

import compactor
from compactor.model.plan import Resources
from compactor.model.rewrite import GroupDropped, RewriteResult
from compactor.model.run import RunStatus
from compactor.model.survey import Survey
from compactor.planning.plan import plan
from compactor.settings import Settings

MIB = 1024 * 1024
LIBRARIES = 64 * MIB
"""What a worker may hold beside its promise: code that only real work loads, and stacks."""


def within(uri: str, settings: Settings, allowed: int) -> list[RewriteResult]:
    """The first groups rewritten, each by a worker that stayed within what a task may use."""
    found = list(peaks(uri, settings, most=2))
    assert found
    for peak in found:
        assert isinstance(peak.outcome, RewriteResult), peak.outcome
        assert peak.actual_bytes <= allowed + LIBRARIES, f"{peak.actual_bytes / MIB:.0f} MiB"
    return [peak.outcome for peak in found if isinstance(peak.outcome, RewriteResult)]


@pytest.mark.parametrize("columns", [500, pytest.param(2_000, marks=pytest.mark.long)])
def test_wide_schemas(tmp_path: Path, columns: int) -> None:
    """Ten files of very many columns become one within 256 MiB."""
    folder = tmp_path / "wide"
    folder.mkdir()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        table = pa.table({f"c{i}": rng.random(500) if i % 3 else rng.integers(0, 9, 500).astype(str) for i in range(columns)})
        pq.write_table(table, folder / f"{seed}.parquet")
    (result,) = within(as_table(folder), Settings(memory="256MiB", parallelism=1), 256 * MIB)
    assert result.input_rows == 5_000


@pytest.mark.parametrize(
    ("rows", "columns", "memory"),
    [
        (8_000_000, 2, 96),
        pytest.param(67_000_000, 2, 512, marks=pytest.mark.long),
        pytest.param(67_000_000, 8, 512, marks=pytest.mark.long),
    ],
)
def test_one_huge_row_group(tmp_path: Path, rows: int, columns: int, memory: int) -> None:
    """A row group of 122 MiB (long: 1 and 4 GiB) is split into files within less than its size."""
    folder = tmp_path / "huge"
    folder.mkdir()
    numbers = pa.array(np.random.default_rng(0).integers(0, 2**62, 1_000_000))
    column = pa.chunked_array([numbers] * (rows // len(numbers)))
    table = pa.table({f"c{i}": column for i in range(columns)})
    pq.write_table(table, folder / "one.parquet", row_group_size=rows, use_dictionary=False, compression="none")
    assert pq.read_metadata(folder / "one.parquet").num_row_groups == 1
    (result,) = within(as_table(folder), Settings(memory=f"{memory}MiB", parallelism=1, target_size="32MiB"), memory * MIB)
    assert result.input_rows == rows and len(result.outputs) > 1


@pytest.mark.parametrize(("string_mib", "memory"), [(8, "256MiB"), pytest.param(100, "2GiB", marks=pytest.mark.long)])
def test_enormous_strings(tmp_path: Path, string_mib: int, memory: str) -> None:
    """Strings of a hundred megabytes each pass where a task may use some of them at once."""
    uri = enormous(tmp_path / "strings", string_mib)
    settings = Settings(memory=memory, parallelism=1, min_input_files=2, target_size="8GiB")
    (result,) = within(uri, settings, settings.memory_bytes or 0)
    assert result.input_rows == 6


@pytest.mark.parametrize("string_mib", [24, pytest.param(100, marks=pytest.mark.long)])
def test_enormous_strings_without_the_memory_for_one(tmp_path: Path, string_mib: int) -> None:
    """Where not even one string fits, the group is dropped with the number after it was split and starved; nothing is committed."""
    uri = enormous(tmp_path / "strings", string_mib)
    settings = Settings(memory="32MiB", parallelism=1, min_input_files=2, target_size="8GiB")
    run = compactor.run(uri, settings=settings)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 7), run
    (drop,) = run.groups_dropped
    assert isinstance(drop, GroupDropped) and drop.reason == "out-of-memory" and "32.0 MiB" in drop.detail and "--memory" in drop.detail
    assert compactor.load(uri).version == 0


def enormous(folder: Path, string_mib: int) -> str:
    folder.mkdir()
    letters = np.random.default_rng(0).integers(97, 123, string_mib * MIB, dtype=np.uint8)
    for i in range(3):
        texts = [np.roll(letters, 2 * i + k).tobytes().decode() for k in range(2)]
        table = pa.table({"id": [2 * i, 2 * i + 1], "text": texts})
        pq.write_table(table, folder / f"{i}.parquet", use_dictionary=False, compression="none")
    return as_table(folder)


@pytest.mark.parametrize("partitions", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_very_many_partitions(tmp_path: Path, partitions: int) -> None:
    """Two files in each of 100,000 partitions: one group each, with little beside the files' own rows."""
    write_big_log(tmp_path / "table", 2 * partitions, partitions=partitions)
    snapshot = compactor.load(str(tmp_path / "table"))
    settings = Settings(min_input_files=2, target_size="4GiB")
    planned = plan(snapshot, Survey(), settings.policy(), Resources(parallelism=2, memory_bytes=512 * MIB), target_bytes=2**32)
    assert len(planned) == partitions and planned.inputs.num_rows == 2 * partitions
    assert (planned.groups.nbytes + planned.inputs.nbytes) / partitions < 600
