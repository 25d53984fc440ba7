"""What `doctor` finds, and what its passes over files report. Values only: each finding is a sentence and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compactor.model.rewrite import ColumnStatistics, InputFile, ReadSpec
from compactor.model.verification import Damaged, Gone

DOCTOR_FORMAT_VERSION = 1
MOST_FILES = 1000
"""Files that a finding names, at most; `count` says how many there are."""


class FindingKind(StrEnum):
    """What is wrong. The first group is damage: rows are doubled, lost, or read wrongly."""

    REMOVED_TWICE = "removed-twice"  # a commit removes files that were not live then
    MISSING = "missing"  # live files that are not in the store
    OTHER_SIZE = "other-size"  # live files that do not have the size that the log says
    BAD_VECTOR = "bad-vector"  # deletion vectors that are missing, damaged, or not of the cardinality that the log says
    WRONG_CHECKPOINT = "wrong-checkpoint"  # a checkpoint that does not say what the log says, or cannot be read
    WRONG_STATISTICS = "wrong-statistics"  # statistics that exclude rows which are there
    CORRUPT = "corrupt"  # a live file that cannot be decoded

    UNDONE = "undone"  # damage that a RESTORE has taken back since
    NOT_EXAMINED = "not-examined"  # what was not looked at, and why
    OLD_CHECKPOINT = "old-checkpoint"  # readers replay many commits
    ORPHANS = "orphans"  # files that no retained version names


_HARMLESS = frozenset({FindingKind.UNDONE, FindingKind.NOT_EXAMINED, FindingKind.OLD_CHECKPOINT, FindingKind.ORPHANS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding. `why`: a sentence; `advice`: what to do. files: by their paths in the log, the first MOST_FILES of `count`.

    version, engine, operation: of the commit that is at fault, or of the checkpoint. related: versions that matter beside it.
    """

    kind: FindingKind
    why: str
    advice: str
    files: tuple[str, ...] = ()
    count: int = 0
    bytes: int | None = None
    version: int | None = None
    engine: str | None = None
    operation: str | None = None
    related: tuple[int, ...] = ()
    oldest_s: float | None = None
    youngest_s: float | None = None

    @property
    def is_damage(self) -> bool:
        """Whether the table is damaged by it."""
        return self.kind not in _HARMLESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that was found of one version of a table. `data`: whether files were read, too. Ages by the store's dates."""

    table: str
    version: int
    files: int
    bytes: int
    data: bool
    findings: tuple[Finding, ...]
    checkpoint_version: int | None
    checkpoint_age_s: float | None

    @property
    def exit_code(self) -> int:
        """6 when there is damage, else 0."""
        return 6 if any(finding.is_damage for finding in self.findings) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A file as it was read: its physical rows, and of the rows that are not deleted what each leaf outside lists and maps holds.

    Bounds pass over NaN, and are those of ColumnStatistics otherwise; long strings are cut.
    """

    rows: int
    columns: tuple[ColumnStatistics, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """A live file to be examined. claims: its statistics as the log has them.

    external: it lies outside the table's folder; hidden: it, or its deletes, lie where nobody has allowed to look.
    """

    input: InputFile
    claims: str | None = None
    external: bool = False
    hidden: bool = False


Look = Observed | Gone | Damaged
ObserveFiles = Callable[[ReadSpec, Sequence[InputFile]], Iterator[tuple[int, Look]]]
"""Reads files, in any order, and says which: pairs of a position in the sequence and what was found there."""
