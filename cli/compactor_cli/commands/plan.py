"""`compactor plan`: what a run would do, and why it would leave the rest alone; keep that as a file, or compare two such files."""

from __future__ import annotations

from typing import Annotated

import typer

from compactor_cli.options import Flags, takes_flags
from compactor_cli.output import print_json, print_line, say
from compactor_cli.session import conduct

Uri = Annotated[str | None, typer.Argument(metavar="[URI]", help="A table: s3://…, gs://…, az://… or a local path.", show_default=False)]
Out = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Keep the plan as JSON lines for `run --plan`; - is stdout.")
]
Diff = Annotated[
    tuple[str, str] | None, typer.Option("--diff", metavar="OLD NEW", help="Show what changed between two kept plans; takes no URI.")
]


@takes_flags()
def plan(flags: Flags, uri: Uri = None, output: Out = None, diff: Diff = None) -> int:
    """Show what a run would rewrite, what that is predicted to take, and why other files are left alone; write nothing."""
    return conduct(lambda _: _act(uri, flags, output, diff), as_json=flags.as_json)


def _act(uri: str | None, flags: Flags, output: str | None, diff: tuple[str, str] | None) -> int:
    from compactor.errors import UsageError

    if diff is not None:
        if uri is not None or output is not None:
            raise UsageError("--diff compares two kept plans: it takes no URI and no --output.")
        return _diff(diff, flags)
    if uri is None:
        raise UsageError("Missing argument 'URI': name the table to plan, or two kept plans with --diff OLD NEW.")
    return _plan(uri, flags) if output is None else _keep(uri, flags, output)


def _plan(uri: str, flags: Flags) -> int:
    import compactor
    from compactor_cli.jsonable import plan_object
    from compactor_cli.render.plan import plan_lines

    planned = compactor.plan(uri, settings=flags.settings())
    if flags.as_json:
        print_json(plan_object(planned))
    else:
        for line in plan_lines(planned):
            print_line(line)
    return 0


def _keep(uri: str, flags: Flags, output: str) -> int:
    import compactor
    from compactor_cli.jsonable import plan_object
    from compactor_cli.render.plan import plan_lines

    saved = compactor.write_plan(uri, output, settings=flags.settings())
    if output == "-":
        return 0
    if flags.as_json:
        print_json(plan_object(saved.plan, saved.plan_id))
    else:
        for line in plan_lines(saved.plan):
            print_line(line)
    say(f"The plan {saved.plan_id} is in {output}; apply it with: compactor run {uri} --plan {output}")
    return 0


def _diff(files: tuple[str, str], flags: Flags) -> int:
    import compactor
    from compactor_cli.jsonable import diff_object
    from compactor_cli.render.diff import diff_lines

    changed = compactor.diff_plans(*files)
    if flags.as_json:
        print_json(diff_object(changed))
    else:
        for line in diff_lines(changed):
            print_line(line)
    return 0
