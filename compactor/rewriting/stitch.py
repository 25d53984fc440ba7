"""The stitch engine: row groups are copied as they are encoded, and only the footer is new. Takes a row group only when nothing of its
meaning depends on being decoded, and says by name what stands against any other.

Pages are never looked at: what is damaged in them stays as damaged as it was. Deleted rows, row ids and constants need rows, so files with
them are decoded; so are files whose pages mean something else under the table's schema than under their own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from compactor.model.engine import EngineChoice
from compactor.model.rewrite import ReadSpec, WriteSpec
from compactor.rewriting.budget import Budget
from compactor.rewriting.choose import Against, Candidate
from compactor.rewriting.column_statistics import Tally, tallies
from compactor.rewriting.encoded import EncodedFile, chunks_of_group, encoded_file, extras_of, repeatable, runs_of
from compactor.rewriting.encoded_statistics import found_in, unsure_floats
from compactor.rewriting.float_pages import FloatValues, float_values, floats_of_file
from compactor.rewriting.fragment import EncodedRowGroup
from compactor.rewriting.opened import Opened
from compactor.rewriting.parquet_fields import CODECS, ColumnChunk, ColumnMetaData, RowGroup
from compactor.rewriting.physical import Leaf
from compactor.rewriting.problems import FileProblem
from compactor.rewriting.thrift_compact import ThriftProblem
from compactor.rewriting.verdicts import Verdicts, unrepeatable

_TRAILER_BYTES = 8
_MOST_FOOTER_BYTES = 64 * 1024 * 1024
_MOST_ROWS = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of an input: its row groups in order, and its footer taken apart where any of them may be copied."""

    candidates: tuple[Candidate, ...]
    file: EncodedFile | None = None


class Stitcher:
    """Looks at the inputs of one task, and makes fragments of their row groups."""

    def __init__(self, read: ReadSpec, write: WriteSpec, choice: EngineChoice) -> None:
        self._choice = choice
        self._tallies = tallies(read.schema, write.statistics)
        self._verdicts = Verdicts(read, write)

    def look(self, opened: Opened) -> Look:
        """The row groups of an input. Reads nothing but the end of the file, and that only where a copy may come of it."""
        sizes = _encoded_bytes(opened)
        least = self._choice.copied_bytes if self._choice.mode == "auto" else 0
        if self._choice.mode in ("transcode", "fuse") or not any(size >= least for size in sizes):
            return Look(candidates=tuple(Candidate(size_bytes=size) for size in sizes))
        against = self._verdicts.of_table()
        if opened.deleted is not None and len(opened.deleted):
            against = Against(code="deletes", why=f"Rows of {opened.input.key} are deleted.")
        if against is not None:
            return Look(candidates=tuple(Candidate(size_bytes=size, against=against) for size in sizes))
        try:
            file = _footer_of(opened)
            against = self._verdicts.of_footer(file)
        except ThriftProblem as problem:
            against = unrepeatable(problem)
        if against is not None:
            return Look(candidates=tuple(Candidate(size_bytes=size, against=against) for size in sizes))
        groups = range(len(file.row_groups))
        candidates = tuple(Candidate(size_bytes=sizes[i], against=self._verdicts.of_group(file, i)) for i in groups)
        return Look(candidates=candidates, file=file)

    def fragments(self, opened: Opened, look: Look, row_groups: range, budget: Budget) -> Iterator[EncodedRowGroup]:
        """These row groups, encoded. Raises FileProblem, StorageError, and what pyarrow raises when a column must be decoded."""
        assert look.file is not None
        for index in row_groups:
            if look.file.row_groups[index].whole(RowGroup.NUM_ROWS) == 0:
                continue
            try:
                yield self._fragment(opened, look.file, index, budget)
            except ThriftProblem as problem:
                raise FileProblem("corrupt-file", f"its footer does not add up: {problem}") from problem

    def _fragment(self, opened: Opened, file: EncodedFile, index: int, budget: Budget) -> EncodedRowGroup:
        leaves = self._verdicts.leaves
        floats = _floats(opened, file, index, self._tallies, leaves)
        without_nan = [at for at, seen in floats.items() if not seen.nan]
        group = repeatable(file, index, leaves, without_nan)
        metas = [meta for chunk in group.structs(RowGroup.COLUMNS) if (meta := chunk.struct(ColumnChunk.META_DATA)) is not None]

        def decode(columns: Sequence[str] | None) -> Iterable[pa.Table]:
            return _columns(opened, index, columns, budget)

        return EncodedRowGroup(
            count=group.whole(RowGroup.NUM_ROWS),
            codec=CODECS[metas[0].whole(ColumnMetaData.CODEC)],
            group=group,
            origin=opened,
            runs=runs_of(pages for _, _, pages in chunks_of_group(file, index)),
            extras=extras_of(file, index, opened, without_nan),
            found=found_in(self._tallies, metas, leaves, floats, decode),
        )


def _encoded_bytes(opened: Opened) -> list[int]:
    """Encoded bytes of each row group, by the footer as Arrow reads it."""
    metadata = opened.file.metadata
    if metadata.num_row_groups == 1:
        return [opened.size_bytes]
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    return [sum(group.column(j).total_compressed_size for j in range(group.num_columns)) for group in groups]


def _footer_of(opened: Opened) -> EncodedFile:
    """The footer taken apart. Raises ThriftProblem, StorageError."""
    (length,) = struct.unpack("<I", bytes(opened.read(opened.size_bytes - _TRAILER_BYTES, 4)))
    end = opened.size_bytes - _TRAILER_BYTES - length
    if length > _MOST_FOOTER_BYTES or end < 4:
        raise ThriftProblem("it is too large")
    file = encoded_file(opened.read(end, length), end)
    if len(file.row_groups) != opened.file.metadata.num_row_groups:
        raise ThriftProblem("it has other row groups than Arrow reads")
    return file


def _floats(opened: Opened, file: EncodedFile, index: int, wanted: Sequence[Tally], leaves: Sequence[Leaf]) -> dict[int, FloatValues]:
    """What the pages of floats hold of which the footer does not tell enough, by leaf, as far as a look at them tells."""
    chunks = chunks_of_group(file, index)
    unsure = unsure_floats(wanted, [meta for _, meta, _ in chunks], leaves)
    if not unsure:
        return {}
    path = opened.path
    found = {} if path is None else floats_of_file(path, {at: (chunks[at][1], leaves[at], chunks[at][2]) for at in unsure})
    left = [at for at in unsure if at not in found]
    if left:
        opened.expect(range(index, index + 1), [".".join(file.leaves[at].path) for at in left])
    looks = {at: float_values(chunks[at][1], leaves[at], chunks[at][2], opened.next) for at in left}
    return found | {at: seen for at, seen in looks.items() if seen is not None}


def _columns(opened: Opened, index: int, columns: Sequence[str] | None, budget: Budget) -> Iterator[pa.Table]:
    """Some columns of a row group, decoded in batches."""
    group = opened.file.metadata.row_group(index)
    opened.expect(range(index, index + 1), columns)
    size = max(1, min(_MOST_ROWS, int(budget.batch / max(1.0, group.total_byte_size / max(1, group.num_rows)))))
    for batch in opened.file.iter_batches(size, row_groups=[index], columns=None if columns is None else list(columns), use_threads=False):
        yield pa.Table.from_batches([batch])
