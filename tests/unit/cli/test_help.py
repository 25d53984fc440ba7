"""Help, version and command lines that cannot be parsed: answered at once, without heavy imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMANDS = ("scan", "plan", "run", "history", "serve", "demo")


def compactor(*arguments: str, tell_imports: bool = False) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; with `tell_imports` the last line of stdout names the heavy modules it imported."""
    code = "import sys\nfrom compactor_cli.main import main\n"
    call = f"main({list(arguments)!r})\n"
    heavy = "{'ray', 'pyarrow', 'deltalake', 'boto3', 'obstore', 'pydantic_settings', 'numpy'}"
    if tell_imports:
        call = f"try:\n    main({list(arguments)!r})\nexcept SystemExit:\n    print(sorted({heavy} & set(sys.modules)))\n"
    return subprocess.run([sys.executable, "-c", code + call], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), *((command, "--help") for command in COMMANDS), ("rnu",)])
def test_help_is_cheap(arguments: tuple[str, ...]) -> None:
    """Neither Ray nor Arrow nor deltalake is imported to print help, the version, or that a command does not exist."""
    assert compactor(*arguments, tell_imports=True).stdout.splitlines()[-1] == "[]"


def test_help_names_commands_and_exit_codes() -> None:
    """The first thing that people see says what there is and what a script may rely on."""
    shown = compactor("--help")
    assert shown.returncode == 0
    for word in (*COMMANDS, "--version", "8 proof failed", "130/143"):
        assert word in " ".join(shown.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("rnu", "x"), "No such command 'rnu'. Did you mean 'run'? Try: compactor --help"),
        (("run",), "Missing argument 'URI'. Try: compactor run --help"),
        (("plan", "x", "--bogus"), "No such option: --bogus. Try: compactor plan --help"),
        (("scan", "x", "--target-size"), "Option '--target-size' requires an argument. Try: compactor scan --help"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    """Exit code 2, one line on stderr, nothing on stdout."""
    shown = compactor(*arguments)
    assert (shown.returncode, shown.stdout, shown.stderr) == (2, "", f"{sentence}\n")


def test_a_wrong_command_line_is_an_object_for_programs() -> None:
    """With --json a program gets the run's object even when its own arguments were wrong."""
    shown = compactor("run", "x", "--json", "--bogus")
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["status"], told["exit_code"]) == (2, "failed", 2)
    assert told["groups"] == {"planned": 0, "committed": 0, "dropped": []}
