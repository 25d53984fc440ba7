"""Every way a command can end, as an exit code and one sentence. There is no traceback unless COMPACTOR_DEBUG asks for it."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from compactor.errors import CompactorError, Interrupted
from compactor_cli.output import is_debug, say
from compactor_cli.signals import Signals

_BUG = "This is a bug in compactor ({kind}: {text}); run it again with COMPACTOR_DEBUG=1 to see the traceback, and please report it."

_INTERRUPTED = "Interrupted; what was committed stands, and nothing else was kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A command that did not end well: the exit code and a sentence that says why."""

    exit_code: int
    sentence: str
    error: BaseException


def explain(error: BaseException, signals: Signals) -> Failure:
    """The failure that an exception means. Interruptions first: libraries answer a signal with errors of many kinds."""
    if isinstance(error, SystemExit) and error.code == signal.SIGTERM:
        signals.received = signal.SIGTERM  # Ray's driver replaces the handler of SIGTERM by one that exits with its number
    if isinstance(error, KeyboardInterrupt | Interrupted) or signals.received is not None:
        return Failure(exit_code=signals.exit_code, sentence=_INTERRUPTED, error=error)
    if isinstance(error, CompactorError):
        return Failure(exit_code=error.exit_code, sentence=one_sentence(str(error)), error=error)
    return Failure(exit_code=1, sentence=_BUG.format(kind=type(error).__name__, text=_short(str(error))), error=error)


def guarded(action: Callable[[], int], signals: Signals, report: Callable[[Failure], object]) -> int:
    """The exit code of `action`; a failure is said on stderr and handed to `report`, for programs."""
    try:
        return action()
    except BaseException as error:  # noqa: BLE001 - this is where every error becomes a sentence
        failure = explain(error, signals)
        if is_debug():
            traceback.print_exception(error)
        report(failure)
        say(failure.sentence)
        return failure.exit_code


def one_sentence(text: str) -> str:
    """An error's text on one line, ending like a sentence."""
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _short(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
