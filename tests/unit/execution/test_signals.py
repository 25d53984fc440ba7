"""Handlers of signals are kept while a library takes them, also in a thread, where Python lets nobody set them."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import ctypes, os, signal, sys, threading, time
from compactor.execution.signals import signals_kept
came = []
signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))

def library():
    ctypes.pythonapi.PyOS_setsig(ctypes.c_int(signal.SIGTERM), ctypes.c_void_p(0))  # the system's default, as Ray leaves it

def work():
    with signals_kept():
        library()
        if sys.argv[1] == "inside":
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

thread = threading.Thread(target=work)
thread.start()
thread.join()
if sys.argv[1] == "after":
    os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.2)
print(came == [signal.SIGTERM])
"""


@pytest.mark.parametrize("when", ["inside", "after"])
def test_a_handler_is_kept_from_a_thread(when: str) -> None:
    """A signal that comes while the library still has it, and one that comes afterwards, reach the process's own handler."""
    ended = subprocess.run([sys.executable, "-c", CODE, when], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "True"), ended.stderr
