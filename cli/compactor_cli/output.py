"""Where words go: data to stdout, messages to stderr. Text is plain and unwrapped, so that it can be piped.

Must never: mix the two, or print a traceback unasked.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence


def say(message: str) -> None:
    """A message for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """One JSON value on one line of stdout."""
    print(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")), flush=True)


def print_line(text: str = "") -> None:
    """One line of text on stdout, flushed: lines of a long scan are wanted as they come."""
    print(text, flush=True)


def is_debug() -> bool:
    """Whether the user asked for tracebacks (COMPACTOR_DEBUG=1)."""
    return os.environ.get("COMPACTOR_DEBUG", "") not in ("", "0", "false")


def mute_stdout() -> None:
    """After the reader of a pipe went away: let the interpreter's own flush at exit go nowhere, silently."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
