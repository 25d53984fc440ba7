"""Entries that change no file: whose version it was is found out as for any commit."""

from __future__ import annotations

import pytest
from support import delta_log as log

from compactor.ambient import Ambient, SeededIds, SeededRandomness, VirtualClock
from compactor.errors import ConflictGaveUp, StorageUnavailable
from compactor.model.snapshot import TableRef
from compactor.storage.base import CreateOutcome, Exists, PutUnknown
from compactor.storage.memory import MemoryStore
from compactor.tables.delta.announce import announce
from compactor.tables.delta.options import DeltaOptions

TOLD = {"operationParameters": {"status": "COMPLETED"}, "operationMetrics": {"numDeletedFiles": "1"}}


class Unruly:
    """A store whose exclusive creations are answered by `answers`, in turn: other writers come first, replies are lost."""

    def __init__(self, inner: MemoryStore, *answers: str) -> None:
        self.inner, self.answers = inner, list(answers)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def create(self, key: str, data: bytes) -> CreateOutcome:
        answer = self.answers.pop(0) if self.answers else ""
        if answer == "taken":
            self.inner.create(key, b'{"commitInfo":{"operation":"WRITE"}}\n')
            return Exists()
        if answer == "lost-after":
            self.inner.create(key, data)
        if answer.startswith("lost"):
            return PutUnknown(why="The reply was lost.")
        return self.inner.create(key, data)


def said(*answers: str, attempts: int = 10) -> tuple[int, list[str]]:
    """The version that was told, and the operations that the log has."""
    inner = MemoryStore()
    log.start(inner)
    clock = VirtualClock()
    ambient = Ambient(clock=clock, ids=SeededIds(1), randomness=SeededRandomness(1))
    options = DeltaOptions(max_commit_attempts=attempts)
    version = announce(Unruly(inner, *answers), TableRef(uri=inner.uri), ambient, options, "VACUUM END", TOLD)  # type: ignore[arg-type]
    entries = range(log.load(inner).version + 1)
    return version, [log.actions(inner, one, "commitInfo")[0]["operation"] for one in entries]


@pytest.mark.parametrize(
    ("answers", "version", "log_says"),
    [
        ((), 1, ["VACUUM END"]),
        (("taken", "taken"), 3, ["WRITE", "WRITE", "VACUUM END"]),
        (("lost-after",), 1, ["VACUUM END"]),
        (("lost-before", "lost-before"), 1, ["VACUUM END"]),
        (("lost-before", "taken", "lost-after"), 2, ["WRITE", "VACUUM END"]),
    ],
)
def test_it_is_said_exactly_once(answers: tuple[str, ...], version: int, log_says: list[str]) -> None:
    """Whoever takes versions and whatever replies are lost: the entry is in the log once, after what others wrote."""
    assert said(*answers) == (version, ["CREATE TABLE", *log_says])


def test_it_gives_up_with_the_reason() -> None:
    """Other writers that win every attempt are a conflict; replies that stay lost are said to be unknown."""
    with pytest.raises(ConflictGaveUp):
        said(*["taken"] * 3, attempts=3)
    with pytest.raises(StorageUnavailable, match="not known"):
        said(*["lost-before"] * 3, attempts=3)
