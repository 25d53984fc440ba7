"""What `verify` works on and finds: rewrites as the log tells them, readings of their files, verdicts. Values only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compactor.model.fingerprint import Fingerprint
from compactor.model.rewrite import InputFile, ReadSpec

VERIFY_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenFile:
    """A file that a rewrite removed or added. digest: of its rows, as its writer recorded it; None where nothing comparable is known."""

    input: InputFile
    added: bool
    partition: Mapping[str, str | None]
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRewrite:
    """One commit that replaced files by files with the same rows. read: the table's schema then; recorded: of all its rows, by the commit.

    run_id: None for a commit of another engine.
    """

    version: int
    run_id: str | None
    read: ReadSpec
    files: tuple[RewrittenFile, ...]
    recorded: Fingerprint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The file is no longer in the store: vacuumed, most likely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """The file is there and cannot be read. unsupported: it may be whole; it holds what is not read here."""

    why: str
    unsupported: bool = False


Reading = Fingerprint | Gone | Damaged
ReadFiles = Callable[[ReadSpec, Sequence[InputFile]], Iterator[tuple[int, Reading]]]
"""Reads files, in any order, and says which: pairs of a position in the sequence and what was found there."""


class Verdict(StrEnum):
    """What is known of a rewrite, or of a part of it."""

    EQUAL = "equal"  # the rows added are those removed
    RECORDED = "recorded"  # what was removed is gone; the rows added are those that were proven when they were written
    NOT_VERIFIABLE = "not-verifiable"  # files are gone, and nothing comparable was recorded
    DAMAGED = "damaged"  # a file cannot be read
    DIFFERS = "differs"  # the rows added are not those removed, or not those recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class PartVerdict:
    """The rewrite of one partition. rows: removed (deleted ones not counted) and added; None where files are gone or cannot be read.

    files: those to look at first, by their paths in the log: added files whose rows are not those recorded, files that cannot be read,
    or all added ones when nothing tells them apart.
    """

    partition: Mapping[str, str | None]
    verdict: Verdict
    why: str
    files_removed: int
    files_added: int
    rows_removed: int | None
    rows_added: int | None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitVerdict:
    """One commit: the worst verdict of its parts, how many parts have each, and the first part that is at fault."""

    version: int
    run_id: str | None
    verdict: Verdict
    why: str
    files_removed: int
    files_added: int
    rows: int | None
    parts: Mapping[Verdict, int]
    first_fault: PartVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All commits that were looked at, oldest first. exit_code: 8 when one differs, 6 when a file is damaged, else 0."""

    table: str
    commits: tuple[CommitVerdict, ...]

    @property
    def exit_code(self) -> int:
        found = {commit.verdict for commit in self.commits}
        return 8 if Verdict.DIFFERS in found else 6 if Verdict.DAMAGED in found else 0
