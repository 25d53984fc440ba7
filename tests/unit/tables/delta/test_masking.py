"""Which rows of outputs are deleted when rows of inputs are: against the plain list of rows, and for files that are gone."""

from __future__ import annotations

import random
from itertools import pairwise

from pyroaring import BitMap64

from compactor.model.rewrite import Concat, OutputFile, RewriteResult
from compactor.tables.delta.masking import Source, masks


def result_of(inputs: list[int], outputs: list[int]) -> RewriteResult:
    """Inputs and outputs with so many rows."""
    return RewriteResult(
        group_id=0,
        attempt=0,
        engine="transcode",
        input_rows=sum(inputs),
        outputs=tuple(OutputFile(key=f"o{i}", size_bytes=1, rows=rows, statistics=()) for i, rows in enumerate(outputs)),
        row_map=Concat(offsets=tuple(sum(inputs[:i]) for i in range(len(inputs)))),
        bytes_read=0,
        requests=0,
        seconds=0.0,
        peak_memory_bytes=0,
    )


def test_positions_follow_the_rows() -> None:
    """Whatever was deleted before and since, the rows that are left are those that are left of the inputs, in any cut into outputs."""
    for seed in range(300):
        rng = random.Random(seed)
        sources, copied, deleted = [], [], []
        for _ in range(rng.randint(1, 4)):
            rows = rng.choice([1, 9, 200])
            read = {i for i in range(rows) if rng.random() < 0.2}
            now = None if rng.random() < 0.2 else read | {i for i in range(rows) if rng.random() < 0.3}
            sources.append(Source(read=BitMap64(read), now=None if now is None else BitMap64(now)))
            copied.append(rows - len(read))
            deleted += [now is None or i in now for i in range(rows) if i not in read]
        cuts = sorted(rng.randint(0, len(deleted)) for _ in range(rng.randint(0, 3)))
        edges = [0, *cuts, len(deleted)]
        found = masks(result_of(copied, [b - a for a, b in pairwise(edges)]), sources, 1.0)
        assert [list(mask) for mask in found] == [[i - a for i in range(a, b) if deleted[i]] for a, b in pairwise(edges)]


def test_a_file_that_is_gone_costs_no_memory_for_its_rows() -> None:
    """Four thousand million rows that went with their file are a range, not a list; and too many are told before any is looked at."""
    rows = 1 << 32
    whole, none = BitMap64(), Source(read=BitMap64(), now=BitMap64())
    whole.add_range(0, rows)
    result = result_of([rows, rows], [rows + 5, rows - 5])
    first, second = masks(result, [Source(read=BitMap64(), now=None), none], 1.0)
    assert (first, len(second)) == (whole, 0)
    for now in (None, whole):
        assert masks(result, [Source(read=BitMap64(), now=now), none], 0.4) == "more than 40% of its rows are deleted now"
