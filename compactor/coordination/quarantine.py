"""Files that a run found damaged, kept beside the table so that the next plans leave them alone, with the reason, until told otherwise.

One object, `quarantine.json`, read by whoever is about to plan and written after a run that met such a file. When two runs write it at the
same moment an entry may be lost; whoever meets that file again says it again. Never says anything about files that are not damaged.
"""

from __future__ import annotations

from collections.abc import Mapping

from compactor.coordination.documents import decode, encode
from compactor.errors import ObjectMissing, TableCorrupt
from compactor.storage.base import ObjectStore

QUARANTINE_FORMAT_VERSION = 1
_MOST_FILES = 10_000
"""The oldest entries give way: a table with more damaged files needs its owner, not a list."""


class Quarantine:
    """The damaged files of one table. `prefix`: empty, or ending in `/`; ignored: nothing counts as damaged, so that it is tried again."""

    def __init__(self, *, store: ObjectStore, prefix: str, ignored: bool = False) -> None:
        self._store, self._key, self._ignored = store, f"{prefix}quarantine.json", ignored

    def files(self) -> Mapping[str, str]:
        """Paths, as the log writes them, each with a sentence. Raises StorageError, TableRefused (newer format), TableCorrupt."""
        return {} if self._ignored else self._read()

    def add(self, found: Mapping[str, str]) -> None:
        """Keep these, too. Raises as `files`."""
        known = self._read()
        if not found or all(path in known for path in found):
            return
        entries = list({**known, **found}.items())[-_MOST_FILES:]
        body = {"files": [{"path": path, "why": why} for path, why in entries]}
        self._store.put(self._key, encode("quarantine", QUARANTINE_FORMAT_VERSION, body))

    def _read(self) -> dict[str, str]:
        where = f"{self._store.uri}/{self._key}"
        try:
            data = self._store.get(self._key)
        except ObjectMissing:
            return {}
        try:
            entries = decode(data, "quarantine", QUARANTINE_FORMAT_VERSION, where)["files"]
            return {str(entry["path"]): str(entry["why"]) for entry in entries}
        except (KeyError, TypeError) as error:
            raise TableCorrupt(f"{where} is not a quarantine document; delete it, and damaged files are found anew.") from error
