"""`compactor run`: compact one table."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.options import POLICY, Flags, Uri, takes_flags
from compactor_cli.output import print_json, print_line, say
from compactor_cli.session import conduct
from compactor_cli.signals import Signals

if TYPE_CHECKING:
    from compactor.model.commit import Committed
    from compactor.model.events import Event
    from compactor.model.health import Health
    from compactor.model.plan import Plan
    from compactor.model.run import Run
    from compactor_cli.guard import Failure

DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan and check everything, write nothing.")]
RunId = Annotated[
    str | None, typer.Option("--run-id", metavar="ID", help="Name the run; a second run of that name returns the first one's result.")
]

StoredPlan = Annotated[
    str | None, typer.Option("--plan", metavar="FILE", help="Apply a plan that `plan -o` kept, once; what has changed since is left out.")
]


@takes_flags()
def run(uri: Uri, flags: Flags, dry_run: DryRun = False, run_id: RunId = None, plan: StoredPlan = None) -> int:
    """Compact a table: rewrite what is worth it, check that every row is still there, commit."""

    witness = Witness(table=uri, run_id=run_id or "", dry_run=dry_run, stored_plan=plan)
    return conduct(
        lambda signals: _run(flags, run_id, witness, signals),
        as_json=flags.as_json,
        describe=lambda failure: failed_object(failure, witness),
    )


@dataclass(slots=True, kw_only=True)
class Witness:
    """Remembers what the summary needs, and what stands when a run has no result of its own: it was interrupted."""

    table: str
    run_id: str
    dry_run: bool
    stored_plan: str | None = None
    before: Health | None = None
    plan: Plan | None = None
    commits: list[Committed] = field(default_factory=list)

    def on(self, event: Event) -> None:
        """A sink."""
        from compactor.model import events

        match event:
            case events.RunStarted():
                self.run_id = event.run_id
            case events.Assessed():
                self.before = event.health
            case events.Planned():
                self.plan = event.plan
            case events.CommitLanded():
                self.commits.append(event.outcome)
            case _:
                pass


def _run(flags: Flags, run_id: str | None, witness: Witness, signals: Signals) -> int:
    from compactor.ambient.lean import choose_allocator, collect_seldom, leave_pandas

    choose_allocator(os.environ)  # before Arrow is loaded
    collect_seldom()
    import compactor
    from compactor.coordination.documents import check_run_id
    from compactor_cli.jsonable import run_object
    from compactor_cli.progress import progress
    from compactor_cli.render.run import failure_line

    if run_id is not None:
        check_run_id(run_id)
    if witness.stored_plan is not None:
        _refuse_policy(flags, witness)
    settings = flags.settings()
    if settings.executor != "ray" and settings.ray_address is None:
        leave_pandas()

    with progress() as draw:

        def sink(event: Event) -> None:
            signals.hold()
            witness.on(event)
            draw(event)

        result = compactor.run(
            witness.table, settings=settings, run_id=run_id, dry_run=witness.dry_run, plan=witness.stored_plan, sink=sink
        )
    signals.hold()
    if flags.as_json:
        print_json(run_object(result, dry_run=witness.dry_run))
    if result.exit_code:
        say(failure_line(result))
    if not flags.as_json and (result.groups_committed or not result.exit_code):
        for line in _lines(result, witness):
            print_line(line)
    return result.exit_code


def _refuse_policy(flags: Flags, witness: Witness) -> None:
    """A stored plan brings its policy and names its run. Raises UsageError for options that would say otherwise."""
    from compactor.errors import UsageError

    given = sorted(f"--{key.replace('_', '-')}" for key in POLICY & flags.values.keys()) + (["--run-id"] if witness.run_id else [])
    if given:
        raise UsageError(f"{given[0]} cannot be used with --plan: the plan was made with its own policy and names its own run; plan again.")


def _lines(result: Run, witness: Witness) -> list[str]:
    """Text for stdout: the plan of a dry run, else the summary."""
    from compactor_cli.render.plan import plan_lines
    from compactor_cli.render.run import run_lines

    if witness.dry_run and witness.plan is not None:
        return [*plan_lines(witness.plan), "", "Dry run: nothing was written."]
    return run_lines(result, witness.before)


def failed_object(failure: Failure, witness: Witness) -> dict[str, object]:
    """The run's object for an error that kept it from having a result; what was committed before counts."""
    from compactor.errors import ConflictGaveUp, TableRefused
    from compactor.model.run import Run, RunStatus
    from compactor_cli.jsonable import run_object

    kinds = {TableRefused: RunStatus.REFUSED, ConflictGaveUp: RunStatus.CONFLICT}
    commits = witness.commits
    run = Run(
        run_id=witness.run_id,
        table=witness.table,
        status=next((status for kind, status in kinds.items() if isinstance(failure.error, kind)), RunStatus.FAILED),
        reason=failure.sentence,
        version=max((commit.version for commit in commits), default=None),
        files_removed=sum(commit.files_removed for commit in commits),
        files_added=sum(commit.files_added for commit in commits),
        bytes_removed=sum(commit.bytes_removed for commit in commits),
        bytes_added=sum(commit.bytes_added for commit in commits),
        rows=sum(commit.rows for commit in commits),
        masked_rows=sum(commit.masked_rows for commit in commits),
        groups_planned=len(witness.plan) if witness.plan else 0,
        groups_committed=sum(len(commit.groups) for commit in commits),
        exit_code=failure.exit_code,
    )
    return run_object(run, dry_run=witness.dry_run)
