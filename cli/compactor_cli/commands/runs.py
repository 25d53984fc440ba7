"""`compactor runs`: what our own runs did to a table, predicted and actual, from the journal."""

from __future__ import annotations

from typing import Annotated

import typer

from compactor_cli.options import Flags, Uri, takes_flags
from compactor_cli.output import print_json, print_line
from compactor_cli.session import conduct

Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="Only the newest N runs.")]


@takes_flags(("Table", "Storage"))
def runs(uri: Uri, flags: Flags, limit: Limit = None) -> int:
    """Show the runs that wrote to a table, newest first: how they ended, what they saved, what they took; failed ones too."""
    return conduct(lambda _: _runs(uri, flags, limit), as_json=flags.as_json)


def _runs(uri: str, flags: Flags, limit: int | None) -> int:
    import compactor
    from compactor_cli.jsonable import record_object
    from compactor_cli.render.runs import runs_lines

    records = compactor.runs(uri, settings=flags.settings(), limit=limit)
    if flags.as_json:
        for record in records:
            print_json(record_object(record))
    else:
        for line in runs_lines(records):
            print_line(line)
    return 0
