"""The fuse engine: many small files become one row group, their pages merged by the native kernel without decoding values.

Takes whole files whose columns are the outputs' own; says by name what stands against any other, which is then decoded. Order of rows is
kept: files wait until they make a row group, and whatever else goes to the sink goes behind them. Deleted rows, row ids and constants need
rows, so files with them are not taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from compactor.ambient.cores import threads_for
from compactor.model.rewrite import RewriteJob
from compactor.rewriting import native
from compactor.rewriting.arrow_writer import empty_footer
from compactor.rewriting.budget import Budget
from compactor.rewriting.choose import LARGE, Against
from compactor.rewriting.column_statistics import Tally, bound_of, tallies
from compactor.rewriting.fetch import Fetched
from compactor.rewriting.fragment import ChunkExtras, EncodedRowGroup, Found, Range
from compactor.rewriting.merging import against_merging
from compactor.rewriting.parquet_fields import FileMetaData, Kind
from compactor.rewriting.physical import Leaf, leaves, tree
from compactor.rewriting.ranged import RangedFile
from compactor.rewriting.thrift_compact import read_struct, write_struct
from compactor.units import format_bytes

if TYPE_CHECKING:
    from compactor.rewriting.native import FusedRowGroup, FuseSource, FuseTarget

_MOST_ROWS = 1_048_576
_MOST_REFUSALS = 3
"""When so many files of one batch have been refused page by page, the rest of it is decoded without another try."""
_FEW_BYTES = 4 * 1024 * 1024
"""Fewer bytes than this beside files that are decoded are decoded too: small row groups would cost every reader."""
_FORMATS: dict[int, str] = {Kind.INT32: "<i", Kind.INT64: "<q", Kind.FLOAT: "<f", Kind.DOUBLE: "<d", Kind.BOOLEAN: "<?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file that waits to be merged."""

    fetched: Fetched
    source: FuseSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """Files in their order, and the row group that they became; None: they must be decoded, for this reason."""

    members: Sequence[Member]
    row_group: EncodedRowGroup | None
    against: Against | None = None


class Fuser:
    """Merges the files of one task."""

    def __init__(self, job: RewriteJob, budget: Budget, most_bytes: int | None = None) -> None:
        """most_bytes: larger files are not merged, because outputs end inside them; None: none is too large for that."""
        self._job, self._budget, self._most_bytes = job, budget, most_bytes
        self._waiting: list[Member] = []
        self._bytes = self._held_bytes = self._rows = 0
        self._behind_decoded = False
        self._target: _Target | None = None
        self._against = against_merging(job.read, job.write, job.engine)

    @property
    def waits(self) -> bool:
        """Whether files wait to be merged."""
        return bool(self._waiting)

    @property
    def merges(self) -> bool:
        """Whether any file can be merged at all."""
        return self._against is None

    def opened(self, batch: Sequence[Fetched]) -> list[FuseSource | Against]:
        """What each of these files is merged as, or why it is not. Only their footers are looked at."""
        found: list[FuseSource | Against | None] = [self._against or self._against_file(fetched) for fetched in batch]
        open_ones = [i for i, against in enumerate(found) if against is None]
        for i, source in zip(open_ones, self._sources([batch[i] for i in open_ones]), strict=True):
            found[i] = source
        return [one for one in found if one is not None]

    def _sources(self, batch: Sequence[Fetched]) -> list[FuseSource | Against]:
        if not batch:
            return []
        kernels = _kernels()
        try:
            if self._target is None:
                self._target = _Target.of(self._job, kernels)
        except kernels.FuseRefused as refused:
            against = Against(code="schema", why=f"Outputs are not made of pages: {refused.args[0]}.")
            return [against] * len(batch)
        with threads_for(len(batch)) as threads:
            found = kernels.fuse_sources(self._target.known, [fetched.source for fetched in batch], threads)
        return [
            Against(code="pages", why=f"{fetched.input.key} is not merged as it is: {source}.") if isinstance(source, str) else source
            for fetched, source in zip(batch, found, strict=True)
        ]

    def take(self, fetched: Fetched, source: FuseSource) -> None:
        """Have a file wait for its row group."""
        self._waiting.append(Member(fetched=fetched, source=source))
        self._bytes += source.size_bytes
        self._held_bytes += fetched.size_bytes
        self._rows += source.rows

    def _against_file(self, fetched: Fetched) -> Against | None:
        """What stands against one file before its footer is looked at."""
        key, size, choice = fetched.input.key, format_bytes(fetched.size_bytes), self._job.engine
        if fetched.input.deletes is not None:
            return Against(code="deletes", why=f"Rows of {key} are deleted.")
        if isinstance(fetched.source, RangedFile) or (choice.mode == "auto" and fetched.size_bytes >= choice.copied_bytes):
            return Against(code=LARGE, why=f"{key} is too large to be merged with others: {size}.")
        if self._most_bytes is not None and fetched.size_bytes > self._most_bytes:
            return Against(code=LARGE, why=f"{key} has {size}, more than {format_bytes(self._most_bytes)}, so outputs would be uneven.")
        return None

    def full(self) -> bool:
        """Whether the files that wait make a row group."""
        spec = self._job.write
        if self._rows >= min(spec.row_group_rows, _MOST_ROWS) or self._bytes >= spec.row_group_bytes:
            return True
        return self._held_bytes >= self._budget.row_group  # footers are held too, and of very small files they are a good part

    def merged(self, *, decoded_next: bool = False) -> Iterator[Fused]:
        """All files that wait, in their order. decoded_next: one that is not merged follows, no row group or output ends."""
        members, size_bytes = self._waiting, self._bytes
        self._waiting, self._bytes, self._held_bytes, self._rows = [], 0, 0, 0
        behind_decoded, self._behind_decoded = self._behind_decoded, decoded_next
        if not members:
            return
        if (decoded_next or behind_decoded) and size_bytes < _FEW_BYTES:
            why = "Only a few small files lie beside others that are not merged."
            yield Fused(members=members, row_group=None, against=Against(code="few", why=why))
            return
        yield from self._tried(members)

    def _tried(self, members: list[Member]) -> Iterator[Fused]:
        assert self._target is not None
        kernels, refusals = _kernels(), 0
        while members:
            try:
                group = self._target.merged(kernels, members, self._job.engine.verify)
            except kernels.FuseRefused as refused:
                why, which = refused.args
                refusals += 1
                against = Against(code="pages", why=f"{members[which].fetched.input.key} is not merged: {why}.")
                if refusals >= _MOST_REFUSALS:
                    yield Fused(members=members, row_group=None, against=against)
                    return
                if before := members[:which]:
                    yield from self._tried(before)
                yield Fused(members=members[which : which + 1], row_group=None, against=against)
                members = members[which + 1 :]
            else:
                yield Fused(members=members, row_group=group)
                return


