"""`compactor pause`, `resume` and `run-now`: what people ask of a service for one table. It is heard in its next round."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compactor_cli.options import Uri
from compactor_cli.output import print_json, print_line
from compactor_cli.session import conduct

Config = Annotated[Path, typer.Option("--config", metavar="FILE.toml", envvar="COMPACTOR_CONFIG", help="The file of the service.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who asks, for those who wonder why.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]


def pause(uri: Uri, config: Config, by: By = "the command line", as_json: Json = False) -> int:
    """Have a service leave a table alone until `resume`. A run that is at work is not ended."""
    return _act(uri, config, "paused", by, as_json)


def resume(uri: Uri, config: Config, as_json: Json = False) -> int:
    """Take a pause back."""
    return _act(uri, config, "paused", None, as_json)


def run_now(uri: Uri, config: Config, by: By = "the command line", as_json: Json = False) -> int:
    """Have a service run a table next, whatever its windows, waits and gain; within the budget, and not while it is paused."""
    return _act(uri, config, "asked", by, as_json)


def _act(uri: str, config: Path, kind: str, by: str | None, as_json: bool) -> int:
    def act() -> int:
        from compactor.service.config_file import read_config
        from compactor.service.opening import open_shared
        from compactor.storage import normalise_uri

        table = normalise_uri(uri)
        shared = open_shared(read_config(config))
        if by is None:
            shared.unmark(kind, table)
        else:
            shared.mark(kind, table, by)
        known = shared.known_tables()
        said = "resumed" if by is None else "paused" if kind == "paused" else "asked for"
        if as_json:
            print_json(
                {"format_version": 1, "kind": "mark", "table": table, "state": said, "known": None if known is None else table in known}
            )
        else:
            print_line(f"{table} is {said}; the service hears of it in its next round.")
            if known is not None and table not in known:
                print_line("The service did not look after such a table when it last saved what it knows. Is it spelled rightly?")
        return 0

    return conduct(lambda _: act(), as_json=as_json)
