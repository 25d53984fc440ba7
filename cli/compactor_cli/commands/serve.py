"""`compactor serve`: scan and run over prefixes, again and again, until SIGTERM: the container on a schedule."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from compactor_cli.options import Flags, takes_flags
from compactor_cli.output import print_json
from compactor_cli.session import failure_object

QUIET_PERIOD_S = 900.0
"""A service comes again, so it can leave alone what others work on."""
Uris = Annotated[
    list[str] | None,
    typer.Argument(metavar="[URI…]", help="Tables, or prefixes that hold tables. Without any, --config is the file of a service."),
]
Every = Annotated[str, typer.Option("--every", metavar="TIME", help="From the start of one round to the start of the next.")]
Once = Annotated[bool, typer.Option("--once", help="One round, then exit with the code of the first failure: for an outer scheduler.")]
Grace = Annotated[
    str, typer.Option("--grace", metavar="TIME", help="After SIGTERM: how long the table at hand may take before it is stopped.")
]


@takes_flags()
def serve(flags: Flags, uris: Uris = None, every: Every = "15m", once: Once = False, grace: Grace = "20s") -> int:
    """Keep all tables below some prefixes compacted, until SIGTERM: then the table at hand is finished or safely stopped, exit code 0."""
    from compactor.ambient.lean import choose_allocator, collect_seldom
    from compactor.errors import UsageError
    from compactor.units import parse_seconds
    from compactor_cli.guard import Failure, guarded
    from compactor_cli.service_loop import Loop, Pace
    from compactor_cli.signals import Signals, handled

    def report(failure: Failure) -> None:
        if flags.as_json:
            print_json(failure_object(failure))

    def act() -> int:
        choose_allocator(os.environ)
        collect_seldom()
        if not uris:
            return _service(flags)
        pace = Pace(every_s=parse_seconds(every), once=once)
        settings = flags.settings()
        if settings.force_rewrite and not once:
            raise UsageError("A loop with force_rewrite would rewrite every table in every round; force a rewrite with compactor run.")
        # Rounds come again, so a lease that another holds is not waited for; one that stays unchanged between rounds is taken over.
        quiet = QUIET_PERIOD_S if settings.quiet_period is None else settings.quiet_period
        settings = settings.model_copy(update={"lease": settings.lease or "on", "lease_wait": 0.0, "quiet_period": quiet})
        with handled(grace_s=parse_seconds(grace)) as signals:
            return Loop(uris, settings, pace, signals, flags.as_json).run()

    return guarded(act, Signals(), report)


def _service(flags: Flags) -> int:
    """The service that --config describes; it knows of no other option."""
    from compactor.errors import UsageError
    from compactor_cli.service_run import serve_config

    if flags.config is None:
        raise UsageError("Name the tables or prefixes to serve, or with --config the file of a service.")
    if flags.values:
        given = ", ".join(f"--{key.replace('_', '-')}" for key in flags.values)
        raise UsageError(f"A service is told everything in its file; leave out {given}.")
    return serve_config(flags.config)
