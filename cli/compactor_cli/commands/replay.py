"""`compactor replay`: what a policy would have made of a table's own history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compactor_cli.options import Uri
from compactor_cli.output import print_json, print_line
from compactor_cli.session import conduct

if TYPE_CHECKING:
    from compactor.service.policies import TablePolicy

PolicyFile = Annotated[
    Path, typer.Option("--policy", metavar="FILE.toml", help="The file of a service, or just rules (keys as in its [defaults]).")
]
Every = Annotated[str, typer.Option("--every", metavar="TIME", help="How often the table is looked at.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]


def replay(uri: Uri, policy: PolicyFile, every: Every = "1h", as_json: Json = False) -> int:
    """Play a table's retained history again under a policy, and show files, bytes rewritten, spend and lag. Nothing is written."""

    def act() -> int:
        from compactor.errors import UsageError
        from compactor.service.what_if import what_if
        from compactor.units import parse_seconds
        from compactor_cli.render.replay import replay_lines, replay_object

        every_s = parse_seconds(every)
        if every_s <= 0:
            raise UsageError("A table cannot be looked at every 0 seconds; --every takes a time such as 15m.")
        found = what_if(uri, _policy(policy, uri), every_s)
        if as_json:
            print_json(replay_object(uri, found))
        else:
            for line in replay_lines(found):
                print_line(line)
        return 0

    return conduct(lambda _: act(), as_json=as_json)


def _policy(file: Path, uri: str) -> TablePolicy:
    from compactor.service.config_file import read_rules
    from compactor.service.policies import policy_of
    from compactor.storage import normalise_uri

    return policy_of(read_rules(file), normalise_uri(uri), {})
