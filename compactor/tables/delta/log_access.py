"""A table's log as whoever commits to it reaches it: store, surroundings, the user's options, and what has been read of it already."""

from __future__ import annotations

from dataclasses import dataclass, field

from compactor.ambient.ports import Ambient
from compactor.storage.base import ObjectStore
from compactor.tables.delta.known_entries import KnownEntries
from compactor.tables.delta.options import DeltaOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAccess:
    """One log. known: entries that publications from one snapshot have read; what the next of them reads joins them."""

    store: ObjectStore
    ambient: Ambient
    options: DeltaOptions
    known: KnownEntries = field(default_factory=KnownEntries)
