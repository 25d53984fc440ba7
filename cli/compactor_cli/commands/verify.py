"""`compactor verify`: hold what rewrites removed against what they added, by rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.options import Flags, Uri, takes_flags
from compactor_cli.output import print_json, print_line, say
from compactor_cli.session import conduct

if TYPE_CHECKING:
    from compactor.model.verification import CommitVerdict

Version = Annotated[int | None, typer.Option("--version", min=0, metavar="N", help="This commit, whoever made it.")]
From = Annotated[int | None, typer.Option("--from", min=0, metavar="A", help="Our commits from this version on.")]
To = Annotated[int | None, typer.Option("--to", min=0, metavar="B", help="Our commits up to this version.")]


@takes_flags(("Execution", "Table", "Storage"))
def verify(uri: Uri, flags: Flags, version: Version = None, first: From = None, last: To = None) -> int:
    """Check that commits of ours, by default all that the log retains, kept every row, from the files that are still there."""
    return conduct(lambda _: _verify(uri, flags, (version, first, last)), as_json=flags.as_json)


def _verify(uri: str, flags: Flags, versions: tuple[int | None, int | None, int | None]) -> int:
    import compactor
    from compactor_cli.jsonable import commit_verdict_object
    from compactor_cli.render.verify import commit_lines, fault_line, summary_line

    version, first, last = versions
    if version is not None and (first is not None or last is not None):
        raise compactor.UsageError("Give either --version or a range by --from and --to.")
    if first is not None and last is not None and first > last:
        raise compactor.UsageError(f"--from {first} is after --to {last}.")

    def show(verdict: CommitVerdict) -> None:
        if flags.as_json:
            print_json(commit_verdict_object(verdict))
        else:
            for line in commit_lines(verdict):
                print_line(line)

    found = compactor.verify(uri, settings=flags.settings(), version=version, first=first, last=last, on_commit=show)
    if not flags.as_json:
        print_line(summary_line(found))
    if found.exit_code:
        say(fault_line(found))
    return found.exit_code
