"""What is read of a service's sources."""

from __future__ import annotations

from pathlib import Path

from compactor.service.config_file import parse_config
from compactor.service.roster import Changes, Roster, renewed
from compactor.service.sources import read_sources


def test_a_prefix_that_is_not_there_is_a_fault_and_not_a_fleet_that_vanished(tmp_path: Path) -> None:
    """A volume that is not mounted, or a misspelled prefix: told in a sentence, and the tables that were known there stay."""
    (tmp_path / "lake/events/_delta_log").mkdir(parents=True)
    (tmp_path / "lake/events/_delta_log/00000000000000000000.json").touch()
    config = parse_config(f'state = "{tmp_path}/state"\n[[source]]\nprefix = "{tmp_path}/lake"\n', "f.toml")
    roster, _ = renewed(Roster(), read_sources(config))
    (tmp_path / "lake").rename(tmp_path / "elsewhere")
    later, changes = renewed(roster, read_sources(config))
    assert (later.tables, changes) == (roster.tables, Changes(appeared=(), vanished=()))
    (fault,) = later.faults
    assert "There is nothing at" in fault


def test_a_table_that_was_deleted_beside_others_vanishes(tmp_path: Path) -> None:
    """Only a prefix without anything below it is in doubt."""
    for name in ("events", "clicks"):
        (tmp_path / f"lake/{name}/_delta_log").mkdir(parents=True)
        (tmp_path / f"lake/{name}/_delta_log/00000000000000000000.json").touch()
    config = parse_config(f'state = "{tmp_path}/state"\n[[source]]\nprefix = "{tmp_path}/lake"\n', "f.toml")
    roster, _ = renewed(Roster(), read_sources(config))
    (tmp_path / "lake/clicks").rename(tmp_path / "elsewhere")
    later, changes = renewed(roster, read_sources(config))
    assert ([uri.rpartition("/")[2] for uri in later.tables], len(changes.vanished), later.faults) == (["events"], 1, ())
