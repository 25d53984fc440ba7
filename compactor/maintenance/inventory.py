"""Which objects in a table's folder may be files of the table at all, so that doctor calls them orphans and vacuum deletes them. Pure.

Only Parquet files and deletion vectors count. What a name hides from readers (it or a folder above begins with `_` or `.`) is left alone,
but for the folders of partition columns so named and `_change_data`. A folder with a log of its own is another table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from compactor.model.snapshot import PartitionColumn
from compactor.storage.base import ObjectMeta

_OURS = re.compile(r".+\.parquet|deletion_vector_.+\.bin", re.IGNORECASE | re.DOTALL)
_LOG = "/_delta_log/"
_CHANGES = "_change_data"


@dataclass(slots=True)
class Inventory:
    """What one listing shows, object by object."""

    columns: frozenset[str]
    _nested: set[str] = field(default_factory=set)

    @staticmethod
    def of(columns: Iterable[PartitionColumn]) -> Inventory:
        """An empty inventory of a table with these partition columns."""
        return Inventory(columns=frozenset(name.lower() for column in columns for name in (column.name, column.physical_name)))

    def is_file(self, item: ObjectMeta) -> bool:
        """Whether an object may be a file of the table, by its name. Notes other tables by the way: every object must be shown."""
        at = item.key.find(_LOG)
        if at > 0:
            self._nested.add(item.key[: at + 1])
        *folders, name = item.key.split("/")
        if name.startswith(("_", ".")) or not _OURS.fullmatch(name):
            return False
        return not any(self._hides(folder, first=i == 0) for i, folder in enumerate(folders))

    def outside_of_others(self, files: Iterable[ObjectMeta]) -> list[ObjectMeta]:
        """Those that no other table's folder holds. To be asked when the whole listing has been shown."""
        nested = tuple(self._nested)
        return [item for item in files if not nested or not item.key.startswith(nested)]

    def _hides(self, folder: str, *, first: bool) -> bool:
        if not folder.startswith(("_", ".")):
            return False
        if first and folder == _CHANGES:
            return False
        name, equals, _ = folder.partition("=")
        return not equals or unquote(name).lower() not in self.columns


def total_bytes(files: Collection[ObjectMeta]) -> int:
    """Their sizes together."""
    return sum(item.size_bytes for item in files)
