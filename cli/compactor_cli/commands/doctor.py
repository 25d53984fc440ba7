"""`compactor doctor`: past damage of a table, and whether the store holds what its log names; or what this installation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.options import Flags, takes_flags
from compactor_cli.output import print_json, print_line, say
from compactor_cli.session import conduct

if TYPE_CHECKING:
    from compactor.model.findings import Finding

Uri = Annotated[str | None, typer.Argument(help="The table.", metavar="URI", show_default=False)]
Data = Annotated[bool, typer.Option("--data", help="Read every live file, too, and hold its rows against its statistics.")]
Self = Annotated[bool, typer.Option("--self", help="Show this installation instead: versions, executors, memory.")]


@takes_flags(("Execution", "Table", "Storage"))
def doctor(flags: Flags, uri: Uri = None, data: Data = False, myself: Self = False) -> int:
    """Examine a table for damage, past and present. Only reads; exit code 6 when it is damaged."""
    return conduct(lambda _: _installation(flags) if myself else _doctor(uri, flags, data), as_json=flags.as_json)


def _doctor(uri: str | None, flags: Flags, data: bool) -> int:
    import compactor
    from compactor_cli.jsonable_maintenance import diagnosis_object, finding_object
    from compactor_cli.render.maintenance import finding_lines, summary_line

    if uri is None:
        raise compactor.UsageError("Name a table, or pass --self.")

    def show(finding: Finding) -> None:
        if flags.as_json:
            print_json(finding_object(finding))
        else:
            for line in finding_lines(finding):
                print_line(line)

    found = compactor.doctor(uri, settings=flags.settings(), data=data, on_finding=show)
    if flags.as_json:
        print_json(diagnosis_object(found))
    else:
        print_line(summary_line(found))
    if found.exit_code:
        say(f"{found.table} is damaged: {next(finding.why for finding in found.findings if finding.is_damage)}")
    return found.exit_code


def _installation(flags: Flags) -> int:
    import compactor
    from compactor_cli.jsonable_maintenance import installation_object
    from compactor_cli.render.maintenance import installation_lines

    found = compactor.installation(settings=flags.settings())
    if flags.as_json:
        print_json(installation_object(found))
    else:
        for line in installation_lines(found):
            print_line(line)
    return 0
