"""Objects whose completion failed: those that are there whole count as written, no others."""

from __future__ import annotations

import pytest

from compactor.ambient import VirtualClock
from compactor.errors import AccessDenied, StorageUnavailable
from compactor.storage.faults import FaultyStore
from compactor.storage.memory import MemoryBucket, MemoryStore
from compactor.storage.sure import SureWriter


def written(*faults: str, there: bytes | None = None) -> int:
    """What close says of ten bytes. there: what the store has at that key by then, whatever the writer did."""
    bare = MemoryStore(MemoryBucket("sure", VirtualClock()), "t")
    writer = SureWriter(FaultyStore(bare, list(faults)), "a")
    writer.write(b"01234")
    writer.write(memoryview(b"56789"))
    if there is not None:
        bare.put("a", there)
    return writer.close()


def test_a_reply_that_was_lost_costs_nothing() -> None:
    """The store has the object, whole, but could not say so."""
    assert written("close a after error") == 10


@pytest.mark.parametrize(
    ("faults", "there", "error"),
    [
        (("close a before error",), None, StorageUnavailable),
        (("close a before error",), b"012345678", StorageUnavailable),
        (("close a after error", "head a before error"), None, StorageUnavailable),
        (("close a after denied",), None, AccessDenied),
    ],
    ids=["not there", "not whole", "nobody knows", "denied"],
)
def test_other_failures_stand(faults: tuple[str, ...], there: bytes | None, error: type[Exception]) -> None:
    """Without an object of that very size, or an answer, the failure is what it was; so is one that does not pass."""
    with pytest.raises(error):
        written(*faults, there=there)
