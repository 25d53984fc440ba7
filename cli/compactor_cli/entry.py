"""What the `compactor` command runs first: an interruption while the program is still being imported ends it at once, without a word.

Nothing has been begun by then, so there is nothing to see to. Later the handlers of a command take over (signals.py), and give these back
when it has ended. Must never: import anything that takes time before the handlers are in place, nor be used by a program of somebody else.
"""

from __future__ import annotations

import os
import signal


def quiet() -> None:
    """From now on SIGINT and SIGTERM end the process with 130 and 143."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: os._exit(128 + received))


def main() -> None:
    """Run the command line."""
    quiet()
    from compactor_cli.main import main as run

    run()
