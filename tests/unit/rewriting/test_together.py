"""Small files of this machine that are read many at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compactor.errors import Interrupted, ObjectMissing
from compactor.execution.revocable import RevocableStore
from compactor.model.plan import FileKey
from compactor.model.rewrite import InputFile
from compactor.rewriting.budget import divide
from compactor.rewriting.fetch import Fetcher
from compactor.rewriting.native import KERNELS, STATUS
from compactor.rewriting.together import can_read_together, read_together
from compactor.storage.local import LocalStore
from compactor.storage.memory import MemoryStore

pytestmark = pytest.mark.skipif(KERNELS is None, reason=f"The native package is {STATUS}.")
BUDGET = divide(64 * 1024 * 1024)


@pytest.fixture
def inputs(tmp_path: Path) -> list[InputFile]:
    """Files of this machine, as a log tells of them."""
    found = []
    for i in range(50):
        (tmp_path / f"{i}.parquet").write_bytes(bytes([i]) * (1 + 37 * i))
        key = FileKey(path=f"{i}.parquet", deletes_id=None)
        found.append(InputFile(file=key, key=f"{i}.parquet", size_bytes=1 + 37 * i, rows=1))
    return found


def test_files_are_what_they_are_and_cannot_be_written_to(tmp_path: Path, inputs: list[InputFile]) -> None:
    """Each file's bytes are its own, in the order that was asked for."""
    found = read_together(LocalStore(str(tmp_path)), inputs[::-1])
    assert [None if one is None else bytes(one) for one in found] == [bytes([i]) * (1 + 37 * i) for i in range(49, -1, -1)]
    assert all(one is not None and one.readonly for one in found)


def test_a_file_of_another_size_than_the_log_says_comes_as_it_is(tmp_path: Path, inputs: list[InputFile]) -> None:
    """What cannot be read together the store is asked for, and the true size is told."""
    inputs[3], inputs[4] = replace(inputs[3], size_bytes=5000), replace(inputs[4], size_bytes=2)
    assert [one is None for one in read_together(LocalStore(str(tmp_path)), inputs[2:6])] == [False, True, True, False]
    fetcher = Fetcher(inputs, LocalStore(str(tmp_path)), BUDGET)
    found = [fetched for batch in fetcher.batches() for fetched in batch]
    assert [fetched.size_bytes for fetched in found] == [1 + 37 * i for i in range(50)]
    assert [fetched.index for fetched in found] == list(range(50))
    assert (fetcher.requests, fetcher.bytes_read) == (50, sum(1 + 37 * i for i in range(50)))


def test_a_file_that_is_missing_is_told_as_the_store_tells_it(tmp_path: Path, inputs: list[InputFile]) -> None:
    """The error names the file."""
    (tmp_path / "7.parquet").unlink()
    with pytest.raises(ObjectMissing, match=r"7\.parquet"):
        list(Fetcher(inputs, LocalStore(str(tmp_path)), BUDGET).batches())


def test_no_more_is_read_at_once_than_the_budget_has_room_for(tmp_path: Path, inputs: list[InputFile]) -> None:
    """Batches stay within what may be in flight, and large files come alone, by ranges."""
    budget = replace(BUDGET, fetch=5000, whole_file=1500)
    batches = list(Fetcher(inputs, LocalStore(str(tmp_path)), budget).batches())
    assert max(sum(fetched.size_bytes for fetched in batch) for batch in batches) <= 5000
    assert [len(batch) for batch in batches if batch[0].size_bytes > 1500] == [1] * 9


def test_a_store_without_files_is_asked_for_each(inputs: list[InputFile]) -> None:
    """So simulations see every call, and object stores keep their requests in flight."""
    store = MemoryStore()
    for one in inputs:
        store.put(one.key, bytes(one.size_bytes))
    assert not can_read_together(store)
    assert [len(batch) for batch in Fetcher(inputs, store, BUDGET).batches()] == [1] * 50


def test_an_attempt_that_was_stopped_reads_no_more(tmp_path: Path, inputs: list[InputFile]) -> None:
    """Files of a store whose permission was taken back are not read beside it."""
    store = RevocableStore(LocalStore(str(tmp_path)))
    batches = Fetcher(inputs, store, replace(BUDGET, fetch=5000)).batches()
    next(iter(batches))
    store.revoke()
    with pytest.raises(Interrupted):
        list(batches)
