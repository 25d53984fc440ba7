"""A log of very many live files: what the driver needs is known, checked beforehand, and refused with the number."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.big_log import write_big_log
from support.driver_peak import measured

import compactor
from compactor.errors import TableRefused
from compactor.settings import Settings
from compactor.tables.delta.driver_memory import snapshot_bytes


def test_the_drivers_need_is_what_the_constant_says(tmp_path: Path) -> None:
    """Loading and planning 200,000 live files takes at most what is predicted for them, and not less than a third of it."""
    files = 200_000
    write_big_log(tmp_path / "big", files)
    write_big_log(tmp_path / "tiny", 10)
    found = measured("plan", tmp_path / "big", tmp_path / "tiny")
    assert found["files"] == files
    assert snapshot_bytes(files) / 3 < found["peak_bytes"] <= snapshot_bytes(files)
    assert found["kept_bytes"] <= 200 * files


def test_a_table_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The refusal names the files, the need and the bound; with that much memory the same table is planned."""
    write_big_log(tmp_path / "table", 50_000, parts=3)
    need = snapshot_bytes(50_000)
    with pytest.raises(TableRefused, match=r"up to 50,000 live files; .*\(650 bytes a file\).* may use 64\.0 MiB") as refusal:
        compactor.load(str(tmp_path / "table"), settings=Settings(memory="64MiB"))
    assert (refusal.value.reason, refusal.value.exit_code) == ("memory", 3)
    snapshot = compactor.load(str(tmp_path / "table"), settings=Settings(memory=f"{need}"))
    assert snapshot.files.num_rows == 50_000


def test_an_entry_that_is_too_large_to_be_parsed_is_refused(tmp_path: Path) -> None:
    """A log entry of 8 MiB under a bound of 64 MiB: refused with its size, not tried."""
    write_big_log(tmp_path / "table", 10)
    entry = tmp_path / "table/_delta_log" / f"{11:020d}.json"
    entry.write_text('{"commitInfo":{"note":"' + "x" * (8 * 1024 * 1024) + '"}}\n')
    with pytest.raises(TableRefused, match=r"00011\.json has 8\.0 MiB; .* may use 64\.0 MiB"):
        compactor.load(str(tmp_path / "table"), settings=Settings(memory="64MiB"))
    assert compactor.load(str(tmp_path / "table"), settings=Settings(memory="1GiB")).version == 11
