"""`compactor scan`: what a table, or every table below a prefix, looks like to a reader, and whether it is worth compacting."""

from __future__ import annotations

from typing import Annotated

import typer

from compactor_cli.options import Flags, takes_flags
from compactor_cli.output import print_json, print_line, say
from compactor_cli.session import conduct

Prefix = Annotated[
    str, typer.Argument(metavar="URI", help="A table, or a prefix that holds tables: s3://…, gs://…, az://… or a local path.")
]


@takes_flags()
def scan(uri: Prefix, flags: Flags) -> int:
    """Show the health of a table, or of every table below a prefix; write nothing."""
    return conduct(lambda _signals: _scan(uri, flags), as_json=flags.as_json)


def _scan(uri: str, flags: Flags) -> int:
    import compactor
    from compactor.service.discovery import FailedTable, ScanEntry, ScannedTable
    from compactor_cli.guard import one_sentence
    from compactor_cli.jsonable import scan_object
    from compactor_cli.render.scan import HEADER, entry_line, health_lines

    entries: list[ScanEntry] = []
    for entry in compactor.scan(uri, settings=flags.settings()):
        if not flags.as_json and not entries:
            print_line(HEADER)
        if not (print_json(scan_object(entry)) if flags.as_json else print_line(entry_line(entry))):
            return 0  # `… | head`: there is no need to look at the other tables
        entries = [*entries[-1:], entry]
    if len(entries) == 1 and isinstance(entries[0], ScannedTable) and not flags.as_json:
        for line in health_lines(entries[0].health):
            print_line(line)
    if len(entries) == 1 and isinstance(entries[0], FailedTable):
        say(one_sentence(entries[0].why))
        return entries[0].exit_code
    return 0
