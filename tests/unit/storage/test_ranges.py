"""Merging ranges never changes what is read."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from compactor.storage.ranges import cut_ranges, merge_ranges

DATA = bytes(range(256)) * 4
RANGES = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 124)), max_size=12)


@given(RANGES, st.integers(0, 300))
def test_what_is_cut_is_what_was_asked_for(ranges: list[tuple[int, int]], gap: int) -> None:
    """Spans are further apart than the gap, in order, and every range cut out of them is the range itself."""
    spans = merge_ranges(ranges, gap)
    for (start, length), (following, _) in pairwise(spans):
        assert following > start + length + gap
    cut = cut_ranges(ranges, spans, [memoryview(DATA)[start : start + length] for start, length in spans])
    assert isinstance(cut, list)
    assert [bytes(part) for part in cut] == [DATA[start : start + length] for start, length in ranges]


@given(RANGES, st.integers(0, 300), st.integers(0, 1024))
def test_short_data_is_noticed(ranges: list[tuple[int, int]], gap: int, size: int) -> None:
    """When the object ends early, a range that is not covered is reported, and only then."""
    spans = merge_ranges(ranges, gap)
    cut = cut_ranges(ranges, spans, [memoryview(DATA[:size])[start : start + length] for start, length in spans])
    beyond = [pair for pair in ranges if pair[1] and sum(pair) > size]
    assert cut == beyond[0] if beyond else isinstance(cut, list)


def test_neighbours_share_a_request() -> None:
    """A gap up to the limit is bridged, a larger one is not, and empty ranges ask for nothing."""
    assert merge_ranges([(0, 10), (20, 10), (41, 5), (5, 2), (1000, 0)], 10) == [(0, 30), (41, 5)]
    assert merge_ranges([], 10) == []
