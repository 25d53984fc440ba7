"""`compactor config`: a service's file is checked and explained before anything rests on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.delta_log import add, info, metadata, protocol, write

from compactor.storage import open_store
from compactor_cli.main import main

FILE = """
state = "STATE"
[[source]]
prefix = "LAKE"
[defaults]
target_size = "128MiB"
[[match]]
glob = "**/events"
min_input_files = 8
"""


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out, shown.err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "compactor.toml"
    path.write_text(FILE.replace("STATE", str(tmp_path / "state")).replace("LAKE", str(tmp_path / "lake")))
    return path


def test_a_right_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, in words or as an object; nothing is opened or made."""
    code, out, err = call(capsys, "config", "check", file)
    assert (code, err) == (0, "")
    assert "is right: 1 sources, 2 sections of rules" in out
    told = json.loads(call(capsys, "config", "check", file, "--json")[1])
    assert (told["kind"], told["sources"], told["matches"]) == ("config", 1, 1)
    assert [path.name for path in file.parent.iterdir()] == ["compactor.toml"]


def test_a_wrong_file_is_one_sentence(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the nearest key; `explain` says the same."""
    file.write_text(file.read_text().replace("min_input_files", "min_input_flies"))
    sentence = f"{file}: [[match]] 1 min_input_flies: there is no such key; did you mean min_input_files?\n"
    assert call(capsys, "config", "check", file) == (2, "", sentence)
    assert call(capsys, "config", "explain", "lake/events", "--config", file, "--offline") == (2, "", sentence)


def test_a_table_is_explained_with_its_own_properties(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each key says which section it came from; properties are read from the table's log, and those passed over are told."""
    lake = tmp_path / "lake" / "events"
    properties = {"compactor.min_age": "15m", "compactor.role_arn": "arn:aws:iam::1:role/other"}
    write(open_store(str(lake)), 0, [protocol(), metadata(properties), add("f0")])
    code, out, _ = call(capsys, "config", "explain", lake, "--config", file)
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert code == 0
    assert lines["target_size"] == "128MiB [defaults]"
    assert lines["min_input_files"] == '8 [[match]] 1 "**/events"'
    assert lines["min_age"] == "15m the table's own properties"
    assert lines["role_arn"] == "- built in"
    assert (lines["copy_row_groups"], lines["commit_interval"]) == ("20.0 MiB built in", "15 m 0 s built in")
    assert (lines["commit_files"], lines["small_ratio"]) == ("25000 built in", "0.75 built in")
    assert "passed over: compactor.role_arn: this is for the service's file to say, not for a table." in out
    told = json.loads(call(capsys, "config", "explain", lake, "--config", file, "--json")[1])
    assert {item["key"]: item["where"] for item in told["values"]}["min_age"] == "the table's own properties"
    assert call(capsys, "config", "explain", tmp_path / "lake" / "none", "--config", file)[0] == 2


def test_a_history_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a log alone: a chart for people, an object for programs; the table is as it was, and a wrong key is named."""
    lake, rules = tmp_path / "events", tmp_path / "rules.toml"
    store = open_store(str(lake))
    write(store, 0, [protocol(), metadata(), info(timestamp=0)])
    for hour in range(1, 30):
        write(store, hour, [add(f"f{hour}", size=1000), info(timestamp=hour * 3_600_000)])
    rules.write_text('target_size = "1MiB"\n')
    before = sorted(path.name for path in lake.rglob("*"))
    code, out, err = call(capsys, "replay", lake, "--policy", rules)
    assert (code, err) == (0, "")
    assert "files with the policy (#) and as it was (.), up to 29" in out
    told = json.loads(call(capsys, "replay", lake, "--policy", rules, "--json")[1])
    assert (told["commits"], told["points"][-1]["before"], told["written_bytes"]) == (29, 29, 29_000)
    assert told["points"][-1]["files"] < 10
    assert told["runs"]
    assert sorted(path.name for path in lake.rglob("*")) == before
    rules.write_text('target_siz = "1MiB"\n')
    assert call(capsys, "replay", lake, "--policy", rules)[0] == 2
