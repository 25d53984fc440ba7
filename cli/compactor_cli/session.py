"""The frame of one command: signals handled, every failure one sentence, programs told in JSON."""

from __future__ import annotations

from collections.abc import Callable

from compactor_cli.guard import Failure, guarded
from compactor_cli.output import print_json
from compactor_cli.signals import Signals, handled


def conduct(action: Callable[[Signals], int], *, as_json: bool, describe: Callable[[Failure], object] | None = None) -> int:
    """The exit code of `action`. With `as_json` a failure is printed as an object too: `describe`'s, or status, reason and exit_code."""

    def report(failure: Failure) -> None:
        if as_json:
            print_json(describe(failure) if describe else failure_object(failure))

    with handled() as signals:
        return guarded(lambda: action(signals), signals, report)


def failure_object(failure: Failure) -> dict[str, object]:
    """A failure as programs read it."""
    return {"status": "failed", "reason": failure.sentence, "exit_code": failure.exit_code}
