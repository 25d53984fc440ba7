"""The bounds of a compaction, through whole runs on real files: counted row by row, never by our own tags."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.drip import BARS, carried, replayed
from support.lake import Lake

TARGET = 40_000

appends = st.lists(
    st.tuples(
        st.one_of(st.integers(700, 3_000), st.integers(700, 30_000), st.integers(20_000, 160_000)),
        st.sampled_from("ab"),
        st.sampled_from([("none", 2**62), ("none", 50_000), ("snappy", 2_000)]),
    ),
    max_size=8,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(appends, min_size=2, max_size=6), st.integers(1, 3), st.integers(2, 5), st.integers(0, 999))
def test_no_sequence_of_appends_and_runs_rewrites_a_row_more_than_w_times(
    story: list[list[tuple[int, str, tuple[str, int]]]], bound: int, least: int, seed: int
) -> None:
    """Files of any size, that shrink little or much: no row moves more than W times, and a run right after a run moves none."""
    lake = Lake(seed)
    for chapter in story:
        for size, partition, (codec, spread) in chapter:
            lake.append(size, partition, codec=codec, spread=spread)
        policy = {"target_size": TARGET, "max_write_amplification": bound, "min_input_files": least}
        lake.run(**policy)
        assert lake.most_rewritten <= bound
        assert lake.run(**policy).files_removed == 0


@pytest.mark.parametrize("bound", BARS)
def test_dripping_by_replay(bound: int) -> None:
    """The bars of slow appends hold for planning alone, at full size."""
    assert replayed(bound).within


@pytest.mark.parametrize("bound", BARS)
def test_dripping_end_to_end(bound: int) -> None:
    """The bars of slow appends hold for whole runs on real files."""
    assert carried(bound, scale=100).within


def test_alternating_small_and_big_files_compact_fully() -> None:
    """A big file between every two small ones keeps none of them apart: the small become one, the big are not touched."""
    lake = Lake(1)
    for _ in range(12):
        lake.append(3_000)
        lake.append(TARGET)
    run = lake.run(target_size=TARGET)
    assert (run.files_removed, run.files_added) == (12, 1)
    assert sum(size < 0.6 * TARGET for size in lake.live()) == 0
    assert lake.run(target_size=TARGET).files_removed == 0


def test_sizes_come_nearer_to_the_target_with_every_run() -> None:
    """New files that shrink to a good half: the first run predicts too much, the second has learned how much and fills its outputs."""
    lake = Lake(2)
    made = []
    for _ in range(2):
        for _ in range(60):
            lake.append(8_000, spread=2**32)
        before = set(lake.files())
        run = lake.run(target_size=TARGET, max_write_amplification=1)
        assert run.predicted is not None and run.actual is not None
        made.append((run.predicted.output_bytes / run.actual.output_bytes, [lake.files()[path] for path in lake.files().keys() - before]))
    (first, small), (second, large) = made
    assert first > 1.5 and 0.8 < second < 1.25
    assert fmean(small) < 0.6 * TARGET < 0.8 * TARGET < fmean(large)


def test_predictions_of_runs_do_not_drift() -> None:
    """With rows that do not shrink the learned ratio stays near one, run after run."""
    lake = Lake(3)
    seen = []
    for _ in range(4):
        for _ in range(10):
            lake.append(8_000)
        run = lake.run(target_size=TARGET, max_write_amplification=1)
        assert run.predicted is not None and run.actual is not None
        seen.append(run.predicted.output_bytes / run.actual.output_bytes)
    assert all(0.9 < ratio < 1.15 for ratio in seen), seen
    assert all(abs(one - other) < 0.15 for one, other in pairwise(seen))


def test_a_second_run_sees_the_table_with_the_eyes_of_the_first() -> None:
    """What the first run teaches would make the second find something to do in another partition; it waits until somebody writes."""
    lake = Lake(4)
    policy = {"target_size": TARGET, "small_ratio": 0.9}
    for _ in range(6):
        lake.append(32_000, "b")
    for _ in range(30):
        lake.append(8_000, "a", spread=2_000)
    assert lake.run(**policy).files_removed == 30
    assert lake.run(**policy).files_removed == 0
    lake.append(1_000, "c")
    assert lake.run(**policy).files_removed == 6


def test_what_shrinks_does_not_make_giants_of_what_does_not() -> None:
    """One partition shrinks to a fifth, the other not at all: what the first taught makes at most twice a target of the second."""
    lake = Lake(5)
    for _ in range(30):
        lake.append(8_000, "a", spread=2_000)
    lake.run(target_size=TARGET)
    for _ in range(30):
        lake.append(8_000, "b")
    lake.run(target_size=TARGET)
    assert max(lake.live()) < 2.2 * TARGET
