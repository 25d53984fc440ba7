"""What people and programs read: text pinned as it stands, JSON pinned by its fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import cli_values

import compactor
from compactor.model.events import Assessed, Planned
from compactor.model.health import Compact
from compactor.model.run import RunStatus
from compactor.tables.base import HistoryEntry
from compactor_cli.main import main
from compactor_cli.render.scan import small_share

Told = Callable[..., str]

HISTORY = [
    HistoryEntry(
        version=8,
        timestamp_ms=1_767_225_600_000,
        operation="OPTIMIZE",
        engine="lakehouse-compactor/0.1.0",
        run_id="run-1",
        files_removed=1801,
        files_added=5,
        bytes_removed=720 * 2**20,
        bytes_added=700 * 2**20,
    ),
    HistoryEntry(
        version=7,
        timestamp_ms=None,
        operation="WRITE",
        engine=None,
        run_id=None,
        files_removed=None,
        files_added=None,
        bytes_removed=None,
        bytes_added=None,
    ),
]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Stdout of a command on a façade that returns fixed values."""

    def run(_uri: str, *, sink: Callable[[object], None], dry_run: bool, **_: object) -> Any:
        sink(Assessed(health=cli_values.health(), decision=Compact(why="it is worth it")))
        sink(Planned(plan=cli_values.plan()))
        return cli_values.run(RunStatus.PLANNED) if dry_run else cli_values.run()

    entries = [cli_values.scanned(), cli_values.SKIPPED, cli_values.FAILED, cli_values.ICEBERG]
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter(entries))
    monkeypatch.setattr(compactor, "plan", lambda *_, **__: cli_values.plan())
    monkeypatch.setattr(compactor, "run", run)
    monkeypatch.setattr(compactor, "history", lambda *_, **__: HISTORY)

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert ended.value.code == 0
        return capsys.readouterr().out

    return call


SCAN = """\
      FILES       SIZE  SMALL  OVERSIZED  DECISION     TABLE
      2,010    1.2 GiB   >99%          3  compact      s3://lake/events (2,000 of 2,010 files are smaller than 192 MiB)
      2,010    1.2 GiB   >99%          3  skip         s3://lake/events (Every file is of the right size)
          -          -      -          -  failed       s3://lake/broken (Version 3 of s3://lake/broken is damaged)
          -          -      -          -  passed over  s3://lake/ice (it is an Iceberg table (metadata/); only Delta tables are compacted)
"""
PLAN = """\
s3://lake/events, version 7, target 256 MiB
  groups    3
  files     1,801 -> 5
  bytes     720 MiB -> about 714 MiB
  requests  about 3,700
  time      about 12.4 s
  memory    at most 128 MiB

  PARTITION       GROUPS  FILES  BECOME     SIZE  WHY
  day=2026-01-01       2  1,800       2  480 MiB  merge
  day=null             1      1       3  240 MiB  split

Left alone:
      7  files are of the right size
  1,202  files have too few small neighbours in their partition
"""
RUN = """\
s3://lake/events: committed version 8
  files      2,010 -> 214
  size       1.2 GiB -> 1.2 GiB
  rewritten  1,801 files (720 MiB) -> 5 (700 MiB)
  rows       900,000 in, 900,000 out
  groups     2 of 3 committed
  memory     100 MiB at the peak
  time       12.3 s
  run id     run-1
  group 2 was dropped (input-vanished): day=null/a.parquet was removed by version 8.
"""
HISTORY_TEXT = """\
VERSION  TIME (UTC)           OPERATION  FILES      BYTES              ENGINE                     RUN
      8  2026-01-01 00:00:00  OPTIMIZE   -1,801 +5  -720 MiB +700 MiB  lakehouse-compactor/0.1.0  run-1
      7  -                    WRITE      -          -                  -                          -
"""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("scan", "x"), SCAN),
        (("plan", "x"), PLAN),
        (("run", "x"), RUN),
        (("run", "x", "--dry-run"), f"{PLAN}\nDry run: nothing was written.\n"),
        (("history", "x"), HISTORY_TEXT),
    ],
)
def test_text(told: Told, arguments: tuple[str, ...], text: str) -> None:
    """The text of each command, to be reviewed as a diff."""
    assert told(*arguments) == text


