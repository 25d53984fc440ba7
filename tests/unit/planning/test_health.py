"""Health, decisions, targets and the choice of footers: figures that golden scenarios do not spell out."""

from __future__ import annotations

import pytest
from support.planning_worlds import WorldFile, plan_of, snapshot_of

from compactor.errors import UsageError
from compactor.model.health import Compact, Skip
from compactor.model.plan import LeftOut
from compactor.model.policy import DEFAULT_TARGET_BYTES, MIB, Policy
from compactor.planning.assess import PARTITIONS_SCHEMA, assess
from compactor.planning.decide import confirm, decide
from compactor.planning.describe import REASON_NOUNS, REASON_SENTENCES
from compactor.planning.survey import to_survey
from compactor.planning.target import effective_target
from compactor.planning.where import parse

TARGET = 100 * MIB


def _files(*sizes_mib: int, partition: str | None = None, rows: int | None = 10) -> list[WorldFile]:
    return [WorldFile(path=f"{partition}-{i}", size_bytes=s * MIB, partition=partition, rows=rows) for i, s in enumerate(sizes_mib)]


def test_partitions_add_up() -> None:
    """Per-partition figures are exact, keep unknown rows unknown, and add up to the table's."""
    files = [*_files(10, 200, partition="a"), *_files(100, 20, partition="b"), WorldFile(path="?", size_bytes=30 * MIB, partition="b")]
    health = assess(snapshot_of(files), Policy(), TARGET)
    assert health.partitions.schema.equals(PARTITIONS_SCHEMA)
    assert [tuple(row.values()) for row in health.partitions.to_pylist()] == [
        (0, 2, 210 * MIB, 1, 10 * MIB, 1, 200 * MIB, 20, 0),
        (1, 3, 150 * MIB, 2, 50 * MIB, 0, 0, None, 0),
    ]
    assert (health.files, health.bytes, health.small_files, health.oversized_files) == (5, 360 * MIB, 3, 1)
    assert health.rows is None
    assert sum(b.files for b in health.histogram) == 5 and sum(b.bytes for b in health.histogram) == 360 * MIB


def test_histogram_is_cut_where_small_ends_and_oversized_begins() -> None:
    """No bucket mixes small, right-sized and oversized files: exactly 75 % is not small, exactly 180 % is not oversized."""
    files = [WorldFile(path=str(s), size_bytes=s) for s in (749, 750, 1800, 1801)]
    health = assess(snapshot_of(files), Policy(), 1000)
    assert (health.small_files, health.oversized_files) == (1, 1)
    assert [(b.from_bytes, b.to_bytes, b.files) for b in health.histogram if b.files] == [(250, 750, 1), (750, 1801, 2), (1801, None, 1)]


def test_an_empty_table_has_a_health() -> None:
    """No files is no error: zeros, no rows, skipped as empty."""
    health = assess(snapshot_of([]), Policy(), TARGET)
    assert (health.files, health.rows, health.scan_requests, health.partitions.num_rows) == (0, 0, 0, 0)
    assert decide(health, Policy()) == Skip(reason="empty", why="The table has no live files.")


def test_the_decision_says_what_is_wrong() -> None:
    """Compact carries the counts that justify it."""
    files = [*_files(*[1] * 2000), *[WorldFile(path=f"r{i}", size_bytes=TARGET, rows=1) for i in range(10)]]
    assert decide(assess(snapshot_of(files), Policy(), TARGET), Policy()) == Compact(why="2,000 of 2,010 files are smaller than 75.0 MiB.")


def test_an_empty_plan_turns_compact_into_skip() -> None:
    """When files wait, the skip says how many and why; when none does, the table is healthy."""
    files = _files(1, 1)
    decision = confirm(decide(assess(snapshot_of(files), Policy(), TARGET), Policy()), plan_of(files, Policy(target_bytes=TARGET)))
    assert decision == Skip(reason="nothing-to-plan", why="No group can be made: 2 with too few small neighbours.")


def test_every_reason_is_described() -> None:
    """Each reason has words for counts and a sentence for one file."""
    assert set(REASON_NOUNS) == set(REASON_SENTENCES) == set(LeftOut)
    assert all(sentence.endswith(".") for sentence in REASON_SENTENCES.values())


def test_targets() -> None:
    """The policy's target wins over the table's, which wins over the default; nothing below one byte passes."""
    assert effective_target(Policy(target_bytes=5), 7) == 5
    assert effective_target(Policy(), 7) == 7
    assert effective_target(Policy(), None) == DEFAULT_TARGET_BYTES
    with pytest.raises(UsageError, match="at least one byte"):
        effective_target(Policy(target_bytes=0), 7)


def test_only_splits_are_surveyed_and_the_largest_first() -> None:
    """Footers are read of files that would be split, in selected partitions, within the cap."""
    files = [*_files(500, 50, 900, 181, partition="a"), *_files(2000, partition="b")]
    snapshot = snapshot_of(files)
    policy = Policy(where=parse("p = 'a'"))
    assert to_survey(snapshot, policy, TARGET).tolist() == [2, 0, 3]
    assert to_survey(snapshot, policy, TARGET, cap=1).tolist() == [2]
    assert to_survey(snapshot, Policy(), TARGET).tolist() == [4, 2, 0, 3]
