"""Bounds really bound: whatever the values, the statistics that are written never hide one of them from a reader."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Context, Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from compactor.model.rewrite import Bound, ColumnStatistics, OutputFile
from compactor.tables.delta.statistics import stats_json

EXACT = Context(prec=60)
DECIMALS = st.integers(-(10**37), 10**37).map(lambda digits: Decimal(digits).scaleb(-10, EXACT))


def written(values: list[Any], kind: str, **more: Any) -> tuple[Any, Any]:
    """minValues and maxValues of a column `c` of these values, as a reader parses them (numbers as Decimal); None where absent."""
    column = ColumnStatistics(path=("c",), null_count=0, minimum=min(values), maximum=max(values), **more)
    output = OutputFile(key="k", size_bytes=1, rows=len(values), statistics=(column,))
    stats = json.loads(stats_json(output, {("c",): kind}, tight_bounds=False), parse_float=Decimal, parse_int=Decimal)
    return stats["minValues"].get("c"), stats["maxValues"].get("c")


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=90), min_size=1, max_size=5))
def test_strings_lie_between_their_bounds(values: list[str]) -> None:
    """In the byte order of UTF-8 no value is below the minimum or above the maximum; bounds are short and split no character."""
    low, high = written(values, "string")
    for value in values:
        assert low.encode() <= value.encode()
        assert high is None or value.encode() <= high.encode()
    assert utf16(low) <= 32
    assert high is None or utf16(high) <= 66


@given(st.text(st.sampled_from("ab\x7e\x7f\uffff\U0010fffe\U0010ffff"), min_size=20, max_size=80))
def test_maxima_of_high_characters(value: str) -> None:
    """Characters at the end of the code space, where appending a highest one is not enough, are bounded or left out."""
    _, high = written([value], "string")
    assert high is None or value.encode() <= high.encode()


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=90), st.integers(1, 80))
def test_strings_that_workers_cut(value: str, kept: int) -> None:
    """A maximum of which only the beginning is known still bounds the whole value, or is left out."""
    column = ColumnStatistics(path=("c",), null_count=0, minimum=value[:kept], maximum=value[:kept], minimum_cut=True, maximum_cut=True)
    output = OutputFile(key="k", size_bytes=1, rows=1, statistics=(column,))
    stats = json.loads(stats_json(output, {("c",): "string"}, tight_bounds=False))
    assert stats["minValues"]["c"].encode() <= value.encode()
    assert "c" not in stats["maxValues"] or value.encode() <= stats["maxValues"]["c"].encode()


@given(
    st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**27), max_value=10**27), min_size=1, max_size=4)
)
def test_decimals_are_exact(values: list[Decimal]) -> None:
    """Decimals come back digit by digit."""
    assert written(values, "decimal(38,10)") == (min(values), max(values))


@given(st.lists(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999), min_size=1, max_size=4), st.booleans())
def test_timestamps_bound_within_their_millisecond(values: list[int], zoned: bool) -> None:
    """The minimum is at or below every value; a maximum, widened by the millisecond that readers add, is above every value."""
    low, high = written(values, "timestamp" if zoned else "timestamp_ntz")
    assert low.endswith("Z") is zoned and high.endswith("Z") is zoned
    epoch = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - civil arithmetic
    parsed = [datetime.datetime.fromisoformat(text.removesuffix("Z")) for text in (low, high)]
    bounds = [(moment - epoch) // datetime.timedelta(microseconds=1) for moment in parsed]
    assert bounds[0] <= min(values) < bounds[0] + 1000
    assert bounds[1] <= max(values) < bounds[1] + 1000


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=4))
def test_floats_are_exact_or_absent(values: list[float]) -> None:
    """Finite bounds come back as the same number, a least one of zero as minus zero, a greatest as zero; infinite ones are left out."""
    for bound, text, zero in zip((min(values), max(values)), written(values, "double"), ("-0.0", "0.0"), strict=True):
        assert (text is None) if math.isinf(bound) else float(text) == bound
        assert bound != 0 or str(text) == zero


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4))
def test_integers_are_exact(values: list[int]) -> None:
    """64-bit integers come back exactly."""
    assert written(values, "long") == (min(values), max(values))


@given(st.one_of(st.booleans(), st.binary(max_size=3), st.just(float("nan"))), st.sampled_from(["boolean", "binary", "double"]))
def test_types_without_bounds_have_none(value: Bound, kind: str) -> None:
    """Booleans, binaries and NaN get no bounds; their nulls are counted."""
    column = ColumnStatistics(path=("s", "c"), null_count=3, minimum=value, maximum=value)
    output = OutputFile(key="k", size_bytes=1, rows=9, statistics=(column,))
    stats = json.loads(stats_json(output, {("s", "c"): kind}, tight_bounds=True))
    assert stats == {"numRecords": 9, "minValues": {}, "maxValues": {}, "nullCount": {"s": {"c": 3}}, "tightBounds": True}
