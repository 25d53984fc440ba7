"""`compactor explain`: why a file or a partition is or is not in the next plan."""

from __future__ import annotations

from typing import Annotated

import typer

from compactor_cli.options import Flags, Uri, takes_flags
from compactor_cli.output import print_json, print_line
from compactor_cli.session import conduct

File = Annotated[str | None, typer.Option("--file", metavar="PATH", help="A data file: its path below the table, or its name.")]
Partition = Annotated[str | None, typer.Option("--partition", metavar="NAME", help='A partition, for example "date=2026-01-01/region=eu".')]


@takes_flags()
def explain(uri: Uri, flags: Flags, file: File = None, partition: Partition = None) -> int:
    """Say why a file, a partition or the table is or is not in the next plan, and what would change that; write nothing."""
    return conduct(lambda _: _explain(uri, flags, file, partition), as_json=flags.as_json)


def _explain(uri: str, flags: Flags, file: str | None, partition: str | None) -> int:
    import compactor
    from compactor_cli.jsonable import explanation_object
    from compactor_cli.render.explain import explanation_lines

    found = compactor.explain(uri, settings=flags.settings(), file=file, partition=partition)
    if flags.as_json:
        print_json(explanation_object(found))
    else:
        for line in explanation_lines(found):
            print_line(line)
    return 0
