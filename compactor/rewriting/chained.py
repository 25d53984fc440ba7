"""Small files one behind the other, in memory, as the row groups of one file, which is opened and decoded at once: for files of some
kilobytes that costs a fraction of doing so one by one.

Their pages stay as they are and Arrow decodes them; the native package writes the footer, and holds every column of every file against the
rows that its footer counts. Needs that package. A file that it refuses is decoded by itself, which reads it or names it. Fingerprints of
inputs must not rest on how these were put together: whoever takes fingerprints takes them of the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compactor.model.rewrite import RewriteJob
from compactor.rewriting import native
from compactor.rewriting.added import added_fields
from compactor.rewriting.budget import Budget
from compactor.rewriting.choose import Against
from compactor.rewriting.fetch import Fetched
from compactor.rewriting.ranged import RangedFile

_MAGIC = b"PAR1"
_MOST_FILE_BYTES = 1024 * 1024
"""Of larger files it costs next to nothing to be opened."""
_MOST_BYTES = 4 * 1024 * 1024
"""Of a chain. More would not be faster, and less of it would still be in a processor's cache when it is decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Consecutive files, and all of them as one; None: each must be decoded by itself. rows: of each."""

    members: Sequence[Fetched]
    against: Against
    whole: Fetched | None = None
    rows: Sequence[int] = ()


class Chainer:
    """Gathers the files of one task into chains. Order is kept: whatever else goes to the sink goes behind them."""

    def __init__(self, job: RewriteJob, budget: Budget, *, fingerprinted: bool) -> None:
        """fingerprinted: whether files need not be decoded one by one for their fingerprints."""
        self._able = fingerprinted and job.engine.mode != "stitch" and native.KERNELS is not None and not added_fields(job.read)
        self._most_bytes = min(_MOST_BYTES, budget.batch // 4)
        self._waiting: list[Fetched] = []
        self._bytes = 0
        self._against: Against | None = None

    def takes(self, fetched: Fetched, against: Against | None) -> bool:
        """Whether a file, decoded for this reason, may be part of a chain. Nothing of it is looked at."""
        small = fetched.size_bytes <= min(_MOST_FILE_BYTES, self._most_bytes // 2)
        return self._able and against is not None and fetched.input.deletes is None and small and not isinstance(fetched.source, RangedFile)

    def shrink(self) -> None:
        """A chain was too large once decoded: those that follow are half as large."""
        self._most_bytes //= 2

    def full_for(self, fetched: Fetched, against: Against) -> bool:
        """Whether the chain must end before this file."""
        other = self._against is not None and self._against.code != against.code
        return bool(self._waiting) and (other or self._bytes + fetched.size_bytes > self._most_bytes)

    def take(self, fetched: Fetched, against: Against) -> None:
        """Have a file wait for those that follow."""
        self._waiting.append(fetched)
        self._bytes += fetched.size_bytes
        self._against = self._against or against

    def chains(self) -> Iterator[Chain]:
        """All files that wait, in their order."""
        waiting, against = self._waiting, self._against
        self._waiting, self._bytes, self._against = [], 0, None
        while waiting:
            assert against is not None
            chain = _chained(waiting, against)
            waiting = waiting[len(chain.members) :]
            yield chain


def _chained(files: Sequence[Fetched], against: Against) -> Chain:
    """The longest chain of the first of these files."""
    assert native.KERNELS is not None
    sources = [memoryview(file.source) for file in files]  # type: ignore[arg-type]  # none is a file of ranges
    if len(files) == 1:
        return Chain(members=files, against=against)
    try:
        parts, rows, tail = native.KERNELS.chain(sources)
    except native.KERNELS.FuseRefused as refused:
        return _chained(files[: max(1, refused.args[1])], against)
    pages = (source[start:end] for source, (start, end) in zip(sources, parts, strict=True))
    data = b"".join([_MAGIC, *pages, tail])
    return Chain(members=files, against=against, whole=replace(files[0], size_bytes=len(data), source=data), rows=rows)
