"""Writes one checkpoint with `deltalake`, in a process of its own: what it is told comes in on stdin, what went wrong goes out on stdout.

    python -c "…; from compactor.tables.delta.checkpoint_process import main; main()"  <  {"uri", "version", "storage"}

No credentials are in the message; this process finds its own. A version that is protected from checkpoints gets none.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from compactor.model.storage import StorageOptions
from compactor.storage.delta_options import deltalake_options
from compactor.tables.delta.protection import protected_before


def main() -> None:
    """Do it, print {"error": null or a sentence}, and end without waiting for the native library's threads."""
    told = json.loads(sys.stdin.buffer.read())
    answer = json.dumps({"error": write(told)})
    with contextlib.suppress(BrokenPipeError):  # who asked was killed, and nobody is to be told
        sys.stdout.write(answer)
        sys.stdout.flush()
    os._exit(0)


def write(told: dict[str, Any]) -> str | None:
    """Write the checkpoint; why not, otherwise."""
    uri, version = told["uri"], told["version"]
    from deltalake import DeltaTable

    try:
        table = DeltaTable(uri, version=version, storage_options=deltalake_options(uri, StorageOptions(**told["storage"])))
        protected = protected_before(table.metadata().configuration)
        if version < protected:
            return f"versions below {protected} are protected from it."
        table.create_checkpoint()
    except BaseException as error:  # noqa: BLE001 - a panic of the native library is no Exception
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__
    return None