def test_a_single_table_shows_its_histogram(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of one table has room for more than a line."""
    monkeypatch.setattr(compactor, "scan", lambda *_, **__: iter([cli_values.scanned()]))
    shown = told("scan", "x")
    assert "full scan   4,020 requests, 1.2 GiB" in shown
    assert "1,000,000, 12 of them deleted" in shown
    assert shown.count("█" * 30) == 1


def test_a_plan_with_nothing_to_do(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """No table of nothing: a sentence, and why files are left alone."""
    monkeypatch.setattr(compactor, "plan", lambda *_, **__: cli_values.plan(groups=0))
    assert told("plan", "x").splitlines()[:3] == ["s3://lake/events, version 7, target 256 MiB: nothing to do", "", "Left alone:"]


@pytest.mark.parametrize(("small", "share"), [(0, "0%"), (1, "<1%"), (1005, "50%"), (2009, ">99%"), (2010, "100%")])
def test_shares_never_round_to_all_or_nothing(small: int, share: str) -> None:
    """0% and 100% mean none and all."""
    assert small_share(cli_values.health(small)) == share


FIELDS = {
    ("scan", "x"): [
        "format_version kind table format version decision reason why target_bytes files bytes rows deleted_rows small_files small_bytes "
        "oversized_files oversized_bytes deletes_heavy_files encode_debt_bytes partitions scan_requests histogram",
        "format_version kind table format version decision reason why target_bytes files bytes rows deleted_rows small_files small_bytes "
        "oversized_files oversized_bytes deletes_heavy_files encode_debt_bytes partitions scan_requests histogram",
        "format_version kind table exit_code why",
        "format_version kind uri reason why",
    ],
    ("plan", "x"): ["format_version plan_id table version target_bytes groups left_out not_copied prediction"],
    ("run", "x"): [
        "format_version table run_id dry_run status reason version files_removed files_added bytes_removed bytes_added rows "
        "masked_rows groups seconds "
        "peak_memory_bytes warnings exit_code why plan_id predicted actual proof proof_readers engine timings"
    ],
    ("history", "x"): [
        "format_version version timestamp_ms operation engine run_id files_removed files_added bytes_removed bytes_added",
    ]
    * 2,
}


@pytest.mark.parametrize("arguments", FIELDS)
def test_json_fields(told: Told, arguments: tuple[str, ...]) -> None:
    """One object a line; its fields are what scripts rely on."""
    lines = [json.loads(line) for line in told(*arguments, "--json").splitlines()]
    assert [" ".join(line) for line in lines] == FIELDS[arguments]


def test_json_of_a_run(told: Told) -> None:
    """Dropped groups come with their reasons; a dry run says that it is one."""
    done = json.loads(told("run", "x", "--json"))
    assert done["groups"] == {
        "planned": 3,
        "committed": 2,
        "dropped": [{"group": 2, "reason": "input-vanished", "detail": "day=null/a.parquet was removed by version 8.", "file": None}],
    }
    assert (done["status"], done["dry_run"], done["seconds"]) == ("committed", False, 12.346)
    dry = json.loads(told("run", "x", "--dry-run", "--json"))
    assert (dry["status"], dry["dry_run"], dry["files_removed"]) == ("planned", True, 0)


def test_json_of_a_plan(told: Told) -> None:
    """Groups name their partition by column, null included; reasons are counted by their codes."""
    planned = json.loads(told("plan", "x", "--json"))
    assert [group["partition"] for group in planned["groups"]] == [{"day": "2026-01-01"}, {"day": "2026-01-01"}, {"day": None}]
    assert planned["left_out"] == {"right-size": 7, "too-few": 1202}


def test_flags_reach_the_settings(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """File, environment and flags meet in the settings that the façade is given, and switches can be turned off again."""
    seen: list[Any] = []
    monkeypatch.setattr(compactor, "history", lambda _uri, *, settings, **_: seen.append(settings) or [])
    monkeypatch.setattr(compactor, "scan", lambda _uri, *, settings, **_: seen.append(settings) or iter([cli_values.SKIPPED]))
    file = tmp_path / "lake.toml"
    file.write_text("requester_pays = true\npath_style = true\n")
    monkeypatch.setenv("COMPACTOR_REGION", "eu-west-1")
    told("history", "x", "--config", str(file), "--no-requester-pays", "--endpoint-url", "http://127.0.0.1:9")
    told("scan", "x", "--where", "day = '2026-01-01'", "--force-rewrite", "--min-age", "15m")
    first, second = seen
    assert (first.requester_pays, first.path_style, first.region, first.endpoint_url) == (False, True, "eu-west-1", "http://127.0.0.1:9")
    assert (second.where, second.force_rewrite, second.min_age) == ("day = '2026-01-01'", True, 900.0)


def test_every_settings_key_has_a_flag() -> None:
    """What can be set in a file can be set on the command line."""
    from compactor.settings import Settings
    from compactor_cli.options import _FLAGS

    assert [flag.key for flag in _FLAGS] == list(Settings.model_fields)
