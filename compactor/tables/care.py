"""The port between maintenance (doctor, vacuum) and a table format: what the log says about objects, past commits and checkpoints.

Everything here reads, but `announce`, which commits an entry that changes no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from compactor.model.findings import Finding, LiveFile, Observed
from compactor.model.rewrite import ReadSpec
from compactor.model.snapshot import Snapshot, TableRef
from compactor.tables.base import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What some versions of a table name. keys: of objects below its root, in every spelling that a writer may have meant.

    names: last parts of paths that do not seem to lie below the root: an object of such a name may be meant by another spelling of it.
    versions: the oldest whose live files are included, and the newest.
    """

    keys: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    versions: tuple[int, int]

    def __contains__(self, key: str) -> bool:
        return key in self.keys or key.rpartition("/")[2] in self.names


class TableCare(Protocol):
    """One table, for maintenance."""

    @property
    def ref(self) -> TableRef: ...

    def load(self) -> Snapshot:
        """The latest version. Raises as Table.load does."""
        ...

    def gate(self, snapshot: Snapshot) -> Gate:
        """May this table be committed to, and are all its rules known? As for a compaction."""
        ...

    def retention_s(self, snapshot: Snapshot) -> float:
        """How long the table wants replaced files to be kept."""
        ...

    def past(self) -> Iterator[Finding]:
        """Damage that the retained log shows: commits that removed what was not live, checkpoints that do not say what the log says."""
        ...

    def checkpoint_date(self, snapshot: Snapshot) -> tuple[int | None, int | None]:
        """Version of the newest complete checkpoint, and the store's date of it in milliseconds."""
        ...

    def named(self) -> Named:
        """What any retained version names, live or removed."""
        ...

    def needed_since(self, cutoff_ms: int) -> Named:
        """What versions name that were the latest at `cutoff_ms`, by the store's dates of their entries, or later.

        Raises TableRefused when the log does not tell that any more.
        """
        ...

    def named_after(self, version: int) -> Named:
        """What versions after `version` add. Lists the log first."""
        ...

    def reading(self, snapshot: Snapshot) -> ReadSpec:
        """How files are read to be examined: columns of the schema only."""
        ...

    def places(self, snapshot: Snapshot, start: int, stop: int) -> list[LiveFile]:
        """These rows of `snapshot.files`, without deletes and claims: nothing is read for them."""
        ...

    def live_files(self, snapshot: Snapshot, rows: Sequence[int]) -> list[LiveFile]:
        """These rows of `snapshot.files`, with deletes and claims as the log has them."""
        ...

    def contradictions(self, snapshot: Snapshot, file: LiveFile, observed: Observed) -> tuple[str, ...]:
        """What the statistics of a file claim and its rows refute, a phrase each."""
        ...

    def announce(self, operation: str, parameters: Mapping[str, object], metrics: Mapping[str, str]) -> int:
        """Commit an entry that changes no file; its version. Raises StorageError, ConflictGaveUp, TableRefused."""
        ...


__all__ = ["Named", "TableCare"]
