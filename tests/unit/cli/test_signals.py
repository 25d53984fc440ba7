"""An interruption arrives, wherever the main thread is when the signal does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from compactor_cli.signals import handled

WAIT_S = 5.0


def test_an_interruption_before_the_command_is_quiet() -> None:
    """A signal while the program is still being imported ends it with its code: no traceback, no word."""
    code = (
        "import compactor_cli.entry as entry, os, signal, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': os.kill(os.getpid(), getattr(signal, sys.argv[1]))\n"
        "sys.meta_path.insert(0, Slow())\n"
        "entry.main()\n"
    )
    for name, expected in (("SIGINT", 130), ("SIGTERM", 143)):
        ended = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (expected, "", "")


def test_an_import_ends_before_the_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM in the middle of an import interrupts after it: the module is whole, and other threads can import afterwards."""
    body = f"import os, signal, time\nos.kill(os.getpid(), {signal.SIGTERM:d})\ntime.sleep(0.1)\nwhole = True\n"
    (tmp_path / "interrupted_module.py").write_text(body)
    (tmp_path / "other_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with handled() as signals, pytest.raises(KeyboardInterrupt):
        import interrupted_module  # type: ignore[import-not-found]  # noqa: F401

        time.sleep(WAIT_S)
    assert signals.received == signal.SIGTERM
    assert sys.modules["interrupted_module"].whole
    thread = threading.Thread(target=__import__, args=("other_module",), daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert "other_module" in sys.modules


def test_an_interruption_that_python_swallows_comes_again() -> None:
    """SIGTERM inside the callback of a weak reference, whose exceptions go nowhere, still interrupts."""

    class Thing:
        pass

    thing = Thing()
    called: list[bool] = []

    def callback(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        called.append(True)

    reference = weakref.ref(thing, callback)
    started = time.monotonic()
    with handled() as signals, pytest.raises(KeyboardInterrupt):
        del thing
        time.sleep(WAIT_S)
    assert reference() is None
    assert signals.received == signal.SIGTERM
    assert time.monotonic() - started < WAIT_S
