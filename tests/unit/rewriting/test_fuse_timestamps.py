"""Timestamps of 96 bits, as Spark writes them by default, become microseconds when their files are merged."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pyarrow as pa
import pytest
from support import rewriting as kit
from unit.rewriting.test_fuse import DECODE, fused, job, pytestmark

from compactor.model.rewrite import StatisticsColumn
from compactor.storage.memory import MemoryStore

__all__ = ["pytestmark"]
UTC = datetime.UTC
MOMENTS = [
    datetime.datetime(1, 1, 1, tzinfo=UTC),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    None,
    datetime.datetime(2026, 2, 28, 12, 0, 0, 1, UTC),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
]
POINTS = pa.struct([("at", pa.timestamp("us", "UTC"))])


@pytest.mark.parametrize("dictionary", [True, False])
def test_timestamps_of_96_bits_are_merged_as_they_are_decoded(dictionary: bool) -> None:
    """From the year 1 to 9999, with and without a dictionary, flat and nested: the rows and the log's statistics are those of decoding."""
    whole = pa.table(
        {"t": pa.array(MOMENTS * 40, pa.timestamp("us", "UTC")), "p": pa.array([{"at": moment} for moment in MOMENTS * 40], POINTS)}
    )
    store = MemoryStore()
    options = {"use_deprecated_int96_timestamps": True, "use_dictionary": dictionary}
    inputs = [kit.put(store, f"in-{i}", whole.slice(i * 50, 50), **(options if i != 2 else {})) for i in range(4)]
    made = job(whole.schema, statistics=(StatisticsColumn(path=("t",)), StatisticsColumn(path=("p", "at"))))
    result = fused(store, inputs, made)
    assert (result.engine, result.decoded, result.proof) == ("fuse", (), "full")
    assert kit.read_back(store, result).cast(whole.schema).equals(whole)
    assert result.outputs[0].statistics == fused(store, inputs, replace(made, engine=DECODE)).outputs[0].statistics


def test_timestamps_of_96_bits_are_points_in_time_only() -> None:
    """A table's timestamps without a zone are not made of them page by page; they are decoded, with the reason."""
    rows = pa.table({"t": pa.array([datetime.datetime(2026, 1, 1, 12)] * 9, pa.timestamp("us"))})  # noqa: DTZ001
    store = MemoryStore()
    inputs = [kit.put(store, f"in-{i}", rows, use_deprecated_int96_timestamps=True) for i in range(2)]
    result = fused(store, inputs, job(rows.schema, statistics=()))
    assert result.engine == "transcode"
    assert "INT96" in result.decoded[0].why
