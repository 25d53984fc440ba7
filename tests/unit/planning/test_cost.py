"""The predicted peak of a group: what workers hold, by the rule that they size their buffers by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support.planning_worlds import RESOURCES, WorldFile, snapshot_of

from compactor.model.engine import EngineChoice
from compactor.model.policy import Policy
from compactor.model.survey import FileFacts, RowGroupFacts, Survey
from compactor.model.usage import Usage
from compactor.planning.cost import Assumptions, buffers, proof_requests, row_bytes
from compactor.planning.plan import plan
from compactor.rewriting.budget import divide

MIB = 1024 * 1024


@pytest.mark.parametrize("bound", [MIB, 32 * MIB, 64 * MIB, 128 * MIB, 300 * MIB, 512 * MIB, 1024 * MIB, 2**36])
def test_planner_and_worker_divide_memory_alike(bound: int) -> None:
    """They may not import each other, so this holds the two rules together."""
    planned, real = buffers(bound), divide(bound)
    assert (planned.fetch, planned.stream, planned.batch, planned.row_group) == (real.fetch, real.stream, real.batch, real.row_group)


def test_a_row_is_as_wide_as_its_schema_says() -> None:
    """Fixed widths, nested ones added up, and a little for each value of any length."""
    item = pa.struct([("a", pa.int64()), ("b", pa.float32())])
    schema = pa.schema([("i", pa.int32()), ("s", pa.string()), ("l", pa.list_(item)), ("m", pa.map_(pa.string(), pa.int64()))])
    assert row_bytes(schema) == 4 + 8 + (4 + 12) + (4 + 8 + 8)


def copying(row_group_mib: int, files: int = 4, row_groups: int = 1, target_mib: int = 100, **assumed: object) -> Usage:
    """What is predicted of files whose row groups are all copied."""
    size = row_groups * row_group_mib * MIB
    live = [WorldFile(path=f"f{i}", size_bytes=size, rows=300_000, modified_ms=i) for i in range(files)]
    facts = RowGroupFacts(rows=300_000, compressed_bytes=row_group_mib * MIB - 1000, uncompressed_bytes=2 * row_group_mib * MIB)
    survey = Survey(files={f.path: FileFacts(path=f.path, row_groups=(facts,) * row_groups, largest_chunk_bytes=MIB) for f in live})
    choice = Assumptions(**{"engine": EngineChoice(mode="auto"), "columns": 14, "floats": 3, **assumed})
    return plan(snapshot_of(live), survey, Policy(target_bytes=target_mib * MIB), RESOURCES, assumptions=choice).prediction


def test_what_is_surely_copied_takes_the_pieces_that_are_under_way() -> None:
    """Not what decoding would; where the end of an output might divide a row group its rows may have to be decoded after all."""
    assert buffers(RESOURCES.memory_bytes).stream > 48 * MIB
    assert copying(25).peak_memory_bytes == 10 * MIB + 5 * 8 * MIB
    assert copying(25, files=1, row_groups=8).peak_memory_bytes == 10 * MIB + 5 * 8 * MIB
    assert copying(70, files=1, row_groups=4).peak_memory_bytes > 100 * MIB
    assert copying(15, files=6).peak_memory_bytes > 100 * MIB


@pytest.mark.parametrize(
    ("assumed", "reads"),
    [
        ({"store_copies": True}, 4 * (1 + 3)),
        ({"store_copies": False}, 4 * (1 + 3) + 13),
        ({"store_copies": True, "proof": "full"}, 4 * (1 + 3) + 13 + 1 + 12),
        ({"engine": EngineChoice(mode="transcode")}, 4 * (1 + 14)),
    ],
)
def test_requests_of_copied_row_groups_are_those_for_footers_floats_and_pieces(assumed: dict[str, object], reads: int) -> None:
    """A file's end, a look at each column of floats, and its bytes only where the store does not copy them or they are proven."""
    assert copying(25, **assumed).read_requests == reads


@pytest.mark.parametrize(("copied", "merged", "asked"), [(0.0, 0.0, 1 + 4 * 3 + 12), (0.0, 1.0, 1 + 3 * 3 + 12), (1.0, 0.0, 1 + 12)])
def test_an_output_is_read_again_by_the_row_groups_that_are_written(copied: float, merged: float, asked: int) -> None:
    """Those that are encoded have 32 MiB when they are decoded, merged ones 32 MiB of their inputs; copied ones are read in pieces."""
    one, shares = np.ones(1, dtype=np.int64), (np.array([copied]), np.array([merged]))
    assert proof_requests(one * 96 * MIB, one, one * 0, shares, Assumptions(columns=3)).tolist() == [asked]
