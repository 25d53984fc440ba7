"""Entry point of the `compactor` command: the list of commands, and what happens to a command line that cannot be parsed.

Must never: import pyarrow, deltalake or Ray by itself; help and version are answered without them.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from compactor.errors import UsageError
from compactor_cli.commands.clean import clean
from compactor_cli.commands.config import config
from compactor_cli.commands.demo import demo
from compactor_cli.commands.doctor import doctor
from compactor_cli.commands.explain import explain
from compactor_cli.commands.history import history
from compactor_cli.commands.marks import pause, resume, run_now
from compactor_cli.commands.plan import plan
from compactor_cli.commands.replay import replay
from compactor_cli.commands.run import Witness, failed_object, run
from compactor_cli.commands.runs import runs
from compactor_cli.commands.scan import scan
from compactor_cli.commands.serve import serve
from compactor_cli.commands.vacuum import vacuum
from compactor_cli.commands.verify import verify
from compactor_cli.guard import Failure, one_sentence
from compactor_cli.output import print_json, say
from compactor_cli.session import failure_object

_ABOUT = """Keeps Delta Lake tables read-optimised while other engines keep writing.

Data goes to stdout, messages and progress to stderr. Exit codes: 0 done or nothing to do, 1 a bug of ours, 2 wrong usage or settings,
3 table refused, 4 gave up on conflicts, 5 storage unavailable, 6 table corrupt, 7 execution failed, 8 proof failed, 130/143 interrupted.
"""

app = typer.Typer(
    help=_ABOUT, no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"compactor {version('lakehouse-compactor')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Options of the command itself."""


_COMMANDS = (scan, plan, explain, run, runs, history, verify, clean, doctor, vacuum, replay, serve, pause, resume, run_now, demo)
_NAMES = (*(command.__name__.replace("_", "-") for command in _COMMANDS), "config")
for _command in _COMMANDS:
    app.command(_command.__name__.replace("_", "-"))(_command)
app.add_typer(config, name="config")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code that its help documents."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command: Any = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="compactor", standalone_mode=False)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        code = _unparsed(str(message()), arguments)
    sys.exit(code if isinstance(code, int) else 0)


def _unparsed(problem: str, arguments: list[str]) -> int:
    """One sentence on stderr (and one object on stdout for programs) for arguments that are wrong. No arguments at all: help was shown."""
    if not problem.strip() or not arguments:
        if problem.strip():
            print(problem)
        return 2
    command = next((name for name in _NAMES if name == arguments[0]), "")
    sentence = f"{one_sentence(problem)} Try: compactor {command} --help".replace("  ", " ").replace("?. ", "? ")
    if "--json" in arguments:
        failure = Failure(exit_code=2, sentence=sentence, error=UsageError(sentence))
        print_json(failed_object(failure, Witness(table="", run_id="", dry_run=False)) if command == "run" else failure_object(failure))
    say(sentence)
    return 2
