"""What a run would save and take, from a standing alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compactor.model.changes import FileChange, LogTail
from compactor.model.policy import MIB, Policy
from compactor.prices import load_prices
from compactor.service.standing import Standing, followed, terms_of
from compactor.service.work import Rates, Work, takes, work_of

TERMS = terms_of(Policy(), 100 * MIB, False)
EMPTY = Standing(version=0, entry=None, terms=TERMS)


def standing(*files: FileChange) -> Standing:
    return followed(EMPTY, LogTail(version=1, entry=None, changes=files))


def small(count: int, size: int = MIB, partition: str = "", landed_ms: int = 0) -> tuple[FileChange, ...]:
    return (FileChange(added=True, partition=partition, size_bytes=size, rows=10, landed_ms=landed_ms),) * count


def test_small_files_are_counted_by_partition() -> None:
    """Enough of them in one partition are work; as many spread over two are not, unless they fill an output."""
    found = work_of(standing(*small(10)), min_input_files=5)
    assert (found.saves_files, found.input_files, found.output_files, found.input_bytes) == (9, 10, 1, 10 * MIB)
    assert found.saves_requests == 2 * 10 - 1 - 1
    assert work_of(standing(*small(3, partition="a"), *small(3, partition="b")), min_input_files=5) == Work()
    assert work_of(standing(*small(2, size=45 * MIB)), min_input_files=5).saves_files == 1


def test_files_whose_next_rewrite_is_their_last_wait_for_a_target() -> None:
    """As the plan leaves them: they are no reason for a run until the partition fills a target and something in it is new."""
    old = tuple(replace(file, generation=1) for file in small(30))
    assert work_of(standing(*old), min_input_files=5) == Work()
    assert work_of(standing(*old, *small(4)), min_input_files=5) == Work()
    assert work_of(standing(*old, *small(5)), min_input_files=5).input_files == 5
    assert work_of(standing(*old, *small(1, size=45 * MIB)), min_input_files=5).input_files == 31
    large = tuple(replace(file, generation=1) for file in small(2, size=45 * MIB))
    assert work_of(standing(*large), min_input_files=5) == Work()
    once = Standing(version=0, entry=None, terms=terms_of(Policy(max_write_amplification=1), 100 * MIB, False))
    assert work_of(followed(once, LogTail(version=1, entry=None, changes=small(30))), min_input_files=5) == Work()
    assert work_of(followed(once, LogTail(version=1, entry=None, changes=small(80))), min_input_files=5).saves_files == 79


def test_a_remove_without_tags_is_not_taken_for_another_file() -> None:
    """deltalake leaves tags out of removes: where a compacted small file may be meant, the table has to be loaded, and only there."""
    kept = standing(*(replace(file, generation=1) for file in small(1)), *small(6), *small(6, partition="b"))
    for partition, unclear in (("", True), ("b", False)):
        gone = replace(small(1, partition=partition)[0], added=False, tagged=False)
        found = followed(kept, LogTail(version=2, entry=None, changes=(gone,)))
        assert (found.unclear is not None) == unclear
    told = replace(small(1)[0], added=False)
    assert followed(kept, LogTail(version=2, entry=None, changes=(told,))).partitions[""].small == 5


def test_partitions_that_were_written_lately_wait() -> None:
    """They are counted apart, with the time at which the first of them may be touched."""
    table = standing(*small(10, partition="a", landed_ms=50_000), *small(20, partition="b", landed_ms=1000))
    found = work_of(table, min_input_files=5, quiet_s=60, store_now_ms=100_000)
    assert (found.saves_files, found.hot_files, found.cools_at_ms) == (19, 9, 110_000)
    assert work_of(table, min_input_files=5, quiet_s=60, store_now_ms=110_001).hot_files == 0
    assert work_of(table, min_input_files=5).saves_files == 28


def test_oversized_files_and_deletes_are_work_too() -> None:
    """They save requests, not files."""
    large = FileChange(added=True, partition="", size_bytes=350 * MIB, rows=100)
    deleted = FileChange(added=True, partition="", size_bytes=80 * MIB, rows=100, deleted_rows=50)
    found = work_of(standing(large, deleted), min_input_files=5)
    assert (found.saves_files, found.input_files, found.deleted_bytes) == (0, 2, 40 * MIB)
    assert found.saves_requests > 2


def test_encode_debt_is_work_where_the_policy_pays_it() -> None:
    """Once, for a file of a good size; one that has no rewrite left is none, and a remove that does not tell needs a load."""
    indebted = FileChange(added=True, partition="", size_bytes=90 * MIB, rows=9, generation=1, encode_debt_bytes=80 * MIB)
    spent = replace(indebted, generation=2)
    paying = replace(EMPTY, terms=terms_of(Policy(max_encode_debt=0.25), 100 * MIB, False))
    table = followed(paying, LogTail(version=1, entry=None, changes=(indebted, spent)))
    found = work_of(table, min_input_files=5)
    assert (found.saves_files, found.input_files, found.input_bytes, found.worth(1)) == (0, 1, 90 * MIB, True)
    assert work_of(standing(indebted), min_input_files=5) == Work()
    gone = replace(indebted, added=False, generation=0, encode_debt_bytes=0, tagged=False)
    assert followed(table, LogTail(version=2, entry=None, changes=(gone,))).unclear is not None


def test_a_remove_that_was_never_there_is_noticed() -> None:
    """The table is to be loaded then."""
    gone = FileChange(added=False, partition="", size_bytes=MIB, rows=10)
    assert standing(gone).unclear == "what was removed does not add up with what was there"


def test_what_a_run_takes() -> None:
    """More bytes take more of everything; nothing takes nothing; a key of KMS is paid for with each request."""
    rates = Rates(prices=load_prices(None), memory_bytes=1024**3)
    little, much = (takes(work_of(standing(*small(count)), min_input_files=5), rates) for count in (10, 1000))
    assert takes(Work(), rates).spend.money == 0
    assert 0 < little.spend.gb_hours < much.spend.gb_hours
    assert much.spend.gb_hours == pytest.approx(much.task_s / 3600)
    encrypted = takes(work_of(standing(*small(1000)), min_input_files=5), Rates(prices=load_prices(None), memory_bytes=1024**3, kms=True))
    assert encrypted.spend.money - much.spend.money == pytest.approx(encrypted.requests * 0.003 / 1000)
    assert takes(work_of(standing(*small(10)), min_input_files=5), Rates(prices=None, memory_bytes=1)).spend.money == 0
