"""The last act of the `compactor` process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import atexit, sys, threading, time
import compactor_cli.main

def run():
    atexit.register(lambda: print("ended", file=sys.stderr))
    threading.Thread(target=time.sleep, args=(300,)).start()  # Python's own end would wait for it
    print("told")
    sys.exit({code!r})

compactor_cli.main.main = run
from compactor_cli.entry import main
main()
"""


@pytest.mark.parametrize(("code", "shown"), [(130, 130), (0, 0), (None, 0)])
def test_no_thread_that_is_still_at_work_delays_or_spoils_the_end(code: int | None, shown: int) -> None:
    """A command's process ends with its code at once: what it printed is out, what was registered for the end was done."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM.format(code=code)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (shown, "told\n", "ended\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_could_not_be_printed_is_no_success() -> None:
    """Where standard output takes nothing more, the exit code is that of storage and one sentence says so."""
    with Path("/dev/full").open("w") as full:
        program = [sys.executable, "-c", _PROGRAM.format(code=0)]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, env=buffered, timeout=60, check=False)
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1].startswith("Not everything could be printed: No space left")


_THREADS = """
import os
import compactor_cli.main

def run():
    import numpy
    print(len(os.listdir("/proc/self/task")))

compactor_cli.main.main = run
from compactor_cli.entry import main
main()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")
def test_no_thread_is_started_for_algebra() -> None:
    """A command in which numpy was loaded still has the one thread that it began with."""
    done = subprocess.run([sys.executable, "-c", _THREADS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n")
