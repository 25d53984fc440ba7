"""`compactor history`: who wrote which version of a table, and what our own runs did."""

from __future__ import annotations

from typing import Annotated

import typer

from compactor_cli.options import Flags, Uri, takes_flags
from compactor_cli.output import print_json, print_line
from compactor_cli.session import conduct

Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="Only the newest N versions.")]


@takes_flags(("Table", "Storage"))
def history(uri: Uri, flags: Flags, limit: Limit = None) -> int:
    """Show the versions that a table's log retains, newest first."""
    return conduct(lambda _signals: _history(uri, flags, limit), as_json=flags.as_json)


def _history(uri: str, flags: Flags, limit: int | None) -> int:
    import compactor
    from compactor_cli.jsonable import history_object
    from compactor_cli.render.history import history_lines

    entries = compactor.history(uri, settings=flags.settings(), limit=limit)
    if flags.as_json:
        for entry in entries:
            print_json(history_object(entry))
    else:
        for line in history_lines(entries):
            print_line(line)
    return 0
