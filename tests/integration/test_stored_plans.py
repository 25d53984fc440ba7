"""A plan made on one machine and applied on another: once, to what still stands, and to no other table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

import compactor
from compactor.errors import TableRefused, UsageError
from compactor.model.run import RunStatus
from compactor.settings import Settings
from compactor_cli.main import main

SETTINGS = Settings(executor="serial", target_size="1MiB")
Call = Callable[..., tuple[int, str, str]]


def make(folder: Path, files: int = 12) -> str:
    """A table of small files in two partitions, written by deltalake."""
    for i in range(files):
        append(str(folder), i)
    return str(folder)


def append(uri: str, i: int) -> None:
    rows = pa.table({"n": list(range(i * 10, i * 10 + 10)), "p": ["a", "b"] * 5})
    write_deltalake(uri, rows, partition_by=["p"], mode="append")


def rows_of(uri: str) -> list[tuple[object, ...]]:
    """All rows, sorted, as deltalake's SQL engine reads them."""
    found = pa.table(QueryBuilder().register("t", DeltaTable(uri)).execute("select n, p from t").read_all())
    return sorted(zip(found["n"].to_pylist(), found["p"].to_pylist(), strict=True))


def objects(uri: str) -> set[str]:
    return {str(path.relative_to(uri)) for path in Path(uri).rglob("*") if path.is_file()}


@pytest.fixture
def table(tmp_path: Path) -> str:
    return make(tmp_path / "here" / "t")


