"""The tables that a service looks after, and how they come and go. Pure.

A table goes when a source that had it was read to its end without a fault and no longer has it; what could not be read takes nothing away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compactor.model.snapshot import TableRef
from compactor.service.discovery import FailedTable, Found, Neighbour

KEPT = "kept"
"""The source of tables that an earlier process knew, until all sources were read once without a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one source gave. problem: why it was not read to its end, else None."""

    source: str
    found: tuple[Found, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """tables: URI to the source that it was found in first. neighbours, faults: of the newest reading of each source."""

    tables: Mapping[str, str] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Tables that have appeared and vanished."""

    appeared: tuple[str, ...]
    vanished: tuple[str, ...]


def renewed(roster: Roster, readings: Iterable[Reading]) -> tuple[Roster, Changes]:
    """The roster after all sources were read again, and what is new in it."""
    readings = tuple(readings)
    tables: dict[str, str] = {}
    neighbours: list[Neighbour] = []
    faults: list[str] = []
    for reading in readings:
        denied = [item.table.uri for item in reading.found if isinstance(item, FailedTable)]
        for item in reading.found:
            match item:
                case TableRef():
                    tables.setdefault(item.uri, reading.source)
                case Neighbour():
                    neighbours.append(item)
                case FailedTable():
                    faults.append(f"{item.table.uri}: {item.why}")
        if reading.problem is not None:
            faults.append(f"{reading.source}: {reading.problem}")
        for uri, source in roster.tables.items():
            unread = reading.problem is not None or any(_below(uri, folder) for folder in denied)
            if source == reading.source and unread:
                tables.setdefault(uri, source)
    if any(reading.problem is not None for reading in readings):
        for uri, source in roster.tables.items():
            if source == KEPT:
                tables.setdefault(uri, source)
    before = roster.tables
    appeared = tuple(uri for uri in tables if uri not in before)
    vanished = tuple(uri for uri in before if uri not in tables)
    return Roster(tables=tables, neighbours=tuple(neighbours), faults=tuple(faults)), Changes(appeared=appeared, vanished=vanished)


def _below(uri: str, folder: str) -> bool:
    return uri == folder or uri.startswith(f"{folder.rstrip('/')}/")
