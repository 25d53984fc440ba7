"""A table's history as text: one line a version, newest first; our own commits carry their run id."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from compactor.tables.base import HistoryEntry
from compactor.units import format_bytes
from compactor_cli.output import aligned


def history_lines(entries: Sequence[HistoryEntry]) -> list[str]:
    """Version, UTC time, operation, files and bytes out and in, who."""
    rows = [("VERSION", "TIME (UTC)", "OPERATION", "FILES", "BYTES", "ENGINE", "RUN")]
    for entry in entries:
        files = _change(entry.files_removed, entry.files_added, lambda count: f"{count:,.0f}")
        size = _change(entry.bytes_removed, entry.bytes_added, format_bytes)
        rows.append((str(entry.version), utc(entry.timestamp_ms), entry.operation, files, size, entry.engine or "-", entry.run_id or "-"))
    return aligned(rows, right=frozenset({0}))


def _change(removed: int | None, added: int | None, spell: object) -> str:
    if removed is None and added is None:
        return "-"
    assert callable(spell)
    return f"-{spell(removed or 0)} +{spell(added or 0)}"


def utc(timestamp_ms: int | None) -> str:
    """A time for people, `-` when it is not known."""
    if timestamp_ms is None:
        return "-"
    return datetime.datetime.fromtimestamp(timestamp_ms / 1000, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
