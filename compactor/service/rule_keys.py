"""The keys of rules for tables: those of compactor.settings that are about a table, and what only a service needs.

Which of them a table's own properties may set is decided here too: how it is compacted, never where credentials come from, which files may
be read, or what damage is accepted. Otherwise whoever can write a table could borrow the service's rights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from compactor.errors import SettingsError
from compactor.service import readers as r
from compactor.settings import Settings

SERVICE_KEYS: Mapping[str, r.Reader] = {
    "enabled": r.truth,
    "priority": r.number(above=0),
    "group": r.text,
    "windows": r.windows,
    "freshness": r.duration(at_least_s=60),
    "min_gain_files": r.number(above=0),
}
"""enabled: whether the service works on the table. priority: factor on its gain. group: of tables that share in the budget. windows: when.
freshness: how long an excess of files may last. min_gain_files: fewer files less are not worth a run."""

_RUN_ONLY = ("executor", "ray_address", "memory", "parallelism", "compute_region", "prices")
_NOT_HERE = ("state", "lease", "lease_wait", "force_rewrite")
RUN_KEYS: tuple[str, ...] = _RUN_ONLY
"""Keys of [run]: where all runs of the service take place."""
RULE_KEYS: tuple[str, ...] = (*SERVICE_KEYS, *(key for key in Settings.model_fields if key not in (*_RUN_ONLY, *_NOT_HERE)))
"""Keys of [defaults], [[match]] and [[table]]."""

_POLICY = (
    "target_size",
    "small_ratio",
    "oversized_ratio",
    "min_input_files",
    "max_deleted_ratio",
    "max_encode_debt",
    "min_age",
    "where",
    "max_groups",
)
OWNER_KEYS: tuple[str, ...] = (*SERVICE_KEYS, *_POLICY, "max_bytes", "max_write_amplification", "purge", "quiet_period")
OWNER_KEYS = tuple(key for key in OWNER_KEYS if key in RULE_KEYS and key not in ("priority", "group"))
"""What owners may set in their table's properties, as `compactor.KEY`. Not what a table is worth beside those of others."""


def check_rule(values: Mapping[str, Any], place: str, keys: Collection[str] = RULE_KEYS) -> dict[str, object]:
    """The values, all found valid. Raises readers.Wrong naming `place` and key."""
    r.known_keys(values, tuple(keys), place)
    for key, value in values.items():
        check_value(key, value, f"{place} {key}")
    return dict(values)


def check_value(key: str, value: object, place: str) -> None:
    """Raises readers.Wrong."""
    if key in SERVICE_KEYS:
        r.read(value, SERVICE_KEYS[key], place)
        return
    try:
        Settings.model_validate({key: value})
    except SettingsError as error:
        raise r.Wrong(f"{place}: {str(error).removeprefix(f'{key}: ')}") from None
