"""The documentation says what the program does: options, exit codes, reasons and fields are held against the code."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from support import cli_values

from compactor import errors
from compactor.model.plan import GroupKind, LeftOut
from compactor.model.run import RunStatus
from compactor_cli.jsonable import plan_object, run_object, scan_object
from compactor_cli.options import _FLAGS
from compactor_cli.render.plan import WHY_LEFT_OUT

ROOT = Path(__file__).parents[3]
CLI = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("flag", _FLAGS, ids=lambda flag: flag.key)
def test_every_option_is_documented(flag: object) -> None:
    """The table of options has each one's shape, key and help as the program prints them."""
    spelled = f"--{flag.key.replace('_', '-')}{f' {flag.shape}' if flag.shape else ''}".replace("|", "\\|")  # type: ignore[attr-defined]
    assert f"| `{spelled}` | `{flag.key}` | {flag.help} |" in CLI  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", [CLI, README], ids=["cli.md", "README"])
def test_every_exit_code_is_documented(text: str) -> None:
    """Each exit code that an error can have is in both tables."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.CompactorError)]
    documented = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for code in row.split(",")}
    assert {kind.exit_code for kind in kinds} | {0, 143} == documented


def test_every_code_word_is_documented() -> None:
    """Statuses, kinds of groups and reasons are what scripts compare with."""
    for word in (*RunStatus, *GroupKind, *LeftOut):
        assert f"`{word.value}`" in CLI


def test_every_field_is_documented() -> None:
    """Each field of the JSON objects is named."""
    objects = [
        *(scan_object(entry) for entry in (cli_values.scanned(), cli_values.FAILED, cli_values.ICEBERG)),
        plan_object(cli_values.plan(), cli_values.snapshot()),
        run_object(cli_values.run()),
    ]
    names = set(re.findall(r'"([a-z_]+)": ', json.dumps(objects))) - {"day", *(reason.value.replace("-", "_") for reason in LeftOut)}
    assert {name for name in names if f"`{name}`" not in CLI} == set()


def test_every_reason_has_words() -> None:
    """No file is left out of a plan for a reason that the text of a plan cannot say."""
    assert set(WHY_LEFT_OUT) == set(LeftOut)


@pytest.mark.parametrize(
    "document",
    sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("infra/**/*.md")]),
)
def test_links_between_documents_hold(document: str) -> None:
    """A relative link leads to a file that is there."""
    path = ROOT / document
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{document} links to {target}"
