"""Versions that must get no checkpoint (table feature checkpointProtection). Pure."""

from __future__ import annotations

from collections.abc import Mapping


def protected_before(properties: Mapping[str, str]) -> int:
    """Versions below this one must get no checkpoint."""
    return positive(properties, "delta.requireCheckpointProtectionBeforeVersion", 0)


def positive(properties: Mapping[str, str], key: str, otherwise: int) -> int:
    """A table property that is a positive number; `otherwise` when it is not."""
    text = properties.get(key, "")
    return int(text) if text.isdecimal() and int(text) > 0 else otherwise
