"""The predicted peak of a group: what workers hold, by the rule that they size their buffers by."""

from __future__ import annotations

import pyarrow as pa
import pytest

from compactor.planning.cost import buffers, row_bytes
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
