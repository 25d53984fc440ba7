"""Stored plans as local files: a line at a time in both directions; a file appears whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compactor.errors import UsageError
from compactor.model.plan import SavedPlan
from compactor.planning.artefact import decode, encode


def write(saved: SavedPlan, path: str) -> None:
    """Write the plan to `path`; `-` is stdout. Raises UsageError naming the file when it cannot be written."""
    if path == "-":
        for line in encode(saved):
            sys.stdout.write(f"{line}\n")
        return
    part = Path(f"{path}.part")
    with _named(path, "written"):
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{line}\n" for line in encode(saved))
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def read(path: str) -> SavedPlan:
    """The plan in `path`. Raises UsageError naming the file when it cannot be read, is no plan or is damaged; TableRefused when newer."""
    with _named(path, "read"):
        try:
            with Path(path).open(encoding="utf-8", newline="\n") as file:
                return decode(file, path)
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not a plan, or is damaged: it is no text.") from error


@contextmanager
def _named(path: str, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be {done}: {(error.strerror or type(error).__name__).lower()}.") from None
