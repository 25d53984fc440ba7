"""Where words go: data to stdout, messages to stderr. Text is plain and unwrapped, so that it can be piped.

Must never: mix the two, print a traceback unasked, or fail because nobody reads any more: a command goes on to its own end and its own exit
code, or `… | head -1` would hide that a table is damaged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from compactor.errors import StorageError


def say(message: str) -> None:
    """A message for people, on stderr."""
    _put(message, sys.stderr)


def print_json(value: object) -> bool:
    """One JSON value on one line of stdout; letters beyond ASCII are escaped where the terminal could not show them. As print_line."""
    as_utf8 = (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf8")
    return _put(json.dumps(value, ensure_ascii=not as_utf8, separators=(", ", ": ")), sys.stdout)


def print_line(text: str = "") -> bool:
    """One line of text on stdout, flushed: lines of a long scan are wanted as they come. False once nobody reads them any more.

    Raises StorageError when stdout takes nothing more, as a file on a full disk.
    """
    return _put(text, sys.stdout)


def _put(text: str, stream: TextIO) -> bool:
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding), file=stream, flush=True)
    except BrokenPipeError:
        _mute(stream)
        return False
    except OSError as error:
        _mute(stream)  # said once, and what is still to come is not tried
        if stream is sys.stdout:
            raise StorageError(f"Not everything could be printed: {error.strerror}. Send the output elsewhere.") from error
    return True


def _mute(stream: TextIO) -> None:
    """After the reader of a pipe went away: what is still to come, the interpreter's own flush at exit too, goes nowhere, silently."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_debug() -> bool:
    """Whether the user asked for tracebacks (COMPACTOR_DEBUG=1)."""
    return os.environ.get("COMPACTOR_DEBUG", "") not in ("", "0", "false")


def counted(number: int, thing: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def aligned(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset(), indent: str = "") -> list[str]:
    """Rows as lines with aligned columns, two spaces between them; columns in `right` are flush right; the last column is not padded."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines
