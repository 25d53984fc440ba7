"""The port: claim a version of the log for an entry, exclusively.

All writers of a table must go through the same mechanism: two mechanisms on one table lose commits. It is therefore never guessed.
"""

from __future__ import annotations

from typing import Protocol

from compactor.storage.base import CreateOutcome, ObjectStore


class Arbiter(Protocol):
    """Decides a version. A claim is made once, without retries inside; the answer may be that it is not known."""

    def claim(self, store: ObjectStore, version: int, data: bytes) -> CreateOutcome:
        """Publish `data` as the entry of `version` if nobody has one yet.

        Raises StorageError only when it is known that nothing was stored.
        """
        ...

    def recover(self, store: ObjectStore) -> None:
        """Make the log show every version that was claimed, before it is read. Raises StorageError, TableRefused, TableCorrupt."""
        ...