def _kernels() -> ModuleType:
    assert native.KERNELS is not None
    return native.KERNELS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The outputs' schema as the kernel knows it, and as statistics are told by it."""

    known: FuseTarget
    leaves: Sequence[Leaf]
    tallies: Sequence[Tally]
    bounds: Sequence[bool]
    codec: str

    @classmethod
    def of(cls, job: RewriteJob, kernels: ModuleType) -> _Target:
        footer = empty_footer(job.read.schema, job.write)
        level = job.write.compression_level
        known = kernels.FuseTarget(write_struct(footer), job.read.match == "id", job.write.compression, 1 if level is None else level)
        wanted = tallies(job.read.schema, job.write.statistics)
        bounded = {tally.leaf for tally in wanted if tally.column.bounds}
        return cls(
            known=known,
            leaves=leaves(tree(footer.structs(FileMetaData.SCHEMA))),
            tallies=wanted,
            bounds=[i in bounded for i in range(known.leaves)],
            codec=job.write.compression,
        )

    def merged(self, kernels: ModuleType, members: Sequence[Member], verify: bool) -> EncodedRowGroup:
        """One row group of these files. Raises the kernel's FuseRefused."""
        sources = [member.source for member in members]
        with threads_for(len(self.bounds)) as threads:
            fused: FusedRowGroup = kernels.fuse(self.known, sources, self.bounds, verify, threads)
        group, _ = read_struct(fused.row_group(0))
        indexes = zip(fused.column_indexes(), fused.offset_indexes(0), strict=True)
        extras = [ChunkExtras(column_index=column, offset_index=read_struct(offset)[0]) for column, offset in indexes]
        found, rows = self._found(fused), fused.rows
        runs = (Range(0, fused.size_bytes),)
        return EncodedRowGroup(
            count=rows, codec=self.codec, group=group, origin=_Pages(fused), runs=runs, extras=extras, found=found, fresh=True
        )

    def _found(self, fused: FusedRowGroup) -> list[Found]:
        bounds, beginnings = fused.bounds(), fused.beginnings()
        found = []
        for tally in self.tallies:
            if tally.leaf is None:
                path = tally.column.path
                below = next(i for i, leaf in enumerate(self.leaves) if leaf.path[: len(path)] == path)
                found.append(Found(nulls=sum(beginnings[below][: len(path)])))
            else:
                nulls, known, values = bounds[tally.leaf]
                found.append(_found_of(tally, self.leaves[tally.leaf], nulls, known, values))
        return found


def _found_of(tally: Tally, leaf: Leaf, nulls: int, known: bool, bounds: tuple[bytes, bytes, bool, bool] | None) -> Found:
    """The kernel's facts of one column as values. A bound that is not the value itself is none."""
    if bounds is None or not tally.column.bounds:
        return Found(nulls=nulls, unbounded=not known)
    low, high, low_exact, high_exact = bounds
    try:
        values = _value(tally, leaf, low), _value(tally, leaf, high)
    except UnicodeDecodeError:
        return Found(nulls=nulls, unbounded=True)
    if not (low_exact and high_exact):
        return Found(nulls=nulls, unbounded=True)
    return Found(nulls=nulls, minimum=values[0], maximum=values[1])


def _value(tally: Tally, leaf: Leaf, stored: bytes) -> Any:
    form = _FORMATS.get(leaf.kind)
    return bound_of(tally.kind, stored if form is None else struct.unpack(form, stored)[0])


@dataclass(frozen=True, slots=True)
class _Pages:
    """Where the pages of a merged row group are: the kernel puts them together when they are asked for."""

    fused: FusedRowGroup
    key: None = None

    def read(self, start: int, length: int) -> bytes:
        """Some of its bytes."""
        return self.fused.read(start, length)
