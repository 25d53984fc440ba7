"""`compactor run`: compact one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.commands.scan import Uri
from compactor_cli.options import Flags, takes_flags
from compactor_cli.output import print_json, print_line, say
from compactor_cli.session import conduct

if TYPE_CHECKING:
    from compactor.model.events import Event
    from compactor.model.health import Health
    from compactor.model.plan import Plan
    from compactor.model.run import Run
    from compactor.settings import Settings
    from compactor_cli.guard import Failure

DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan and check everything, write nothing.")]
RunId = Annotated[
    str | None, typer.Option("--run-id", metavar="ID", help="Name the run; a second run of that name returns the first one's result.")
]


@takes_flags()
def run(uri: Uri, flags: Flags, dry_run: DryRun = False, run_id: RunId = None) -> int:
    """Compact a table: rewrite what is worth it, check that every row is still there, commit."""

    def describe(failure: Failure) -> object:
        return failed_object(uri, failure, dry_run, run_id)

    return conduct(lambda: _run(uri, flags, dry_run, run_id), as_json=flags.as_json, describe=describe)


def _run(uri: str, flags: Flags, dry_run: bool, run_id: str | None) -> int:
    import compactor
    from compactor_cli.jsonable import run_object
    from compactor_cli.progress import progress

    settings = flags.settings()
    witness = Witness()

    with progress() as draw:

        def sink(event: Event) -> None:
            witness.on(event)
            draw(event)

        result = compactor.run(uri, settings=settings, run_id=run_id, dry_run=dry_run, sink=sink)
    if flags.as_json:
        print_json(run_object(result, dry_run=dry_run))
    else:
        _print(result, witness, settings if dry_run else None)
    return result.exit_code


class Witness:
    """Remembers what the summary needs: the table before, and the plan."""

    def __init__(self) -> None:
        self.before: Health | None = None
        self.plan: Plan | None = None

    def on(self, event: Event) -> None:
        """A sink."""
        from compactor.model import events

        if isinstance(event, events.Assessed):
            self.before = event.health
        elif isinstance(event, events.Planned):
            self.plan = event.plan


def _print(result: Run, witness: Witness, dry_settings: Settings | None) -> None:
    """Text: the plan of a dry run, else the summary. A run that did not end well is a message, not data."""
    import compactor
    from compactor_cli.render.plan import plan_lines
    from compactor_cli.render.run import outcome_line, run_lines

    if result.exit_code:
        say(outcome_line(result))
        if not result.groups_committed:
            return
    if dry_settings is not None and witness.plan is not None and len(witness.plan):
        snapshot = compactor.load(witness.plan.table.uri, settings=dry_settings, version=witness.plan.version)
        lines = [*plan_lines(witness.plan, snapshot), "", "Dry run: nothing was written."]
    else:
        lines = run_lines(result, witness.before)
    for line in lines:
        print_line(line)


def failed_object(uri: str, failure: Failure, dry_run: bool, run_id: str | None) -> dict[str, object]:
    """The run's object for an error that kept it from having a result."""
    from compactor.errors import ConflictGaveUp, TableRefused
    from compactor.model.run import Run, RunStatus
    from compactor_cli.jsonable import run_object

    kinds = {TableRefused: RunStatus.REFUSED, ConflictGaveUp: RunStatus.CONFLICT}
    status = next((status for kind, status in kinds.items() if isinstance(failure.error, kind)), RunStatus.FAILED)
    ended = Run(run_id=run_id or "", table=uri, status=status, reason=failure.sentence, exit_code=failure.exit_code)
    return run_object(ended, dry_run=dry_run)
