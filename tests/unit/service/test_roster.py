"""Tables come and go; what could not be read takes nothing away."""

from __future__ import annotations

from compactor.model.snapshot import TableRef
from compactor.service.discovery import FailedTable, Neighbour
from compactor.service.roster import KEPT, Changes, Reading, Roster, renewed


def reading(source: str, *uris: str, problem: str | None = None) -> Reading:
    return Reading(source=source, found=tuple(TableRef(uri=uri) for uri in uris), problem=problem)


def test_tables_come_and_go() -> None:
    """What a source has for the first time has appeared, and what it does not have any more has vanished."""
    roster, changes = renewed(Roster(), [reading("s", "s/a", "s/b"), reading("g", "s/b", "x/c")])
    assert (roster.tables, changes) == ({"s/a": "s", "s/b": "s", "x/c": "g"}, Changes(appeared=("s/a", "s/b", "x/c"), vanished=()))
    roster, changes = renewed(roster, [reading("s", "s/b", "s/d"), reading("g", "s/b")])
    assert changes == Changes(appeared=("s/d",), vanished=("s/a", "x/c"))


def test_a_table_stays_while_another_source_has_it() -> None:
    """The source that it was found in first loses it; the other keeps it."""
    roster, _ = renewed(Roster(), [reading("s", "s/b"), reading("g", "s/b")])
    roster, changes = renewed(roster, [reading("s"), reading("g", "s/b")])
    assert (roster.tables, changes) == ({"s/b": "g"}, Changes(appeared=(), vanished=()))


def test_what_was_not_read_takes_nothing_away() -> None:
    """A source that failed on the way keeps its tables, and what is new before the fault appears; the fault is told."""
    roster, _ = renewed(Roster(), [reading("s", "s/a", "s/b")])
    roster, changes = renewed(roster, [reading("s", "s/c", problem="it is denied.")])
    assert changes == Changes(appeared=("s/c",), vanished=())
    assert set(roster.tables) == {"s/a", "s/b", "s/c"}
    assert roster.faults == ("s: it is denied.",)


def test_a_folder_that_is_denied_keeps_its_tables() -> None:
    """Only tables below it; others of the same source may go. Neighbours are those of the newest reading."""
    roster, _ = renewed(Roster(), [reading("s", "s/x/a", "s/xy/b")])
    failed = FailedTable(table=TableRef(uri="s/x"), exit_code=5, why="denied.")
    neighbour = Neighbour(uri="s/ice", reason="iceberg", why="it is.")
    roster, changes = renewed(roster, [Reading(source="s", found=(failed, neighbour))])
    assert (set(roster.tables), changes.vanished, roster.neighbours) == ({"s/x/a"}, ("s/xy/b",), (neighbour,))


def test_a_source_that_is_configured_no_more() -> None:
    """Its tables go with it."""
    roster, _ = renewed(Roster(), [reading("s", "s/a"), reading("t", "t/a")])
    assert renewed(roster, [reading("s", "s/a")])[1].vanished == ("t/a",)


def test_after_a_restart_a_source_that_fails_takes_nothing_away() -> None:
    """Which source had a table before is not known then; it stays until all of them were read."""
    kept = Roster(tables={"s/a": KEPT, "s/b": KEPT})
    roster, changes = renewed(kept, [reading("s", "s/a"), reading("g", problem="it is denied.")])
    assert (roster.tables, changes.vanished) == ({"s/a": "s", "s/b": KEPT}, ())
    assert renewed(roster, [reading("s", "s/a"), reading("g")])[1].vanished == ("s/b",)
