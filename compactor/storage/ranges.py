"""Which requests serve a set of byte ranges: neighbours share one, because a small gap costs less than another round trip. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def merge_ranges(ranges: Sequence[tuple[int, int]], gap_bytes: int) -> list[tuple[int, int]]:
    """The spans (start, length), ascending, more than `gap_bytes` apart from each other, that cover all non-empty ranges."""
    spans: list[tuple[int, int]] = []
    for start, length in sorted(pair for pair in ranges if pair[1] > 0):
        if spans and start <= sum(spans[-1]) + gap_bytes:
            first, span = spans[-1]
            spans[-1] = (first, max(span, start + length - first))
        else:
            spans.append((start, length))
    return spans


def cut_ranges(
    ranges: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], data: Sequence[memoryview]
) -> list[memoryview] | tuple[int, int]:
    """The ranges out of the fetched spans, in the order asked for; or the first range that the data is too short for."""
    starts = [start for start, _ in spans]
    cut: list[memoryview] = []
    for start, length in ranges:
        if length == 0:
            cut.append(memoryview(b""))
            continue
        index = bisect_right(starts, start) - 1
        offset = start - starts[index]
        if offset + length > len(data[index]):
            return start, length
        cut.append(data[index][offset : offset + length])
    return cut
