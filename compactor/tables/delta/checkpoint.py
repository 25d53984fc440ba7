"""Checkpoints: when one is due, and having it written by `deltalake`, whose writer keeps every action (protocol section "Checkpoints").

A checkpoint is an optimisation: that it cannot be written is for the caller to tell, never a reason to call a commit failed. It is made in
a process of its own, because its writer takes several times the memory of a snapshot and may hang: neither may hurt a run. Nothing here
ever cleans up the log, and none is written below `delta.requireCheckpointProtectionBeforeVersion`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

from compactor.errors import CompactorError
from compactor.model.snapshot import Snapshot, TableRef
from compactor.model.storage import StorageOptions
from compactor.tables.delta.driver_memory import checkpoint_bytes
from compactor.tables.delta.protection import positive, protected_before
from compactor.tables.delta.state import DeltaState
from compactor.units import format_bytes

DEFAULT_INTERVAL = 10
TIME_LIMIT_S = 900.0
_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from compactor.tables.delta.checkpoint_process import main; main()"


def due(snapshot: Snapshot, version: int) -> bool:
    """Whether `version` is far enough from the last checkpoint that `snapshot` knows of, by `delta.checkpointInterval`."""
    state = snapshot.state
    assert isinstance(state, DeltaState)
    if version < protected_before(snapshot.properties):
        return False
    return version - (state.checkpoint_version or 0) >= positive(snapshot.properties, "delta.checkpointInterval", DEFAULT_INTERVAL)


class DeltaLakeCheckpointer:
    """Writes checkpoints with `deltalake`, each in a process of its own."""

    def __init__(
        self, storage: StorageOptions, *, available: Callable[[], int | None] = lambda: None, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        """`available`: bytes of memory that another process could have now, None when nobody knows."""
        self._storage = storage
        self._available = available
        self._time_limit_s = time_limit_s

    def checkpoint(self, ref: TableRef, version: int, files: int = 0) -> None:
        """Write the checkpoint of `version`, which has so many live files.

        Raises CompactorError when memory is short, when the version is protected, and when deltalake cannot or takes too long.
        """
        need, free = checkpoint_bytes(files), self._available()
        if free is not None and need > free:
            raise _none(ref, version, f"it takes about {format_bytes(need)} of memory, and {format_bytes(free)} are free.")
        error = self._told({"uri": ref.uri, "version": version, "storage": asdict(self._storage)}, ref, version)
        if error is not None:
            raise _none(ref, version, error)

    def _told(self, message: dict[str, object], ref: TableRef, version: int) -> str | None:
        """Hand the message to a fresh process and wait for its answer: an error or None."""
        command = [sys.executable, "-c", _BOOT, *sys.path]
        try:
            ended = subprocess.run(
                command, input=json.dumps(message).encode(), stdout=subprocess.PIPE, timeout=self._time_limit_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise _none(ref, version, f"it took longer than {self._time_limit_s:g} s and was stopped.") from error
        except OSError as error:
            raise _none(ref, version, f"no process for it could be started: {error.strerror}.") from error
        try:
            answer: str | None = json.loads(ended.stdout)["error"]
        except (ValueError, KeyError, TypeError) as error:
            raise _none(ref, version, f"its process ended with exit code {ended.returncode}.") from error
        return answer


def _none(ref: TableRef, version: int, why: str) -> CompactorError:
    return CompactorError(f"No checkpoint of {ref.uri} at version {version}: {why}")
