"""Checkpoints: when one is due, and writing it through `deltalake`, whose writer keeps every action (protocol section "Checkpoints").

A checkpoint is an optimisation: that it cannot be written is for the caller to tell, never a reason to call a commit failed. Nothing here
ever cleans up the log, and none is written below `delta.requireCheckpointProtectionBeforeVersion`.
"""

from __future__ import annotations

from collections.abc import Mapping

from compactor.errors import CompactorError
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.storage import StorageOptions
from compactor.storage.delta_options import deltalake_options
from compactor.tables.delta.state import DeltaState

DEFAULT_INTERVAL = 10


def due(snapshot: Snapshot, version: int) -> bool:
    """Whether `version` is far enough from the last checkpoint that `snapshot` knows of, by `delta.checkpointInterval`."""
    state = snapshot.state
    assert isinstance(state, DeltaState)
    if version < protected_before(snapshot.properties):
        return False
    return version - (state.checkpoint_version or 0) >= _positive(snapshot.properties, "delta.checkpointInterval", DEFAULT_INTERVAL)


def protected_before(properties: Mapping[str, str]) -> int:
    """Versions below this one must get no checkpoint (table feature checkpointProtection)."""
    return _positive(properties, "delta.requireCheckpointProtectionBeforeVersion", 0)


def _positive(properties: Mapping[str, str], key: str, otherwise: int) -> int:
    text = properties.get(key, "")
    return int(text) if text.isdecimal() and int(text) > 0 else otherwise


class DeltaLakeCheckpointer:
    """Writes checkpoints with `deltalake`."""

    def __init__(self, storage: StorageOptions) -> None:
        self._storage = storage

    def checkpoint(self, ref: TableRef, version: int) -> None:
        """Write the checkpoint of `version`. Raises CompactorError when deltalake cannot, or when the version is protected."""
        from deltalake import DeltaTable

        try:
            table = DeltaTable(ref.uri, version=version, storage_options=deltalake_options(ref.uri, self._storage))
            protected = protected_before(table.metadata().configuration)
            if version >= protected:
                table.create_checkpoint()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the native library is no Exception
            reason = str(error).strip().splitlines()
            raise CompactorError(
                f"No checkpoint of {ref.uri} at version {version}: {reason[0] if reason else type(error).__name__}"
            ) from error
        if version < protected:
            raise CompactorError(f"No checkpoint of {ref.uri} at version {version}: versions below {protected} are protected from it.")