@pytest.fixture
def kept(table: str, tmp_path: Path) -> str:
    """The file of a plan of `table`."""
    file = str(tmp_path / "plan.jsonl")
    compactor.write_plan(table, file, settings=SETTINGS)
    return file


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """The command: exit code, stdout, stderr."""

    def act(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, shown.out, shown.err

    return act


def test_planning_twice_gives_the_same_file_and_writes_nothing(table: str, kept: str, tmp_path: Path) -> None:
    """Byte for byte; and no secret, no trace in the table."""
    held = objects(table)
    again = str(tmp_path / "again.jsonl")
    saved = compactor.write_plan(table, again, settings=SETTINGS)
    assert Path(again).read_bytes() == Path(kept).read_bytes()
    assert compactor.read_plan(kept).plan_id == saved.plan_id
    assert compactor.diff_plans(kept, again).empty
    assert objects(table) == held and not list(tmp_path.glob("*.part"))


def test_a_plan_is_applied_to_a_copy_elsewhere(table: str, kept: str, tmp_path: Path) -> None:
    """The URI given rules, the table's id must match: the copy is compacted as planned, the original is not touched."""
    copy = str(tmp_path / "there" / "copied")
    shutil.copytree(table, copy)
    held, before = objects(table), rows_of(copy)
    run = compactor.run(copy, plan=kept, settings=Settings(executor="serial"))
    saved = compactor.read_plan(kept)
    assert (run.status, run.table, run.run_id, run.plan_id) == (RunStatus.COMMITTED, copy, saved.run_id, saved.plan_id)
    assert (run.files_removed, run.files_added) == (24, 2)
    assert rows_of(copy) == before
    assert objects(table) == held
    tags = [
        json.loads(line)["add"]["tags"] for line in Path(copy, "_delta_log", f"{12:020d}.json").read_text().splitlines() if '"add"' in line
    ]
    assert len(tags) == 2


@pytest.mark.parametrize("journal", [True, False], ids=["from the journal", "from the log"])
def test_a_plan_is_applied_once(table: str, kept: str, journal: bool) -> None:
    """A second application gives the first one's result and writes nothing, even when only the log remembers."""
    first = compactor.run(table, plan=kept, settings=SETTINGS)
    append(table, 12)
    if not journal:
        shutil.rmtree(Path(table, "_compactor"))
    held = objects(table)
    second = compactor.run(table, plan=kept, settings=SETTINGS)
    assert (second.status, second.version, second.files_removed) == (RunStatus.COMMITTED, first.version, 24)
    assert (second == first) is journal
    assert objects(table) == held


def test_appends_do_not_make_a_plan_stale(table: str, kept: str) -> None:
    """New files beside the planned ones change nothing: exactly the planned files are rewritten."""
    append(table, 12)
    before = rows_of(table)
    run = compactor.run(table, plan=kept, settings=SETTINGS)
    assert (run.status, run.files_removed, run.groups_dropped) == (RunStatus.COMMITTED, 24, ())
    assert rows_of(table) == before


def test_what_drifted_is_said_and_the_rest_is_done(table: str, kept: str) -> None:
    """A delete in one partition since the plan was made: that group is dropped by name before anything is written, the other is done."""
    DeltaTable(table).delete("p = 'a' and n = 4")
    before = rows_of(table)
    held = objects(table)
    dry = compactor.run(table, plan=kept, settings=SETTINGS, dry_run=True)
    assert (dry.status, dry.groups_planned, len(dry.groups_dropped)) == (RunStatus.PLANNED, 2, 1)
    assert objects(table) == held
    run = compactor.run(table, plan=kept, settings=SETTINGS)
    assert (run.status, run.groups_planned, run.groups_committed) == (RunStatus.COMMITTED, 2, 1)
    (drop,) = run.groups_dropped
    assert drop.reason == "drifted" and drop.file is not None and drop.file in drop.detail
    (index,) = [g.group_id for g in compactor.read_plan(kept).plan if g.inputs[0].path.startswith("p=a")]
    assert drop.group_id == index
    assert rows_of(table) == before
    assert compactor.run(table, plan=kept, settings=SETTINGS) == run


def test_a_plan_of_which_nothing_stands_writes_nothing(table: str, kept: str) -> None:
    """After another run took all files: exit 4, every group with its file, and no object more or less."""
    compactor.run(table, settings=SETTINGS)
    held = objects(table)
    for dry_run in (True, False):
        run = compactor.run(table, plan=kept, settings=SETTINGS, dry_run=dry_run)
        assert (run.status, run.exit_code, len(run.groups_dropped)) == (RunStatus.CONFLICT, 4, 2)
        assert "no longer live" in (run.reason or "")
    assert objects(table) == held


def test_another_table_is_refused(kept: str, tmp_path: Path) -> None:
    """A table of the same shape with another id: exit 3, nothing written."""
    other = make(tmp_path / "other")
    held = objects(other)
    run = compactor.run(other, plan=kept, settings=SETTINGS)
    assert (run.status, run.exit_code) == (RunStatus.REFUSED, 3)
    assert "is another one" in (run.reason or "")
    assert objects(other) == held


def test_a_plan_keeps_its_policy(table: str, tmp_path: Path) -> None:
    """The settings at hand do not change what a plan does: its target is written into the outputs' tags."""
    file = str(tmp_path / "p.jsonl")
    compactor.write_plan(table, file, settings=Settings(target_size="1KiB", where="p = 'a'"))
    run = compactor.run(table, plan=file, settings=Settings(executor="serial", target_size="512MiB"))
    assert run.status is RunStatus.COMMITTED
    entry = Path(table, "_delta_log", f"{12:020d}.json").read_text()
    assert '"compactor.finishedFor":"1024"' in entry and '"p":"b"' not in entry


@pytest.mark.parametrize("options", [("--target-size", "1MiB"), ("--where", "p = 'a'"), ("--force-rewrite",), ("--run-id", "x")])
def test_options_that_a_plan_decides_are_refused_beside_it(call: Call, table: str, kept: str, options: tuple[str, ...]) -> None:
    """Exit 2, the option is named, nothing is written."""
    held = objects(table)
    code, _, said = call("run", table, "--plan", kept, *options)
    assert (code, options[0] in said) == (2, True)
    assert objects(table) == held


def test_a_run_id_beside_a_plan_is_refused_by_the_library_too(table: str, kept: str) -> None:
    """A plan names its run; another name would apply it again."""
    run = compactor.run(table, plan=kept, run_id="x", settings=SETTINGS)
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 2)


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        (None, 2, "cannot be read"),
        ("hello", 2, "is not a plan"),
        ('{"format_version":9,"kind":"plan"}', 3, "format version 9"),
        ("\x00\xff", 2, "is not a plan"),
    ],
)
def test_a_bad_plan_file_is_one_sentence(call: Call, table: str, tmp_path: Path, text: str | None, code: int, sentence: str) -> None:
    """Missing, something else, newer: exit code and the file's name, on run and on diff."""
    file = tmp_path / "bad.jsonl"
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    for arguments in (("run", table, "--plan", str(file)), ("plan", "--diff", str(file), str(file))):
        found, _, said = call(*arguments)
        assert (found, "bad.jsonl" in said, sentence in said, len(said.strip().splitlines())) == (code, True, True, 1)


