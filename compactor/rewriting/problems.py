"""What can be wrong with one file of a group, as an exception that the worker turns into a GroupDropped.

It names the file and a stable reason. It never leaves the worker: a run does not end because of one file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal, TypeVar

import pyarrow as pa

from compactor.errors import CompactorError
from compactor.model.rewrite import InputFile

T = TypeVar("T")
Reason = Literal["corrupt-file", "unsupported-file", "proof", "output-vanished", "out-of-memory"]


class FileProblem(CompactorError):
    """A file that cannot be rewritten, or an output that was not proven equal to it. `path` is None when no one file is to blame."""

    def __init__(self, reason: Reason, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.path = path


def unsupported(message: str) -> FileProblem:
    """A file that is whole but cannot be rewritten without a change of meaning; whoever knows the file's name adds it."""
    return FileProblem("unsupported-file", message)


@contextlib.contextmanager
def at_file(file: InputFile) -> Iterator[None]:
    """What goes wrong inside is about this input: problems get its name, and what pyarrow raises becomes one of them."""
    try:
        yield
    except FileProblem as problem:
        raise FileProblem(problem.reason, f"{file.key}: {problem}", path=problem.path or file.file.path) from problem
    except pa.ArrowNotImplementedError as error:
        raise FileProblem("unsupported-file", f"{file.key} cannot be decoded: {error}", path=file.file.path) from error
    except (pa.ArrowMemoryError, MemoryError) as error:
        raise FileProblem("out-of-memory", f"There was not enough memory for {file.key}: {error}", path=file.file.path) from error
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:  # names of columns that are no text
        raise FileProblem("corrupt-file", f"{file.key} cannot be decoded: {error}", path=file.file.path) from error


def named(file: InputFile, items: Iterator[T]) -> Iterator[T]:
    """The items, with at_file around the making of each but not around what the caller does with it."""
    while True:
        with at_file(file):
            item = next(items, None)
        if item is None:
            return
        yield item
