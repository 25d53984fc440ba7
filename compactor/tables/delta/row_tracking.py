"""Row tracking: whether new files get row ids, whether rows keep theirs, and where those are (protocol section "Row Tracking"). Pure.

Supported: every add gets fresh ids above the high-water mark. Enabled: rows also keep the id and version that they had, in two columns
of every file that no schema names. Suspended: no ids are given.
"""

from __future__ import annotations

from compactor.model.rewrite import RowIds
from compactor.tables.base import Refusal
from compactor.tables.delta.state import Action, Metadata

FEATURE = "rowTracking"
ENABLED = "delta.enableRowTracking"
SUSPENDED = "delta.rowTrackingSuspended"
ID_COLUMN = "delta.rowTracking.materializedRowIdColumnName"
VERSION_COLUMN = "delta.rowTracking.materializedRowCommitVersionColumnName"


def gives_row_ids(metadata: Metadata, features: frozenset[str]) -> bool:
    """Whether new files must get fresh row ids."""
    return FEATURE in features and not _true(metadata, SUSPENDED)


def keeps_row_ids(metadata: Metadata, features: frozenset[str]) -> bool:
    """Whether rows must keep their ids and versions."""
    return FEATURE in features and _true(metadata, ENABLED)


def row_ids(metadata: Metadata, features: frozenset[str]) -> RowIds | None:
    """Where rows keep their ids, or None where they have none to keep. The table must be one that row_tracking_refusals accepts."""
    if not keeps_row_ids(metadata, features):
        return None
    return RowIds(id_column=metadata.configuration[ID_COLUMN], version_column=metadata.configuration[VERSION_COLUMN])


def row_id_columns(metadata: Metadata) -> tuple[str, ...]:
    """Names of the columns where ids and versions are or once were kept."""
    return tuple(metadata.configuration[key] for key in (ID_COLUMN, VERSION_COLUMN) if key in metadata.configuration)


def row_tracking_refusals(metadata: Metadata, features: frozenset[str]) -> list[Refusal]:
    """Why rows could not keep their ids although they must, by the property to blame."""
    if not keeps_row_ids(metadata, features):
        return []
    if _true(metadata, SUSPENDED):
        why = f"Row tracking is both enabled ({ENABLED}) and suspended ({SUSPENDED}), which contradict each other."
        return [Refusal(reason=f"property:{SUSPENDED}", why=why)]
    missing = [key for key in (ID_COLUMN, VERSION_COLUMN) if not metadata.configuration.get(key)]
    return [Refusal(reason=f"property:{key}", why=f"Row tracking is enabled, but no column is named by {key}.") for key in missing]


def numbering(add: Action) -> tuple[int | None, int | None]:
    """Base row id and default commit version of a live file."""
    base, version = add.get("baseRowId"), add.get("defaultRowCommitVersion")
    return (base if isinstance(base, int) else None), (version if isinstance(version, int) else None)


def _true(metadata: Metadata, key: str) -> bool:
    return metadata.configuration.get(key, "false").strip().lower() == "true"