def test_plan_to_stdout_is_the_file(call: Call, table: str, kept: str) -> None:
    """`-o -` prints what `-o FILE` keeps."""
    code, out, _ = call("plan", table, "--target-size", "1MiB", "--executor", "serial", "-o", "-")
    assert (code, out) == (0, Path(kept).read_text())


def test_wrong_uses_of_plan_are_said(call: Call, table: str, kept: str) -> None:
    """No table and nothing to compare; both at once."""
    assert call("plan")[0] == 2
    code, _, said = call("plan", table, "--diff", kept, kept)
    assert (code, "takes no URI" in said) == (2, True)


def test_a_plan_that_cannot_be_written_leaves_nothing(table: str, tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(UsageError, match="cannot be written"):
        compactor.write_plan(table, str(tmp_path / "no" / "plan.jsonl"), settings=SETTINGS)


def test_runs_tell_what_was_done(call: Call, table: str, kept: str) -> None:
    """The journal: what was predicted and what it took, why, by whom; a second run that found nothing is not there."""
    assert compactor.runs(table) == []
    compactor.run(table, plan=kept, settings=SETTINGS)
    compactor.run(table, settings=SETTINGS)
    (record,) = compactor.runs(table)
    run = record.run
    assert run.predicted is not None and run.actual is not None
    for name in ("input_files", "input_bytes", "output_files", "requests", "read_requests", "proof_requests"):
        assert getattr(run.predicted, name) == getattr(run.actual, name), name
    assert run.actual.output_bytes == run.bytes_added and run.actual.held_bytes == run.bytes_removed
    assert run.actual.cost is not None and run.actual.cost.total > 0
    assert "lakehouse-compactor" in (record.by or "")
    code, out, _ = call("runs", table, "--json")
    (line,) = map(json.loads, out.splitlines())
    assert (code, line["format_version"], line["plan_id"], line["files_removed"]) == (0, 1, run.plan_id, 24)
    assert line["predicted"]["cost"]["currency"] == "USD"
    text = call("runs", table)[1]
    assert "committed" in text and run.run_id in text


def test_a_newer_journal_is_refused_by_name(call: Call, table: str, kept: str) -> None:
    """What a later version kept is not guessed at."""
    compactor.run(table, plan=kept, settings=SETTINGS)
    (file,) = Path(table, "_compactor", "runs").iterdir()
    file.write_text(file.read_text().replace('"format_version":1', '"format_version":2'))
    with pytest.raises(TableRefused, match="format version 2"):
        compactor.runs(table)
    assert call("runs", table)[0] == 3


def test_runs_of_no_table_are_said_so(call: Call, tmp_path: Path) -> None:
    """A wrong path is not an empty journal."""
    assert call("runs", str(tmp_path / "nothing"))[0] == 2


def test_explain_answers_for_files_and_partitions(call: Call, table: str) -> None:
    """A planned file, a partition after the run, and what there is not."""
    name = next(Path(table, "p=a").iterdir()).name
    found = json.loads(call("explain", table, "--file", name, "--json")[1])
    assert (found["kind"], found["size_class"], found["group"]["kind"], found["reason"]) == ("file", "small", "merge", None)
    compactor.run(table, settings=SETTINGS)
    found = json.loads(call("explain", table, "--partition", "p=a", "--json")[1])
    assert (found["kind"], found["files"], found["groups"]) == ("partitions", 1, [])
    assert [left["reason"] for left in found["left_out"]] == ["too-few"]
    for wrong in (
        ("--file", "none"),
        ("--partition", "p=z"),
        ("--partition", "q=a"),
        ("--partition", "a"),
        ("--file", "x", "--partition", "p=a"),
    ):
        assert call("explain", table, *wrong)[0] == 2
