"""Verifies rewrites that are in the log: all rows that a commit removed against all that it added, always by rows, partition by partition.

Files that vacuum has taken cannot be compared; then added files are held against the digests that were recorded when they were written.
Decides from readings alone: how files are read, and where, is given. Changes nothing.

    rows removed = rows added            equal
    removed files gone, digests hold     recorded
    files gone, no digests               not verifiable
    a file cannot be read                damaged
    rows, or digests, do not agree       differs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from compactor.model.fingerprint import Fingerprint
from compactor.model.verification import (
    CommitVerdict,
    Damaged,
    PartVerdict,
    ReadFiles,
    Reading,
    RecordedRewrite,
    RewrittenFile,
    Verdict,
)

_WORST_FIRST = (Verdict.DIFFERS, Verdict.DAMAGED, Verdict.NOT_VERIFIABLE, Verdict.RECORDED, Verdict.EQUAL)
Read = tuple[RewrittenFile, Reading]


def verify(rewrites: Iterable[RecordedRewrite], read: ReadFiles) -> Iterator[CommitVerdict]:
    """A verdict for each rewrite, in order. Raises what `read` raises: StorageError, ExecutionFailed."""
    for rewrite in rewrites:
        readings = dict(read(rewrite.read, [file.input for file in rewrite.files]))
        yield judge(rewrite, [(file, readings[i]) for i, file in enumerate(rewrite.files)])


def judge(rewrite: RecordedRewrite, files: Sequence[Read]) -> CommitVerdict:
    """The verdict on one rewrite from readings of all its files."""
    parts = [_judge_part(part) for part in _by_partition(files)]
    faulty = min(parts, key=lambda part: _WORST_FIRST.index(part.verdict))
    verdict, why = faulty.verdict, faulty.why
    added = _sum(files, added=True)
    if verdict in (Verdict.EQUAL, Verdict.RECORDED) and rewrite.recorded is not None and added != rewrite.recorded:
        verdict, why = Verdict.DIFFERS, "The rows that it added are not those that its own digest recorded."
    return CommitVerdict(
        version=rewrite.version,
        run_id=rewrite.run_id,
        verdict=verdict,
        why=why,
        files_removed=sum(not file.added for file, _ in files),
        files_added=sum(file.added for file, _ in files),
        rows=None if added is None else added.rows,
        parts=Counter(part.verdict for part in parts),
        first_fault=faulty if faulty.verdict in (Verdict.DIFFERS, Verdict.DAMAGED) else None,
    )


def _by_partition(files: Sequence[Read]) -> list[list[Read]]:
    parts: dict[tuple[tuple[str, str | None], ...], list[Read]] = {}
    for file, reading in files:
        parts.setdefault(tuple(sorted(file.partition.items())), []).append((file, reading))
    return list(parts.values())


def _judge_part(files: Sequence[Read]) -> PartVerdict:
    """The verdict on one partition. Groups are never of two, so no difference hides in another part."""
    removed, added = _sum(files, added=False), _sum(files, added=True)
    verdict, why, suspects = _compared(files, removed, added)
    partition: Mapping[str, str | None] = files[0][0].partition
    return PartVerdict(
        partition=partition,
        verdict=verdict,
        why=why,
        files_removed=sum(not file.added for file, _ in files),
        files_added=sum(file.added for file, _ in files),
        rows_removed=None if removed is None else removed.rows,
        rows_added=None if added is None else added.rows,
        files=suspects,
    )


def _compared(files: Sequence[Read], removed: Fingerprint | None, added: Fingerprint | None) -> tuple[Verdict, str, tuple[str, ...]]:
    """Verdict, sentence, files to look at."""
    changed = tuple(_path(file) for file, reading in files if isinstance(reading, Fingerprint) and _changed(file, reading))
    damaged = [(file, reading) for file, reading in files if isinstance(reading, Damaged)]
    if removed is not None and added is not None and removed != added:
        why = f"{removed.rows:,} rows were removed and {added.rows:,} added" if removed.rows != added.rows else _same_count(removed)
        return Verdict.DIFFERS, f"{why}.", changed or tuple(_path(file) for file, _ in files if file.added)
    if changed:
        return Verdict.DIFFERS, f"{changed[0]} does not hold the rows that it was written with.", changed
    if damaged:
        return Verdict.DAMAGED, damaged[0][1].why, tuple(_path(file) for file, _ in damaged)
    if removed is not None and added is not None:
        return Verdict.EQUAL, "The rows that were added are those that were removed.", ()
    if added is not None and all(file.digest is not None for file, _ in files if file.added):
        return Verdict.RECORDED, "Removed files are gone; the rows that were added are those that were proven when they were written.", ()
    gone = [file for file, reading in files if not isinstance(reading, Fingerprint)]
    return Verdict.NOT_VERIFIABLE, f"{len(gone):,} of {len(files):,} files are gone, {_path(gone[0])} for one.", ()


def _same_count(removed: Fingerprint) -> str:
    return f"{removed.rows:,} rows were removed and as many added, but not the same ones"


def _changed(file: RewrittenFile, reading: Fingerprint) -> bool:
    """Whether a file holds other rows than its writer recorded. Rows that were deleted since make that impossible to say."""
    return file.digest is not None and file.input.deletes is None and file.digest != reading.digest


def _sum(files: Iterable[Read], *, added: bool) -> Fingerprint | None:
    """Of all files of one side; None when one of them could not be read."""
    total = Fingerprint()
    for file, reading in files:
        if file.added == added:
            if not isinstance(reading, Fingerprint):
                return None
            total += reading
    return total


def _path(file: RewrittenFile) -> str:
    return file.input.file.path
