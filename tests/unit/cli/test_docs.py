"""The documentation says what the program does: options, exit codes, reasons and fields are held against the code."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from support import cli_values

from compactor import errors
from compactor.model.plan import GroupKind, LeftOut, SavedPlan
from compactor.model.recovery import LeftRun, LeftState
from compactor.model.run import RunRecord, RunStatus
from compactor.planning.diff import diff
from compactor.planning.explain import PartitionExplanation, Thresholds
from compactor.tables.delta.driver_memory import checkpoint_bytes, snapshot_bytes
from compactor.units import format_bytes
from compactor_cli import jsonable
from compactor_cli.options import _FLAGS
from compactor_cli.render.plan import WHY_LEFT_OUT

ROOT = Path(__file__).parents[3]
CLI = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
SCALE = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
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
        *(jsonable.scan_object(entry) for entry in (cli_values.scanned(), cli_values.FAILED, cli_values.ICEBERG)),
        jsonable.plan_object(cli_values.plan()),
        jsonable.run_object(cli_values.run()),
    ]
    names = set(re.findall(r'"([a-z_]+)": ', json.dumps(objects))) - {"day", *(reason.value.replace("-", "_") for reason in LeftOut)}
    assert {name for name in names if f"`{name}`" not in CLI} == set()


def test_every_object_has_its_format_version() -> None:
    """What a program reads says of which format it is."""
    partitions = PartitionExplanation(
        table="t", version=1, selected=None, partitions=0, files=0, bytes=0, small_files=0, oversized_files=0, groups=(), left_out=(),
        thresholds=Thresholds(
            target_bytes=1, small_below_bytes=1, oversized_above_bytes=1, fills_at_bytes=1, min_input_files=1, max_deleted_ratio=0.1,
            min_age_s=0, quiet_s=0, max_write_amplification=2,
        ),
    )  # fmt: skip
    kept = SavedPlan(plan_id="p", table_id="t", plan=cli_values.plan())
    record = RunRecord(run=cli_values.run(), ended_ms=1, by=None)
    objects = [
        *(jsonable.scan_object(entry) for entry in (cli_values.scanned(), cli_values.FAILED, cli_values.ICEBERG)),
        jsonable.plan_object(cli_values.plan()),
        jsonable.diff_object(diff(kept, kept)),
        jsonable.explanation_object(partitions),
        jsonable.run_object(cli_values.run()),
        jsonable.record_object(record),
        jsonable.left_object(LeftRun(run_id="r", state=LeftState.SWEPT, why="w"), dry_run=False),
    ]
    assert [found["format_version"] for found in objects] == [1] * len(objects)


@pytest.mark.parametrize(("files", "plan", "checkpoint"), re.findall(r"^\| ([\d,]+) \| ([\d.]+ \wiB) \| ([\d.]+ \wiB) \|", SCALE, re.M))
def test_the_needs_of_the_driver_are_those_that_are_checked(files: str, plan: str, checkpoint: str) -> None:
    """The rows of docs/scale.md are what the program computes."""
    number = int(files.replace(",", ""))
    assert (format_bytes(snapshot_bytes(number)), format_bytes(checkpoint_bytes(number))) == (plan, checkpoint)


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


def test_every_promise_names_a_test_that_exists() -> None:
    """Each test that the guarantees name is there, by its file and by its function."""
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 15
    for file, function in named:
        source = ROOT / file
        assert source.is_file(), file
        assert not function or f"def {function}(" in source.read_text(encoding="utf-8"), f"{file}::{function}"
