"""`compactor plan`: what a run would do, and why it would leave the rest alone."""

from __future__ import annotations

from compactor_cli.commands.scan import Uri
from compactor_cli.options import Flags, takes_flags
from compactor_cli.output import print_json, print_line
from compactor_cli.session import conduct


@takes_flags()
def plan(uri: Uri, flags: Flags) -> int:
    """Show what a run would rewrite, what that is predicted to take, and why other files are left alone; write nothing."""
    return conduct(lambda _signals: _plan(uri, flags), as_json=flags.as_json)


def _plan(uri: str, flags: Flags) -> int:
    import compactor
    from compactor_cli.jsonable import plan_object
    from compactor_cli.render.plan import plan_lines

    settings = flags.settings()
    planned = compactor.plan(uri, settings=settings)
    snapshot = compactor.load(uri, settings=settings, version=planned.version)
    if flags.as_json:
        print_json(plan_object(planned, snapshot))
    else:
        for line in plan_lines(planned, snapshot):
            print_line(line)
    return 0
