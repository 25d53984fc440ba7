"""What the `compactor` command runs first and last: an interruption while the program is still being imported, and the end of the process.

Nothing has been begun by the time of such an interruption, so it ends the process at once, without a word. Later the handlers of a command
take over (signals.py), and give these back when it has ended. Must never: import anything that takes time before the handlers are in place,
nor be used by a program of somebody else.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

_STORAGE = 5
"""The exit code for storage that cannot be written (compactor.errors); nothing heavy may be imported for it here."""
_ALGEBRA_THREADS = "OPENBLAS_NUM_THREADS"
"""numpy starts a thread for each further processor as it is loaded; they spin, and there is no linear algebra here for them to do."""


def quiet() -> None:
    """From now on SIGINT and SIGTERM end the process with 130 and 143."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: os._exit(128 + received))


def leave(code: int) -> NoReturn:
    """End the process with `code`: what was printed goes out, what libraries registered for the end is done, and no thread is waited for.

    A command has seen to everything by now. Should a thread of a library still be at work (after an interruption Arrow's may be), Python
    would take its interpreter away beneath it, and a thread that then calls back into Python aborts the process or hangs it for ever.
    """
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the reader has what it wanted
    except OSError as error:
        print(f"Not everything could be printed: {error.strerror}. Send the output elsewhere.", file=sys.stderr)
        code = code or _STORAGE
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Run the command line."""
    quiet()
    os.environ.setdefault(_ALGEBRA_THREADS, "1")
    from compactor_cli.main import main as run

    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        leave(int(end.code or 0))
