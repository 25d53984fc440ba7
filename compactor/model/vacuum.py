"""What a vacuum deletes, or would. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

VACUUM_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacuumed:
    """One vacuum of one table.

    version: the newest one that was looked at. retention_s: files younger than this by the store's dates were left alone, and what any
    version needs that was the latest within it. paths: keys below the table's root of the files that were deleted, or with `dry_run`
    would be; bytes: their sizes together. young_files, young_bytes: files that nobody names, but too young to be deleted. replaced_files,
    replaced_bytes: files that the newest version does not name any more, and one does that was the latest within the retention; counted
    by a dry run only.
    start_version, end_version: the entries that say so in the log; None where nothing was deleted.
    """

    table: str
    version: int
    dry_run: bool
    retention_s: float
    paths: tuple[str, ...]
    bytes: int
    young_files: int
    young_bytes: int
    replaced_files: int = 0
    replaced_bytes: int = 0
    start_version: int | None = None
    end_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How far a vacuum has come."""

    files: int
    bytes: int
    of_files: int
    of_bytes: int


OnSwept = Callable[[Swept], None]
