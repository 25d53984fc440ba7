"""What runs that have not ended may still need: the names that standing intents promise. Reads only; nobody may delete what is claimed.

Dead runs count too: what they wrote is recovery's to judge (recovery.py), by more than a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compactor.coordination.intent import intent_keys, read_intent
from compactor.errors import ObjectMissing
from compactor.model.positions import vector_prefix
from compactor.storage.base import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Names that are claimed, by what they begin with."""

    stems: tuple[str, ...]

    def __contains__(self, key: str) -> bool:
        return bool(self.stems) and key.rpartition("/")[2].startswith(self.stems)


def read_claims(places: Iterable[tuple[ObjectStore, str]]) -> Claims:
    """The claims of all intents below these prefixes, on outputs and on the vectors of these.

    Raises StorageError, TableRefused (a newer format), TableCorrupt.
    """
    stems: set[str] = set()
    for store, prefix in places:
        for key in intent_keys(store, prefix):
            try:
                stems.update(group.stem for group in read_intent(store, key).groups)
            except ObjectMissing:
                continue  # its run has ended since: what it wrote is in the log by now, or deleted
    names = [name for stem in stems if stem for name in (stem, vector_prefix(stem))]
    return Claims(stems=tuple(sorted(names)))
