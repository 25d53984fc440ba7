"""`compactor clean`: what runs that did not end cleanly left behind, and its removal by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.options import Flags, Uri, takes_flags
from compactor_cli.output import aligned, print_json, print_line, say
from compactor_cli.session import conduct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compactor.model.recovery import LeftRun

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show it, and write nothing.")]

_HEADER = ("RUN", "STATE", "FILES", "BYTES", "WHY")


@takes_flags(("Table", "Storage"))
def clean(uri: Uri, flags: Flags, dry_run: DryRun = False) -> int:
    """Remove what crashed runs left: never what a version of the log names, nor what a run may still commit."""
    return conduct(lambda _: _clean(uri, flags, dry_run), as_json=flags.as_json)


def _clean(uri: str, flags: Flags, dry_run: bool) -> int:
    import compactor
    from compactor_cli.jsonable import left_object

    found = compactor.clean(uri, settings=flags.settings(), dry_run=dry_run)
    if flags.as_json:
        for left in found.runs:
            print_json(left_object(left, dry_run=dry_run))
    else:
        for line in _lines(found.runs):
            print_line(line)
    for problem in found.problems:
        say(problem)
    return compactor.StorageError.exit_code if found.problems else 0


def _lines(runs: Sequence[LeftRun]) -> list[str]:
    from compactor.units import format_bytes

    if not runs:
        return ["Every run of this table ended cleanly: nothing is left."]
    rows = [(left.run_id, left.state.value, f"{left.files:,}", format_bytes(left.bytes), left.why) for left in runs]
    return aligned([_HEADER, *rows], right=frozenset({2, 3}))
