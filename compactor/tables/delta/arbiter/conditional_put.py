"""Arbitration by the store itself: the log entry is put if absent (S3 `If-None-Match: *`, GCS generation 0, a hard link on a disk).

What delta-rs (1.6.1 and newer), delta-kernel and Spark's conditional log stores do too. Not safe beside writers that check first and put
afterwards, or that are coordinated by a DynamoDB table.
"""

from __future__ import annotations

from compactor.storage.base import CreateOutcome, ObjectStore
from compactor.tables.delta.log import entry_key


class ConditionalPut:
    """See the module."""

    def claim(self, store: ObjectStore, version: int, data: bytes) -> CreateOutcome:
        """Put the entry if absent."""
        return store.create(entry_key(version), data)

    def recover(self, store: ObjectStore) -> None:
        """Nothing: a claim is the entry itself."""
